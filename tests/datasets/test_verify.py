import json

import pytest
from PIL import Image

from fgvr.datasets.cub200 import Cub200Dataset
from fgvr.datasets.eurosat import EurosatDataset
from fgvr.datasets.folder import FolderDataset
from fgvr.datasets.verify import SplitCount, verify
from fgvr.errors import FgvrError

NAMES = EurosatDataset.info.names


@pytest.fixture
def small(monkeypatch):
    """EuroSAT with one photo in ``train``, one in ``val`` and one in ``test`` of each class."""
    counts = {"train": 10, "val": 10, "test": 10}
    monkeypatch.setattr(EurosatDataset, "info", replaced(EurosatDataset.info, counts=counts))


def replaced(info, **changes):
    return type(info)(**{**vars(info), **changes})


@pytest.fixture
def root(tmp_path, small):
    root = tmp_path / "eurosat"
    (root / "2750").mkdir(parents=True)
    split = {"train": [], "val": [], "test": []}
    for label, name in enumerate(NAMES):
        for number, part in enumerate(split):
            file = f"{label}_{part}.png"
            Image.new("RGB", (4, 4), (label, number, 0)).save(root / "2750" / file)
            split[part].append([file, label, name])
    (root / "split_zhou_EuroSAT.json").write_text(json.dumps(split))
    return root


def edit(root, change):
    path = root / "split_zhou_EuroSAT.json"
    split = json.loads(path.read_text())
    change(split)
    path.write_text(json.dumps(split))


def run(root, tmp_path, **options):
    return verify(EurosatDataset(root, **options), tmp_path / "cache")


def test_all_is_well(root, tmp_path):
    found = run(root, tmp_path)
    assert found.sound
    assert found.splits == {"support": SplitCount(20, 20, 20, 10, 2, 2), "test": SplitCount(10, 10, 10, 10, 1, 1)}
    assert (found.classes, found.expected_classes) == (10, 10)
    for fault in ("unreadable", "overlaps", "repeats", "contradictions", "unknown_names", "missing_names", "unlisted"):
        assert not getattr(found, fault)
    found = run(root, tmp_path, train_and_val=False)
    assert found.sound
    assert list(found.splits) == ["support", "val", "test"]


def test_photos_that_are_missing_or_damaged(root, tmp_path):
    (root / "2750/3_test.png").unlink()
    (root / "2750/4_test.png").write_bytes(b"")
    found = run(root, tmp_path)
    assert not found.sound
    assert found.splits["test"] == SplitCount(10, 10, 8, 10, 1, 1)
    assert found.unreadable == {"2750/3_test.png": "no such file", "2750/4_test.png": "the file is empty"}


def test_a_list_that_is_too_short(root, tmp_path):
    edit(root, lambda split: split["test"].pop())
    found = run(root, tmp_path)
    assert not found.sound
    assert found.splits["test"].expected == 10
    assert found.splits["test"].listed == 9
    assert found.unlisted == ["9_test.png"]
    assert found.in_one_split == {"support": [NAMES[9]]}


def test_a_split_that_is_not_listed_at_all(root, tmp_path):
    edit(root, lambda split: split["test"].clear())
    found = run(root, tmp_path)
    assert found.splits["test"] == SplitCount(10, 0, 0, 0, 0, 0)
    assert not found.sound


def test_names_that_are_not_the_data_sets(root, tmp_path):
    def rename(split):
        for entry in split["train"] + split["val"] + split["test"]:
            if entry[2] == "Forest":
                entry[2] = "Woodland"

    edit(root, rename)
    found = run(root, tmp_path)
    assert (found.unknown_names, found.missing_names) == (["Woodland"], ["Forest"])
    assert not found.sound


def test_the_same_bytes_in_two_splits(root, tmp_path):
    (root / "2750/3_test.png").write_bytes((root / "2750/4_train.png").read_bytes())
    found = run(root, tmp_path)
    assert found.overlaps == [("2750/3_test.png", "2750/4_train.png")]
    assert found.contradictions == found.overlaps
    assert not found.sound
    # train and val are one split, unless they are asked to be two
    (root / "2750/3_test.png").unlink()
    Image.new("RGB", (4, 4), "white").save(root / "2750/3_test.png")
    (root / "2750/5_val.png").write_bytes((root / "2750/5_train.png").read_bytes())
    together = run(root, tmp_path)
    assert (together.sound, together.overlaps, together.contradictions) == (True, [], [])
    assert together.repeats == [("2750/5_train.png", "2750/5_val.png")]
    assert run(root, tmp_path, train_and_val=False).overlaps == together.repeats


def test_a_merged_class_is_missed(root, tmp_path, monkeypatch):
    monkeypatch.setattr(EurosatDataset, "info", replaced(EurosatDataset.info, names=(), classes=11))
    assert not run(root, tmp_path).sound


def test_photos_without_names(tmp_path, draw):
    draw("photos/a.png"), draw("photos/b.png", "blue")
    found = verify(FolderDataset(tmp_path / "photos"), tmp_path / "cache")
    assert found.sound
    assert found.splits == {"support": SplitCount(None, 2, 2, 0, 0, 0)}
    assert (found.expected_classes, found.unlisted, found.in_one_split) == (None, None, {})


def test_a_data_set_without_published_counts(tmp_path, draw):
    draw("cub/images/001.Pug/a.png"), draw("cub/images/001.Pug/b.png")
    (tmp_path / "cub/images.txt").write_text("1 001.Pug/a.png\n2 001.Pug/b.png\n")
    (tmp_path / "cub/train_test_split.txt").write_text("1 0\n2 1\n")
    found = verify(Cub200Dataset(tmp_path / "cub"), tmp_path / "cache")
    assert found.overlaps == [("images/001.Pug/a.png", "images/001.Pug/b.png")]
    assert not found.contradictions


def test_not_one_photo(tmp_path, root):
    for path in (root / "2750").iterdir():
        path.unlink()
    with pytest.raises(FgvrError, match="None of the 30 photos can be opened"):
        run(root, tmp_path)


def test_an_overlap_behind_many_repeats(tmp_path, draw):
    for number in range(20):
        draw(f"photos/support/a{number}.png")
    draw("photos/test/b.png")
    found = verify(FolderDataset(tmp_path / "photos"), tmp_path / "cache")
    assert found.overlaps == [("support/a0.png", "test/b.png")]
    assert len(found.repeats) == 19
