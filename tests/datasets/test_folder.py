import re
import time
from pathlib import Path

import pytest

from fgvr.datasets.folder import FolderDataset
from fgvr.errors import FgvrError

PAGE = Path(__file__).parents[2] / "docs/reference/folders.md"
ROWS = re.findall(r"^\| ([^|`]+) \| (`[^|]+`) \| ([^|]+) \|$", PAGE.read_text(), re.MULTILINE)


def found(dataset):
    return [(r.sample_id, r.split, r.true_name) for r in dataset.records()]


def read(root, *files, **options):
    """Sample id -> split and true name."""
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).touch()
    return {r.sample_id: f"{r.split}: {r.true_name}" for r in FolderDataset(root, **options).records()}


@pytest.mark.parametrize(("layout", "photos", "expected"), ROWS, ids=[row[0] for row in ROWS])
def test_the_page_says_what_is_made_of_a_layout(tmp_path, layout, photos, expected):
    files, cells = re.findall("`(.+?)`", photos), re.findall("`(.+?)`", expected)
    if expected.startswith("refused"):
        with pytest.raises(FgvrError, match=r"two ways: ") as caught:
            read(tmp_path, *files)
        assert all(f"data.dataset.{option}" in str(caught.value) for option in cells)
        assert "\n" not in str(caught.value)
        return
    says = {file: cell if ":" in cell else f"{cell}: None" for file, cell in zip(files, cells, strict=True)}
    assert read(tmp_path, *files) == {file: cell for file, cell in says.items() if cell != "no photo: None"}


def test_the_page_has_enough_layouts():
    assert len(ROWS) >= 12


def test_a_flat_folder_has_no_classes(tmp_path, draw):
    draw("b.png"), draw("a.png")
    assert found(FolderDataset(tmp_path)) == [("a.png", "support", None), ("b.png", "support", None)]


