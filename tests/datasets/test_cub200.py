import pytest

from fgvr.datasets.cub200 import Cub200Dataset
from fgvr.errors import FgvrError


@pytest.fixture
def root(tmp_path):
    (tmp_path / "images.txt").write_text("1 001.Black_footed_Albatross/a.jpg\n2 002.Laysan_Albatross/b.jpg\n")
    (tmp_path / "train_test_split.txt").write_text("1 0\n2 1\n")
    return tmp_path


def test_official_split_and_names(root):
    first, second = Cub200Dataset(root).records()
    assert (first.sample_id, first.split, first.true_name) == (
        "images/001.Black_footed_Albatross/a.jpg",
        "test",
        "Black footed Albatross",
    )
    assert (second.split, second.path) == ("support", root / "images/002.Laysan_Albatross/b.jpg")


def test_what_is_missing_is_named(root):
    (root / "train_test_split.txt").write_text("1 0\n")
    with pytest.raises(FgvrError, match=r"train_test_split\.txt: image 2"):
        Cub200Dataset(root).records()
    (root / "images.txt").unlink()
    with pytest.raises(FgvrError, match=r"images\.txt.*CUB_200_2011\.tgz"):
        Cub200Dataset(root).records()
