import re
from pathlib import Path

import pytest

from fgvr.photo_paths import PhotoPaths, posix_path, shared_ending

PHOTOS = PhotoPaths(
    ["train/heron/a.jpg", "train/stork/a.jpg", "train/heron/b.jpg", "c d.jpg", "Café.png", "test/B.JPG"]
)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("train/heron/a.jpg", ["train/heron/a.jpg"]),
        (r"train\heron\a.jpg", ["train/heron/a.jpg"]),
        ("./train//heron/./a.jpg", ["train/heron/a.jpg"]),
        ("heron/a.jpg", ["train/heron/a.jpg"]),
        ("a.jpg", ["train/heron/a.jpg", "train/stork/a.jpg"]),
        ("b.jpg", ["train/heron/b.jpg"]),
        ("data/train/stork/a.jpg", ["train/stork/a.jpg"]),
        ("../train/stork/a.jpg", ["train/stork/a.jpg"]),
        ("/home/me/data/train/stork/a.jpg", ["train/stork/a.jpg"]),
        ("C:\\Users\\me\\data\\train\\stork\\a.jpg", ["train/stork/a.jpg"]),
        ("\\\\server\\photos\\c d.jpg", ["c d.jpg"]),
        ("file:///C:/data/c%20d.jpg", ["c d.jpg"]),
        ("https://example.org/data/train/heron/b.jpg?token=1", ["train/heron/b.jpg"]),
        ("s3://bucket/train/stork/a.jpg", ["train/stork/a.jpg"]),
        ("/data/local-files/?d=train%2Fheron%2Fa.jpg", ["train/heron/a.jpg"]),
        ("/data/upload/3/0f3a9c1b-c d.jpg", ["c d.jpg"]),
        ("/data/upload/3/0f3a9c1b-b.jpg", ["train/heron/b.jpg"]),
        ("0f3a9c1b-c d.jpg", ["c d.jpg"]),
        ("b_jpg.rf.4c9f2a7de1b05c83aa61d07e5f3b9c12.jpg", ["train/heron/b.jpg"]),
        ("heron/b_jpg.rf.xYz0123456789AbCdEfG.jpg", ["train/heron/b.jpg"]),
        ("B_JPG.rf.4c9f2a7de1b05c83aa61d07e5f3b9c12.jpg", ["test/B.JPG"]),
        ("stork/b_jpg.rf.4c9f2a7de1b05c83aa61d07e5f3b9c12.jpg", []),
        ("b_txt.rf.4c9f2a7de1b05c83aa61d07e5f3b9c12.jpg", []),
        ("photos/Cafe\u0301.png", ["Café.png"]),
        ("photos/Caf%C3%A9.png", ["Café.png"]),
        ("Train/Heron/B.jpg", ["train/heron/b.jpg"]),
        ("Test/b.jpg", ["test/B.JPG"]),
        ("other/heron/a.jpg", []),
        ("d.jpg", []),
        ("xa.jpg", []),
        ("/elsewhere/a.jpg", []),
        ("heron", []),
        ("", []),
        ("/", []),
        ("http://[", []),
    ],
)
def test_what_a_path_means(written, meant):
    assert PHOTOS.find(written) == meant


def test_the_longest_of_the_ids_that_a_path_holds():
    paths = PhotoPaths(["a.jpg", "x/a.jpg"])
    assert paths.find("/photos/x/a.jpg") == ["x/a.jpg"]
    assert paths.find("/photos/y/a.jpg") == ["a.jpg"]


def test_an_id_in_which_the_path_ends_goes_before_one_that_ends_in_it():
    assert PhotoPaths(["a.jpg", "train/x/a.jpg"]).find("x/a.jpg") == ["train/x/a.jpg"]


def test_names_that_differ_in_capitals_only_are_not_told_apart_by_guessing():
    paths = PhotoPaths(["x/a.jpg", "x/A.jpg"])
    assert (paths.find("x/a.jpg"), paths.find("X/a.jpg")) == (["x/a.jpg"], [])


def test_shared_ending():
    assert shared_ending("/data/train/a.jpg", "a.jpg") == 1
    assert shared_ending("a.jpg", "b.jpg") == 0


@pytest.mark.parametrize("text", ["x/a.jpg", "x\\a.jpg", " ./x//a.jpg "])
def test_a_path_has_one_spelling(text):
    assert posix_path(text) == "x/a.jpg"


PAGE = Path(__file__).parents[1] / "docs/reference/tables.md"
ROWS = re.findall(r"^\| (`.+`) \| (`.+`|nothing) \| .+ \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)


@pytest.mark.parametrize(("written", "meant"), ROWS, ids=[written for written, _ in ROWS])
def test_the_page_says_what_a_path_means(written, meant):
    paths = PhotoPaths(["heron/a.jpg", "heron/b.jpg", "stork/c.jpg"])
    for path in re.findall("`(.+?)`", written):
        assert paths.find(path) == re.findall("`(.+?)`", meant)


def test_the_page_has_its_rows():
    assert len(ROWS) == 10