def test_class_folders(tmp_path, draw):
    draw("001.House_Finch/a.png"), draw("2CV/deep/b.png")
    assert found(FolderDataset(tmp_path)) == [
        ("001.House_Finch/a.png", "support", "001.House Finch"),  # no index: the other has none
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


def test_records_are_sorted_by_sample_id(tmp_path):
    ids = list(read(tmp_path, "Pug/b.jpg", "Pug mix/a.jpg", "Pug-a/a.jpg", "a.jpg"))
    assert ids == sorted(ids)


def test_other_files_and_hidden_ones_are_left_out(tmp_path, draw):
    draw("a.png"), draw(".cache/b.png"), draw(".hidden.png")
    (tmp_path / "notes.txt").write_text("no photo")
    dataset = FolderDataset(tmp_path)
    assert [r.sample_id for r in dataset.records()] == ["a.png"]
    assert dataset.remarks == ()


def test_nothing_there(tmp_path):
    with pytest.raises(FgvrError, match="no photo in"):
        FolderDataset(tmp_path).records()
    with pytest.raises(FgvrError, match="no folder"):
        FolderDataset(tmp_path / "missing").records()
    with pytest.raises(FgvrError, match=r"no photo in .* 1 \.CR2 \(a\.cr2\)\. Convert raw files"):
        read(tmp_path, "a.cr2")


def test_split_folders_beside_others_are_refused(tmp_path, draw):
    draw("train/Pug/a.png"), draw("notes/b.png")
    with pytest.raises(FgvrError, match=r"has split folders \(train\) and others \(notes\).*data\.dataset\.layout"):
        FolderDataset(tmp_path).records()


def test_links_to_folders_are_followed(tmp_path, draw):
    draw("elsewhere/a.png")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/Pug").symlink_to(tmp_path / "elsewhere")
    assert found(FolderDataset(tmp_path / "photos")) == [("Pug/a.png", "support", "Pug")]


UNDERSTOOD = {
    "unpacked twice": ["train/train/Pug/a.jpg support: Pug", "test1/test1/b.jpg test: None"],
    "unpacked twice, after a name": [
        "seg_train/seg_train/sea/a.jpg support: sea",
        "seg_test/seg_test/ice/b.jpg test: ice",
    ],
    "images in splits": ["train/images/a.jpg support: None", "valid/images/b.jpg val: None"],
    "classes in images in splits": ["train/images/Pug/a.jpg support: Pug", "test/Pug/b.jpg test: Pug"],
    "a folder in all splits": [
        *(
            "train/dogs/Pug/a.jpg support: Pug",
            "train/dogs/Boxer/a.jpg support: Boxer",
            "test/dogs/Pug/b.jpg test: Pug",
        ),
    ],
    "vehicles in splits": [
        *("train/bus/a.jpg support: bus", "train/train/b.jpg support: train"),
        *("test/bus/c.jpg test: bus", "test/train/d.jpg test: train"),
    ],
    "classes called by number in splits": ["train/0/a.jpg support: 0", "test/0/b.jpg test: 0", "test/1/c.jpg test: 1"],
    "classes called by number around splits": ["0/train/a.jpg support: 0", "1/test/b.jpg test: 1"],
    "a name around classes": [
        "CUB_200/images/001.Finch/a.jpg support: Finch",
        "CUB_200/images/002.Jay/b.jpg support: Jay",
    ],
    "one index in two splits": ["train/1.Pug/a.jpg support: Pug", "test/2.Boxer/b.jpg test: Boxer"],
    "denominations in two splits": ["train/1_Euro/a.jpg support: 1 Euro", "test/2_Euro/b.jpg test: 2 Euro"],
    "one class": ["Pug/deep/a.jpg support: Pug", "Pug/b.jpg support: Pug"],
    "only training photos": ["train/Pug/a.jpg support: Pug", "train/Boxer/b.jpg support: Boxer"],
    "a split of splits": ["train_data/train/Pug/a.jpg support: Pug", "train_data/val/Pug/b.jpg val: Pug"],
    "images in splits in classes": ["Pug/train/images/a.jpg support: Pug", "Boxer/test/b.jpg test: Boxer"],
    "a class called labels": ["labels/a.jpg support: labels", "tags/b.jpg support: tags"],
    "classes with words of splits": ["test tube/a.jpg support: test tube", "crash_test/b.jpg support: crash test"],
    "a training folder in a class": [
        "rail/train/a.jpg support: rail",
        "rail/tram/b.jpg support: rail",
        "road/c.jpg support: road",
    ],
}


@pytest.mark.parametrize("lines", UNDERSTOOD.values(), ids=UNDERSTOOD)
def test_layouts_that_are_understood(tmp_path, lines):
    expected = dict(re.split(r"(?<=\.jpg) ", line) for line in lines)
    assert read(tmp_path, *expected) == expected


REFUSED = {
    "a class that is called after test photos": ["Pug/a.jpg", "test/b.jpg"],
    "two that differ from a third": ["train/a.jpg", "test/b.jpg", "test-multiple_fruits/c.jpg"],
    "photos that are to be named": ["seg_train/sea/a.jpg", "seg_test/sea/b.jpg", "seg_pred/c.jpg"],
    "all photos once more": ["train/Pug/a.jpg", "test/Pug/b.jpg", "images/c.jpg"],
    "deep in a group": ["hounds/Afghan/test/a.jpg", "toys/Pug/b.jpg"],
    "a test folder in training photos": ["train/test/a.jpg", "train/Pug/b.jpg", "test/Pug/c.jpg"],
    "some classes with splits": ["Pug/train/a.jpg", "Pug/test/b.jpg", "Boxer/c.jpg"],
    "photos beside splits in a class": ["Pug/train/a.jpg", "Pug/test/b.jpg", "Pug/c.jpg", "Boxer/test/d.jpg"],
    "splits between folders": ["dogs/train/Pug/a.jpg", "dogs/test/Pug/b.jpg", "cats/train/Manx/c.jpg"],
    "folds": ["fold_1/train/a.jpg", "fold_1/test/b.jpg", "fold_2/train/b.jpg", "fold_2/test/a.jpg"],
    "vehicles around splits": ["bus/train/a.jpg", "bus/test/b.jpg", "train/train/c.jpg", "train/test/d.jpg"],
    "pictures and depths": ["images/train/a.jpg", "images/test/b.jpg", "thermal/train/a.jpg", "thermal/test/b.jpg"],
    "others in a wrapper": ["data/train/a.jpg", "data/test/b.jpg", "data/spare/c.jpg"],
}


@pytest.mark.parametrize("files", REFUSED.values(), ids=REFUSED)
def test_layouts_that_are_refused(tmp_path, files):
    with pytest.raises(FgvrError, match=r"can be read in two ways: .*[Ss]et data\.dataset\.") as caught:
        read(tmp_path, *files)
    assert "\n" not in str(caught.value)
    # with a word, everything can be read
    assert len(read(tmp_path, layout="class")) == len(files)


@pytest.mark.parametrize(
    ("layout", "expected"),
    [
        ("class", {"car/train/a.jpg": "support: car", "train/test/b.jpg": "support: train"}),
        ("class/split", {"car/train/a.jpg": "support: car", "train/test/b.jpg": "test: train"}),
        ("any/split", {"car/train/a.jpg": "support: None", "train/test/b.jpg": "test: None"}),
        ("any/class", {"car/train/a.jpg": "support: train", "train/test/b.jpg": "support: test"}),
        ("split/class/", {"train/test/b.jpg": "support: test"}),
    ],
)
def test_a_layout_that_is_given(tmp_path, layout, expected):
    assert read(tmp_path, "car/train/a.jpg", "train/test/b.jpg", layout=layout) == expected


def test_what_a_given_layout_leaves_out_is_said(tmp_path):
    read(tmp_path, "train/Pug/a.jpg", "notes/b.jpg", "c.jpg", layout="split/class")
    dataset = FolderDataset(tmp_path, layout="split/class")
    assert found(dataset) == [("c.jpg", "support", None), ("train/Pug/a.jpg", "support", "Pug")]
    left_out, loose = dataset.remarks
    assert left_out.startswith("1 photo is left out, in folders of")
    assert "neither splits nor classes: notes. If" in left_out
    assert loose.startswith("1 photo is in")
    assert "beside the split folders" in loose


@pytest.mark.parametrize("layout", ["", "split/splits", "class/class", "*/split", "klass"])
def test_a_layout_that_is_none(tmp_path, layout):
    with pytest.raises(FgvrError, match=r"data\.dataset\.layout is .*; expected .*split/class"):
        FolderDataset(tmp_path, layout=layout)


def test_a_given_layout_without_splits(tmp_path):
    with pytest.raises(FgvrError, match=r"says that 'a', 'b' are splits.*data\.dataset\.splits"):
        read(tmp_path, "a/x.jpg", "b/y.jpg", layout="split/class")


def test_splits_that_are_given(tmp_path):
    files = ("Lernen/Pug/a.jpg", "Prüfen/Pug/b.jpg", "train/c.jpg")
    splits = {"Lernen": "train", "Prüfen": "test"}
    assert read(tmp_path, *files, splits=splits) == {
        "Lernen/Pug/a.jpg": "support: Pug",
        "Prüfen/Pug/b.jpg": "test: Pug",
    }
    assert read(tmp_path, layout="split/class", splits=splits) == read(tmp_path, splits=splits)
    with pytest.raises(FgvrError, match=r"data\.dataset\.splits names 'Lehren', but no folder"):
        read(tmp_path, splits={"Lehren": "support"})
    with pytest.raises(FgvrError, match=r"data\.dataset\.splits\.Lernen is 'learn'; expected support, val or test"):
        FolderDataset(tmp_path, splits={"Lernen": "learn"})


def test_without_class_folders_splits_are_splits(tmp_path):
    assert read(tmp_path, "train/2019/a.jpg", "test/2020/b.jpg", class_folders=False) == {
        "train/2019/a.jpg": "support: None",
        "test/2020/b.jpg": "test: None",
    }


@pytest.mark.parametrize(
    "beside", ["__MACOSX/train/x.jpg", "annotations/x.xml", "labels/train/x.txt", "masks/x.png", ".git/x.png"]
)
def test_what_is_beside_splits_is_no_obstacle(tmp_path, beside):
    photos = read(tmp_path, "train/Pug/a.jpg", "test/Pug/b.jpg", beside)
    assert photos == {"train/Pug/a.jpg": "support: Pug", "test/Pug/b.jpg": "test: Pug"}
    dataset = FolderDataset(tmp_path)
    dataset.records()
    assert len(dataset.remarks) == (beside == "masks/x.png")


def test_a_wrapper_that_may_be_a_class_is_mentioned(tmp_path):
    files = ("Birds/Finch/a.jpg", "Birds/Jay/b.jpg")
    assert set(read(tmp_path, *files).values()) == {"support: Finch", "support: Jay"}
    dataset = FolderDataset(tmp_path)
    dataset.records()
    assert "'Birds'" in dataset.remarks[0]
    assert "data.dataset.layout to class." in dataset.remarks[0]
    assert set(read(tmp_path, layout="class").values()) == {"support: Birds"}


@pytest.mark.parametrize("file", ["train_test_split.txt", "test.csv", "annotations/test.txt", "lists/test_list.mat"])
def test_lists_of_test_photos_are_mentioned(tmp_path, file):
    read(tmp_path, "images/Pug/a.jpg", file)
    dataset = FolderDataset(tmp_path)
    dataset.records()
    assert f"{file!r} in {str(tmp_path)!r} may list test photos" in dataset.remarks[0]


def test_many_files_are_listed_in_seconds(tmp_path):
    for number in range(100):
        (tmp_path / f"class {number}").mkdir()
        for photo in range(200):
            (tmp_path / f"class {number}/{photo}.jpg").touch()
    start = time.monotonic()
    assert len(FolderDataset(tmp_path).records()) == 20_000
    assert time.monotonic() - start < 5


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (["n02085620/a.jpg", "n02088094/b.jpg"], True),
        (["train/n02085620/a.jpg", "val/n02085620/b.jpg", "test/c.jpg"], True),
        (["n02085620-Chihuahua/a.jpg", "n02088094/b.jpg"], False),
        (["n02085620_Chihuahua/a.jpg", "n02088094_Afghan_hound/b.jpg"], False),
        (["a.jpg", "b.jpg"], False),
    ],
)
def test_ids_of_wordnet_as_true_names_are_remarked_on(tmp_path, files, said):
    read(tmp_path, *files)
    dataset = FolderDataset(tmp_path)
    dataset.records()
    assert any("are called by WordNet ids alone, such as 'n020" in remark for remark in dataset.remarks) == said
