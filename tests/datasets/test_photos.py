import pytest

from fgvr.datasets.folder import FolderDataset
from fgvr.datasets.photos import read_photos
from fgvr.errors import FgvrError


@pytest.fixture
def photos(tmp_path, draw):
    for split, names in {"train": ("Pug", "Beagle"), "test": ("Pug",)}.items():
        for name in names:
            for number in range(3):
                draw(f"photos/{split}/{name}/{number}.png", (number, len(name), len(split)))
    return read_photos(FolderDataset(tmp_path / "photos"), tmp_path / "cache")


def test_true_names_are_kept_apart_from_the_photos(photos):
    records = [record for records in photos.splits.values() for record in records]
    assert {record.true_name for record in records} == {None}
    assert {record.true_name for record in photos.draw_support(2, None, 0)} == {None}
    assert photos.truth["train/Beagle/0.png"] == "Beagle"
    assert photos.known_names == ("Beagle", "Pug")


def test_the_draw_is_from_the_support_split(photos):
    drawn = photos.draw_support(2, None, 0)
    assert [photos.truth[record.sample_id] for record in drawn] == ["Beagle", "Beagle", "Pug", "Pug"]
    assert {record.split for record in drawn} == {"support"}
    assert len(photos.splits["support"]) == 6


def test_a_split_that_is_not_there(photos):
    assert photos.evaluated_split == "test"
    with pytest.raises(FgvrError, match=r"needs photos in the split 'val', but there are 3 in 'test', 6 in 'support'"):
        photos.require_split("val")
