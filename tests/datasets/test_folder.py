import pytest

from fgvr.datasets.folder import FolderDataset
from fgvr.errors import FgvrError


def found(dataset):
    return [(r.sample_id, r.split, r.true_name) for r in dataset.records()]


def test_a_flat_folder_has_no_classes(tmp_path, draw):
    draw("b.png"), draw("a.png")
    assert found(FolderDataset(tmp_path)) == [("a.png", "support", None), ("b.png", "support", None)]


def test_class_folders(tmp_path, draw):
    draw("001.House_Finch/a.png"), draw("2CV/deep/b.png")
    assert found(FolderDataset(tmp_path)) == [
        ("001.House_Finch/a.png", "support", "House Finch"),
        ("2CV/deep/b.png", "support", "2CV"),
    ]
    assert {name for _, _, name in found(FolderDataset(tmp_path, class_folders=False))} == {None}


def test_split_folders(tmp_path, draw):
    draw("train/Pug/a.png"), draw("test/Pug/b.png"), draw("val/c.png")
    assert found(FolderDataset(tmp_path)) == [
        ("test/Pug/b.png", "test", "Pug"),
        ("train/Pug/a.png", "support", "Pug"),
        ("val/c.png", "val", None),
    ]


def test_other_files_and_hidden_ones_are_left_out(tmp_path, draw):
    draw("a.png"), draw(".cache/b.png"), draw(".hidden.png")
    (tmp_path / "notes.txt").write_text("no photo")
    assert [r.sample_id for r in FolderDataset(tmp_path).records()] == ["a.png"]


def test_nothing_there(tmp_path):
    with pytest.raises(FgvrError, match="no photo in"):
        FolderDataset(tmp_path).records()
    with pytest.raises(FgvrError, match="no folder"):
        FolderDataset(tmp_path / "missing").records()


def test_split_folders_beside_others_are_refused(tmp_path, draw):
    draw("train/Pug/a.png"), draw("notes/b.png")
    with pytest.raises(FgvrError, match=r"has split folders \(train\) and others \(notes\)"):
        FolderDataset(tmp_path).records()


def test_links_to_folders_are_followed(tmp_path, draw):
    draw("elsewhere/a.png")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/Pug").symlink_to(tmp_path / "elsewhere")
    assert found(FolderDataset(tmp_path / "photos")) == [("Pug/a.png", "support", "Pug")]
