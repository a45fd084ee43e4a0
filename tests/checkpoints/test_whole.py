import random
import zipfile

import pytest
import torch

from fgvr.checkpoints.files import read_checkpoint, read_newest
from fgvr.checkpoints.whole import check_whole, checkpoint_to_go_on
from fgvr.errors import FgvrError


def content():
    weights = {"head.context": torch.arange(64.0), "head.scale": torch.ones(3)}
    return {"fgvr": {"class_names": ["Pug", "Auk"], "config": "a: 1"}, "state_dict": weights, "epoch": 3}


def save(path, **changes):
    path.parent.mkdir(exist_ok=True)
    torch.save(content() | changes, path)
    return path


def same(one, other):
    return one["fgvr"] == other["fgvr"] and all(
        torch.equal(one["state_dict"][key], other["state_dict"][key]) for key in other["state_dict"]
    )


@pytest.mark.parametrize("seed", range(3))
def test_damage_is_found_or_does_not_matter(tmp_path, seed):
    path = save(tmp_path / "checkpoints/last.ckpt")
    whole, draw, found = path.read_bytes(), random.Random(seed), 0
    for _ in range(80):
        damaged = bytearray(whole)
        match draw.randrange(4):
            case 0:
                damaged[draw.randrange(len(damaged))] ^= 1 << draw.randrange(8)
            case 1:
                del damaged[draw.randrange(len(damaged)) :]
            case 2:
                start = draw.randrange(len(damaged))
                damaged[start : start + 64] = bytes(64)
            case 3:
                start = draw.randrange(len(damaged))
                damaged[start:start] = draw.randbytes(draw.randrange(1, 64))
        path.write_bytes(damaged)
        try:
            assert same(read_checkpoint(path), content())
        except FgvrError:
            found += 1
    assert found > 40


def test_the_one_before_stands_in_for_a_damaged_newest(tmp_path, caplog):
    last, before = tmp_path / "checkpoints/last.ckpt", tmp_path / "checkpoints/previous.ckpt"
    save(last)
    assert read_newest(last)[0] == last
    save(before, epoch=2)
    last.write_bytes(last.read_bytes()[:-100])
    path, read = read_newest(last)
    assert (path, read["epoch"]) == (before, 2)
    assert "last.ckpt is cut off" in caplog.text or "last.ckpt' is damaged" in caplog.text
    assert "Taking the checkpoint before it: " in caplog.text
    # a process that was killed between two renamings leaves no newest
    last.unlink()
    assert read_newest(last)[0] == before
    assert checkpoint_to_go_on(last.parent) == before
    # who asks for another file gets that one
    other = save(tmp_path / "checkpoints/epoch3.ckpt")
    other.write_bytes(b"")
    with pytest.raises(FgvrError, match="is empty"):
        read_newest(other)


def test_a_run_without_a_whole_checkpoint_begins_anew(tmp_path, caplog):
    folder = tmp_path / "checkpoints"
    assert checkpoint_to_go_on(folder) is None
    assert not caplog.text
    last = save(folder / "last.ckpt")
    assert checkpoint_to_go_on(folder) == last
    save(folder / "best.ckpt").write_bytes(b"PK")
    assert checkpoint_to_go_on(folder) is None, "what was chosen so far is lost"
    (folder / "best.ckpt").unlink()
    last.write_bytes(last.read_bytes()[:500])
    assert checkpoint_to_go_on(folder) is None
    assert caplog.text.count("The run begins anew.") == 2


def test_a_packed_part_is_refused_before_it_is_unpacked(tmp_path):
    path = save(tmp_path / "checkpoints/last.ckpt")
    bomb = tmp_path / "checkpoints/bomb.ckpt"
    with zipfile.ZipFile(path) as archive, zipfile.ZipFile(bomb, "w") as packed:
        for part in archive.infolist():
            packed.writestr(part.filename, archive.read(part), zipfile.ZIP_DEFLATED)
    with pytest.raises(FgvrError, match="is damaged"):
        check_whole(bomb)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"fgvr": 3}, "'fgvr' is no mapping"),
        ({"fgvr": {"class_names": "Pug", "config": ""}}, "'fgvr.class_names' is not a list of texts"),
        ({"fgvr": {"class_names": [1], "config": ""}}, "'fgvr.class_names' is not a list of texts"),
        ({"fgvr": {"class_names": []}}, "'fgvr.config' is not a text"),
        ({"fgvr": {"class_names": [], "config": "", "oracle": "yes"}}, "'fgvr.oracle' is not true or false"),
        ({"state_dict": [1]}, "'state_dict' is no mapping of names"),
        ({"state_dict": {1: 2}}, "'state_dict' is no mapping of names"),
        ({"loops": 3}, "'loops' is no mapping"),
        ({"optimizer_states": {}}, "'optimizer_states' is no list"),
        ({"epoch": "three"}, "'epoch' is no count"),
    ],
)
def test_what_is_not_of_its_kind_is_named(tmp_path, changes, message):
    path = save(tmp_path / "checkpoints/last.ckpt", **changes)
    with pytest.raises(FgvrError, match=f"was changed since: {message}"):
        read_checkpoint(path)


def test_nothing_in_a_checkpoint_is_run(tmp_path):
    class Hostile:
        def __reduce__(self):
            return (exec, (f"open({str(tmp_path / 'ran')!r}, 'w')",))

    path = save(tmp_path / "checkpoints/last.ckpt", callbacks=Hostile())
    with pytest.raises(FgvrError, match="cannot be read as a checkpoint"):
        read_checkpoint(path)
    assert not (tmp_path / "ran").exists()
