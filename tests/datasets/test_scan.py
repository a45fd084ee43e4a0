import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from fgvr.datasets import scan as module
from fgvr.datasets.folder import FolderDataset
from fgvr.datasets.scan import scan
from fgvr.errors import FgvrError


def test_readable_photos_get_the_digest_of_their_bytes(tmp_path, draw):
    path = draw("photos/a.png")
    result = scan(FolderDataset(tmp_path / "photos").records(), tmp_path / "cache")
    assert result.readable[0].digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert result.unreadable == {}


def test_unreadable_photos_are_named_with_the_reason(tmp_path, draw):
    draw("photos/a.png")
    (tmp_path / "photos/b.png").write_bytes(b"not a photo")
    result = scan(FolderDataset(tmp_path / "photos").records(), tmp_path / "cache")
    assert [r.sample_id for r in result.readable] == ["a.png"]
    assert list(result.unreadable) == ["b.png"]
    assert "not an image" in result.unreadable["b.png"]


def test_not_one_readable_photo(tmp_path):
    (tmp_path / "a.png").write_bytes(b"")
    with pytest.raises(FgvrError, match=r"No photo can be opened; the first is 'a.png': the file is empty"):
        scan(FolderDataset(tmp_path).records(), tmp_path / "cache")


def test_only_new_and_changed_files_are_read_again(tmp_path, draw, monkeypatch):
    draw("photos/a.png"), draw("photos/b.png", "blue")
    records = FolderDataset(tmp_path / "photos").records()
    first = scan(records, tmp_path / "cache")
    draw("photos/b.png", "green")
    read = []
    examine = module._examine
    monkeypatch.setattr(module, "_examine", lambda path: read.append(path.name) or examine(path))
    second = scan(records, tmp_path / "cache")
    assert read == ["b.png"]
    assert second.readable[0] == first.readable[0]
    assert second.readable[1].digest != first.readable[1].digest


def test_the_file_behind_a_link_is_remembered_where_it_is(tmp_path, draw, monkeypatch):
    target = draw("elsewhere/a.png")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/b.png").symlink_to(target)
    (tmp_path / "linked").symlink_to(target.parent)
    one, two = (FolderDataset(tmp_path / name).records() for name in ("photos", "linked"))
    first = scan(one, tmp_path / "cache")
    examined = []
    examine = module._examine
    monkeypatch.setattr(module, "_examine", lambda path: examined.append(path.name) or examine(path))
    monkeypatch.chdir(tmp_path / "linked")
    for records in (one, two, [replace(two[0], path=Path("a.png"))]):
        assert scan(records, tmp_path / "cache").readable[0].digest == first.readable[0].digest
    assert examined == []
    draw("elsewhere/a.png", "green")
    assert scan(one, tmp_path / "cache").readable[0].digest != first.readable[0].digest
    assert examined == ["b.png"]
