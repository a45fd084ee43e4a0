import pytest

from fgvr.datasets.folder import FolderDataset
from fgvr.datasets.images import read_images
from fgvr.errors import FgvrError


@pytest.fixture
def images(tmp_path, draw):
    for split, names in {"train": ("Pug", "Beagle"), "test": ("Pug",)}.items():
        for name in names:
            for number in range(3):
                draw(f"photos/{split}/{name}/{number}.png", (number, len(name), len(split)))
    return read_images(FolderDataset(tmp_path / "photos"), tmp_path / "cache")


def test_true_names_are_kept_apart_from_the_photos(images):
    records = [record for records in images.splits.values() for record in records]
    assert {record.true_name for record in records} == {None}
    assert {record.true_name for record in images.draw_support(2, None, 0)} == {None}
    assert images.truth["train/Beagle/0.png"] == "Beagle"
    assert images.known_names == ("Beagle", "Pug")


def test_the_draw_is_from_the_support_split(images):
    drawn = images.draw_support(2, None, 0)
    assert [images.truth[record.sample_id] for record in drawn] == ["Beagle", "Beagle", "Pug", "Pug"]
    assert {record.split for record in drawn} == {"support"}
    assert len(images.splits["support"]) == 6


def test_a_split_that_is_not_there(images):
    assert images.evaluated_split == "test"
    with pytest.raises(FgvrError, match=r"needs photos in the split 'val', but there are 3 in 'test', 6 in 'support'"):
        images.require_split("val")
