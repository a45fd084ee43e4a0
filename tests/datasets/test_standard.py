"""The data sets with CoOp's splits, each against a small copy in the layout of CoOp's DATASETS.md."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from fgvr.datasets.split_file import ListedImage, read_split_file, spaced
from fgvr.errors import FgvrError
from fgvr.registry import DATASETS

# name -> image folder, split file, and two entries of it as CoOp writes them
SETS = {
    "caltech101": (
        "101_ObjectCategories",
        "split_zhou_Caltech101.json",
        ["airplanes/image_0001.jpg", 0, "airplane"],
        ["windsor_chair/image_0002.jpg", 94, "windsor_chair"],
    ),
    "dtd": (
        "images",
        "split_zhou_DescribableTextures.json",
        ["banded/banded_0002.jpg", 0, "banded"],
        ["polka-dotted/polka-dotted_0001.jpg", 30, "polka-dotted"],
    ),
    "eurosat": (
        "2750",
        "split_zhou_EuroSAT.json",
        ["AnnualCrop/AnnualCrop_1.jpg", 0, "Annual Crop Land"],
        ["SeaLake/SeaLake_9.jpg", 9, "Sea or Lake"],
    ),
    "flowers102": (
        "jpg",
        "split_zhou_OxfordFlowers.json",
        ["image_00001.jpg", 76, "passion flower"],
        ["image_00002.jpg", 12, "colt's foot"],
    ),
    "food101": (
        "images",
        "split_zhou_Food101.json",
        ["apple_pie/1005649.jpg", 0, "apple_pie"],
        ["hot_dog/3.jpg", 54, "hot_dog"],
    ),
    "oxford_pets": (
        "images",
        "split_zhou_OxfordPets.json",
        ["american_bulldog_100.jpg", 1, "american_bulldog"],
        ["Russian_Blue_1.jpg", 28, "russian_blue"],
    ),
    "stanford_cars": (
        "",
        "split_zhou_StanfordCars.json",
        ["cars_train/00001.jpg", 13, "2012 Audi TTS Coupe"],
        ["cars_test/00001.jpg", 180, "2012 Suzuki SX4 Sedan"],
    ),
    "sun397": (
        "SUN397",
        "split_zhou_SUN397.json",
        ["a/abbey/sun_a.jpg", 0, "abbey"],
        ["a/apartment_building/outdoor/sun_b.jpg", 6, "outdoor apartment_building"],
    ),
    "ucf101": (
        "UCF-101-midframes",
        "split_zhou_UCF101.json",
        ["Apply_Eye_Makeup/v_ApplyEyeMakeup_g08_c01.jpg", 0, "Apply_Eye_Makeup"],
        ["Handstand_Pushups/v_HandStandPushups_g01_c01.jpg", 36, "Handstand_Pushups"],
    ),
}
# train, val and test photos, and classes, of the table in CoOp's appendix A as later papers repeat it; photos that
# LatteCLIP's code trains on
COUNTS = {
    "caltech101": (4_128, 1_649, 2_465, 100, 5_777),
    "dtd": (2_820, 1_128, 1_692, 47, 3_948),
    "eurosat": (13_500, 5_400, 8_100, 10, 18_900),
    "fgvc_aircraft": (3_334, 3_333, 3_333, 100, 6_667),
    "flowers102": (4_093, 1_633, 2_463, 102, 5_726),
    "food101": (50_500, 20_200, 30_300, 101, 70_700),
    "oxford_pets": (2_944, 736, 3_669, 37, 3_680),
    "stanford_cars": (6_509, 1_635, 8_041, 196, 8_144),
    "sun397": (15_880, 3_970, 19_850, 397, 19_850),
    "ucf101": (7_639, 1_898, 3_783, 101, 9_537),
}


@pytest.fixture(params=SETS)
def standard(request, tmp_path):
    """Name and root of a data set whose split has the two photos in ``train`` and, as other files, in the others."""
    folder, split_file, *entries = SETS[request.param]
    (tmp_path / folder).mkdir(exist_ok=True)
    split = {
        "train": entries,
        "val": [[f"val/{file}", *rest] for file, *rest in entries[:1]],
        "test": [[f"test/{file}", *rest] for file, *rest in entries],
    }
    (tmp_path / split_file).write_text(json.dumps(split))
    return request.param, tmp_path


def build(name, root, **options):
    return DATASETS.load(name)(root, **options)


def test_train_and_val_are_support_photos(standard):
    name, root = standard
    folder, _, *entries = SETS[name]
    records = build(name, root).records()
    assert [r.sample_id for r in records] == sorted(r.sample_id for r in records)
    assert sorted(r.split for r in records) == ["support"] * 3 + ["test"] * 2
    prefix = f"{folder}/" if folder else ""
    for file, _, written in entries:
        record = next(r for r in records if r.sample_id == f"{prefix}{file}")
        assert (record.path, record.split) == (root / folder / file, "support")
        assert record.true_name == written.replace("_", " ")
        assert record.digest == ""


def test_val_can_stay_apart(standard):
    name, root = standard
    splits = [r.split for r in build(name, root, train_and_val=False).records()]
    assert sorted(splits) == ["support"] * 2 + ["test"] * 2 + ["val"]


def test_a_split_file_elsewhere(standard, tmp_path):
    name, root = standard
    (root / SETS[name][1]).rename(root / "mine.json")
    assert len(build(name, root, split_file=root / "mine.json").records()) == 5


def test_a_missing_split_file_says_where_it_is_from(standard):
    name, root = standard
    (root / SETS[name][1]).unlink()
    with pytest.raises(FgvrError) as caught:
        build(name, root).records()
    message = str(caught.value)
    assert f"There is no '{root / SETS[name][1]}'" in message
    assert "https://drive.google.com/file/d/" in message
    assert "DATASETS.md" in message
    assert "set data.dataset.split_file to it." in message
    assert ("set data.dataset.official to true" in message) == (name not in ("eurosat", "caltech101"))


def test_missing_photos_say_where_they_are_from(standard):
    name, root = standard
    if not SETS[name][0]:
        return  # its lists are relative to the root
    (root / SETS[name][0]).rmdir()
    with pytest.raises(FgvrError, match=r"There are no photos of \w+ in .*(`fgvr data download|https://)"):
        build(name, root).records()


@pytest.mark.parametrize("name", COUNTS)
def test_expected_counts(name, tmp_path):
    train, val, test, classes, latteclip = COUNTS[name]
    assert build(name, tmp_path).expected() == {"support": train + val, "test": test}
    assert build(name, tmp_path, train_and_val=False).expected() == {"support": train, "val": val, "test": test}
    assert build(name, tmp_path).info.classes == classes
    assert train + val == latteclip


@pytest.mark.parametrize("name", ["oxford_pets", "stanford_cars", "sun397", "ucf101"])
def test_where_the_official_lists_are_the_same_photos(name, tmp_path):
    assert build(name, tmp_path, official=True).expected() == build(name, tmp_path).expected()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "line 1: not JSON"),
        ('{"train": [], "val": []}', "'train', 'val' and 'test'"),
        (
            '{"train": [["a.jpg", 0]], "val": [], "test": []}',
            r"train\[0\]: expected \[path, class number, class name\]",
        ),
        ('{"train": [], "val": [], "test": [["a.jpg", 0, " "]]}', r"test\[0\]: expected"),
        ('{"train": [{"file": "a.jpg"}], "val": [], "test": []}', r"train\[0\]: expected"),
        ("[" * 100_000, "not a split file"),
        (f'{{"train": [["a.jpg", {"1" * 10_000}, "x"]], "val": [], "test": []}}', "not a split file"),
    ],
)
def test_a_damaged_split_file(tmp_path, content, message):
    path = tmp_path / "split.json"
    path.write_text(content)
    with pytest.raises(FgvrError, match=message):
        read_split_file(path)


def test_lists_in_lists_of_any_depth(tmp_path):
    """Where one more is too much for the message, but not for reading."""
    path = tmp_path / "split.json"
    for depth in range(10, 1100, 7):
        path.write_text(f'{{"train": [{"[" * depth}{"]" * depth}], "val": [], "test": []}}')
        with pytest.raises(FgvrError, match=r"train\[0\]: expected|not a split file"):
            read_split_file(path)


NO_PLAIN_PATHS = ["../a.jpg", "/a.jpg", "b/../a.jpg", "./a.jpg", "b/./a.jpg", "b//a.jpg", "b/", ".", ""]


@pytest.mark.parametrize("file", [*NO_PLAIN_PATHS, "..\\a.jpg", "a\0.jpg", "a\x1b[2J.jpg", "\ud800.jpg"])
def test_a_split_file_of_other_paths(tmp_path, file):
    path = tmp_path / "split.json"
    path.write_text(json.dumps({"train": [], "val": [["a.jpg", 0, "x"], [file, 0, "x"]], "test": []}))
    words = "is not a plain path below|has a character that cannot be printed"
    with pytest.raises(FgvrError, match=rf"val\[1\]: {re.escape(repr(file))} ({words})"):
        read_split_file(path)


def test_a_split_file_of_names_that_cannot_be_printed(tmp_path):
    path = tmp_path / "split.json"
    path.write_text(json.dumps({"train": [["a.jpg", 0, "Pug\x1b[2J"]], "val": [], "test": []}))
    with pytest.raises(FgvrError, match=r"train\[0\]: 'a.jpg' has the class name 'Pug\\x1b\[2J'"):
        read_split_file(path)


@pytest.mark.parametrize("file", NO_PLAIN_PATHS)
def test_official_lists_of_other_paths(tmp_path, monkeypatch, file):
    (tmp_path / "2750").mkdir()
    reader = build("eurosat", tmp_path)
    monkeypatch.setattr(reader, "listed", lambda: [ListedImage("train", file, "Forest")])
    with pytest.raises(FgvrError, match=rf"name {re.escape(repr(file))} in train, which is not a plain path"):
        reader.records()


def test_official_lists_whose_paths_lead_out(tmp_path):
    lines(tmp_path / "Training_01.txt", "/a/attic/x.jpg", "/a/../../b.jpg")
    lines(tmp_path / "Testing_01.txt")
    with pytest.raises(FgvrError, match=r"name 'a/\.\./\.\./b\.jpg' in train, which is not a plain path"):
        build("sun397", tmp_path, official=True).records()
    lines(tmp_path / "Training_01.txt", "/a.jpg")
    with pytest.raises(FgvrError, match=r"name 'a\.jpg' in train, which has the class name ''"):
        build("sun397", tmp_path, official=True).records()


def test_a_split_file_from_another_system(tmp_path):
    path = tmp_path / "split.json"
    path.write_text(json.dumps({"train": [[r"Forest\Forest_1.jpg", 1, "Forest"]], "val": [], "test": []}))
    assert [image.file for image in read_split_file(path)] == ["Forest/Forest_1.jpg"]


def test_a_photo_in_two_parts_is_refused(tmp_path):
    (tmp_path / "2750").mkdir()
    entry = ["AnnualCrop/AnnualCrop_1.jpg", 0, "Annual Crop Land"]
    (tmp_path / "split_zhou_EuroSAT.json").write_text(json.dumps({"train": [entry], "val": [], "test": [entry]}))
    with pytest.raises(FgvrError, match=r"name 1 photo more than once; the first is 'AnnualCrop.*', in train and test"):
        build("eurosat", tmp_path).records()


@pytest.mark.parametrize("name", ["food101", "oxford_pets", "stanford_cars", "sun397", "ucf101"])
def test_official_lists_without_validation_photos(name, tmp_path):
    with pytest.raises(FgvrError, match="no validation photos"):
        build(name, tmp_path, official=True, train_and_val=False)
    with pytest.raises(FgvrError, match="not both"):
        build(name, tmp_path, official=True, split_file=tmp_path / "split.json")


def listed(name, root, **options):
    return [(r.sample_id, r.split, r.true_name) for r in build(name, root, **options).records()]


def lines(path, *texts):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{text}\n" for text in texts))


@pytest.mark.parametrize("above", ["", "data", "fgvc-aircraft-2013b/data"])
def test_aircraft_in_every_layout(tmp_path, above):
    data = tmp_path / above
    (data / "images").mkdir(parents=True)
    lines(data / "images_variant_train.txt", "0034309 707-320")
    lines(data / "images_variant_val.txt", "0056978 737 MAX 8")
    lines(data / "images_variant_test.txt", "", "1514522 707-320")
    assert listed("fgvc_aircraft", tmp_path, train_and_val=False) == [
        ("images/0034309.jpg", "support", "707-320"),
        ("images/0056978.jpg", "val", "737 MAX 8"),
        ("images/1514522.jpg", "test", "707-320"),
    ]
    lines(data / "images_variant_test.txt", "1514522")
    with pytest.raises(FgvrError, match=r"images_variant_test\.txt: expected an image number"):
        build("fgvc_aircraft", tmp_path).records()
    (data / "images_variant_val.txt").unlink()
    with pytest.raises(FgvrError, match=r"images_variant_val\.txt', a list of FGVCAircraft.*`fgvr data download"):
        build("fgvc_aircraft", tmp_path).records()


@pytest.mark.parametrize("above", ["", "dtd"])
def test_dtd_official(tmp_path, above):
    (tmp_path / above / "images").mkdir(parents=True)
    for part in ("train", "val", "test"):
        lines(tmp_path / above / f"labels/{part}1.txt", f"polka-dotted/{part}.jpg")
    assert listed("dtd", tmp_path, official=True, train_and_val=False) == [
        ("images/polka-dotted/test.jpg", "test", "polka-dotted"),
        ("images/polka-dotted/train.jpg", "support", "polka-dotted"),
        ("images/polka-dotted/val.jpg", "val", "polka-dotted"),
    ]
    assert build("dtd", tmp_path, official=True).expected() == {"support": 3_760, "test": 1_880}


def test_food_official(tmp_path):
    (tmp_path / "images").mkdir()
    lines(tmp_path / "meta/train.json", '{"apple_pie": ["apple_pie/1", "apple_pie/2"]}')
    lines(tmp_path / "meta/test.json", '{"apple_pie": ["apple_pie/3"]}')
    assert listed("food101", tmp_path, official=True) == [
        ("images/apple_pie/1.jpg", "support", "apple pie"),
        ("images/apple_pie/2.jpg", "support", "apple pie"),
        ("images/apple_pie/3.jpg", "test", "apple pie"),
    ]
    lines(tmp_path / "meta/test.json", "[]")
    with pytest.raises(FgvrError, match=r"test\.json: expected a JSON object"):
        build("food101", tmp_path, official=True).records()


def test_flowers_official(tmp_path):
    (tmp_path / "jpg").mkdir()
    savemat(tmp_path / "setid.mat", {"trnid": [[1, 3]], "valid": [[2, 5]], "tstid": [[4, 6]]})
    savemat(tmp_path / "imagelabels.mat", {"labels": [[2, 2, 1, 1, 1, 2]]})
    lines(tmp_path / "cat_to_name.json", '{"1": "pink primrose", "2": "globe-flower"}')
    assert listed("flowers102", tmp_path, official=True, train_and_val=False) == [
        ("jpg/image_00001.jpg", "support", "globe-flower"),
        ("jpg/image_00002.jpg", "val", "globe-flower"),
        ("jpg/image_00003.jpg", "support", "pink primrose"),
        ("jpg/image_00004.jpg", "test", "pink primrose"),
        ("jpg/image_00005.jpg", "val", "pink primrose"),
        ("jpg/image_00006.jpg", "test", "globe-flower"),
    ]
    lines(tmp_path / "setid.mat", "no matrix" * 20)
    with pytest.raises(FgvrError, match=r"setid\.mat: expected a MATLAB file with 'trnid'"):
        build("flowers102", tmp_path, official=True).records()
    (tmp_path / "cat_to_name.json").unlink()
    with pytest.raises(FgvrError, match=r"no '.*cat_to_name\.json'.*https://drive"):
        build("flowers102", tmp_path, official=True).records()


def test_pets_official(tmp_path):
    (tmp_path / "images").mkdir()
    lines(tmp_path / "annotations/trainval.txt", "Abyssinian_100 1 1 1", "american_bulldog_2 2 2 1")
    lines(tmp_path / "annotations/test.txt", "Russian_Blue_7 28 1 9")
    assert listed("oxford_pets", tmp_path, official=True) == [
        ("images/Abyssinian_100.jpg", "support", "abyssinian"),
        ("images/Russian_Blue_7.jpg", "test", "russian blue"),
        ("images/american_bulldog_2.jpg", "support", "american bulldog"),
    ]
    lines(tmp_path / "annotations/test.txt", "#Image CLASS-ID")
    with pytest.raises(FgvrError, match="expected a breed and a number"):
        build("oxford_pets", tmp_path, official=True).records()


def test_cars_official(tmp_path):
    def annotations(*rows):
        table = np.zeros(len(rows), dtype=[("class", object), ("fname", object)])
        table[:] = list(rows)
        return {"annotations": table}

    (tmp_path / "devkit").mkdir()
    names = np.array(["AM General Hummer SUV 2000", "Audi TTS Coupe 2012"], dtype=object)
    savemat(tmp_path / "devkit/cars_meta.mat", {"class_names": names})
    savemat(tmp_path / "devkit/cars_train_annos.mat", annotations((1, "00001.jpg"), (2, "00002.jpg")))
    savemat(tmp_path / "cars_test_annos_withlabels.mat", annotations((2, "00001.jpg"), (1, "00002.jpg")))
    assert listed("stanford_cars", tmp_path, official=True) == [
        ("cars_test/00001.jpg", "test", "2012 Audi TTS Coupe"),
        ("cars_test/00002.jpg", "test", "2000 AM General Hummer SUV"),
        ("cars_train/00001.jpg", "support", "2000 AM General Hummer SUV"),
        ("cars_train/00002.jpg", "support", "2012 Audi TTS Coupe"),
    ]
    for number in (0, 3):
        savemat(tmp_path / "devkit/cars_train_annos.mat", annotations((1, "00001.jpg"), (number, "00002.jpg")))
        with pytest.raises(FgvrError, match=rf"annos\.mat: the class of '00002\.jpg' is {number}; expected 1 to 2"):
            build("stanford_cars", tmp_path, official=True).records()
    savemat(tmp_path / "devkit/cars_meta.mat", {"something": [1]})
    with pytest.raises(FgvrError, match=r"cars_meta\.mat: expected a MATLAB file with 'class_names'"):
        build("stanford_cars", tmp_path, official=True).records()


@pytest.mark.parametrize("images", ["Images", "images/Images", "images"])
@pytest.mark.parametrize("lists", ["", "lists/"])
def test_dogs_in_every_layout(tmp_path, images, lists):
    chihuahua, hound = "n02085620-Chihuahua/n02085620_5927.jpg", "n02088094-Afghan_hound/n02088094_1003.jpg"
    for file in (chihuahua, hound):
        (tmp_path / images / file).parent.mkdir(parents=True)
    (tmp_path / "lists").mkdir()
    for part, *files in (("train", chihuahua, hound), ("test", hound.replace("1003", "17"))):
        savemat(tmp_path / f"{lists}{part}_list.mat", {"file_list": np.array([[file] for file in files], dtype=object)})
    assert listed("stanford_dogs", tmp_path) == [
        (f"Images/{chihuahua}", "support", "Chihuahua"),
        (f"Images/{hound}", "support", "Afghan hound"),
        (f"Images/{hound.replace('1003', '17')}", "test", "Afghan hound"),
    ]
    assert build("stanford_dogs", tmp_path).records()[0].path == tmp_path / images / chihuahua


def test_dogs_by_the_numbers(tmp_path):
    dogs = build("stanford_dogs", tmp_path)
    assert (dogs.info.classes, dogs.expected()) == (120, {"support": 12_000, "test": 8_580})
    page = Path(__file__).parents[2] / "docs/how-to/standard-data-sets.md"
    assert "| `stanford_dogs` | 120 | 12,000 | 8,580 |" in page.read_text()
    with pytest.raises(FgvrError, match="no validation photos"):
        build("stanford_dogs", tmp_path, train_and_val=False)


def test_what_is_missing_or_wrong_of_the_dogs(tmp_path):
    with pytest.raises(FgvrError, match=r"train_list\.mat', a list of Stanford Dogs.*lists\.tar"):
        build("stanford_dogs", tmp_path).records()
    for name in ("train", "test"):
        savemat(tmp_path / f"{name}_list.mat", {"file_list": np.array(["n02085620-Chihuahua/a.jpg"], dtype=object)})
    savemat(tmp_path / "test_list.mat", {"file_list": np.array(["n02085620-Chihuahua/b.jpg"], dtype=object)})
    with pytest.raises(FgvrError, match="no photos of Stanford Dogs in"):
        build("stanford_dogs", tmp_path).records()
    savemat(tmp_path / "test_list.mat", {"labels": [1]})
    with pytest.raises(FgvrError, match=r"test_list\.mat: expected a MATLAB file with 'file_list'"):
        build("stanford_dogs", tmp_path).records()
    savemat(tmp_path / "test_list.mat", {"file_list": np.array(["a.jpg"], dtype=object)})
    with pytest.raises(FgvrError, match=r"test_list\.mat: expected a folder and a photo, found 'a\.jpg'"):
        build("stanford_dogs", tmp_path).records()
    (tmp_path / "train_list.mat").write_text("no matrix" * 20)
    with pytest.raises(FgvrError, match=r"train_list\.mat: expected a MATLAB file"):
        build("stanford_dogs", tmp_path).records()


def test_sun_official(tmp_path):
    (tmp_path / "SUN397").mkdir()
    lines(tmp_path / "Training_01.txt", "/a/abbey/sun_a.jpg")
    lines(tmp_path / "Testing_01.txt", "/a/apartment_building/outdoor/sun_b.jpg")
    assert listed("sun397", tmp_path, official=True) == [
        ("SUN397/a/abbey/sun_a.jpg", "support", "abbey"),
        ("SUN397/a/apartment_building/outdoor/sun_b.jpg", "test", "outdoor apartment building"),
    ]


def test_ucf_official(tmp_path):
    (tmp_path / "UCF-101-midframes").mkdir()
    lines(tmp_path / "ucfTrainTestlist/trainlist01.txt", "HandstandPushups/v_HandStandPushups_g08_c01.avi 37")
    lines(tmp_path / "ucfTrainTestlist/testlist01.txt", "YoYo/v_YoYo_g01_c02.avi")
    assert listed("ucf101", tmp_path, official=True) == [
        ("UCF-101-midframes/Handstand_Pushups/v_HandStandPushups_g08_c01.jpg", "support", "Handstand Pushups"),
        ("UCF-101-midframes/Yo_Yo/v_YoYo_g01_c02.jpg", "test", "Yo Yo"),
    ]


@pytest.mark.parametrize("name", COUNTS)
def test_the_page_has_the_same_numbers(name):
    page = Path(__file__).parents[2] / "docs/how-to/standard-data-sets.md"
    train, val, test, classes, _ = COUNTS[name]
    assert f"| `{name}` | {classes} | {train:,} + {val:,} = {train + val:,} | {test:,} |" in page.read_text()


def test_names_have_spaces():
    assert spaced("  outdoor apartment__building ") == "outdoor apartment building"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html>Not found</html>",
        b"version https://git-lfs.github.com/spec/v1\noid\n",
        b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM\x0f\x00",
        b"\x89HDF\r\n\x1a\n" + bytes(200),
    ],
)
@pytest.mark.parametrize(
    ("name", "file"),
    [("stanford_dogs", "train_list.mat"), ("stanford_cars", "devkit/cars_meta.mat"), ("flowers102", "setid.mat")],
)
def test_a_damaged_matlab_file_is_one_line(tmp_path, name, file, content):
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_bytes(content)
    (tmp_path / "cat_to_name.json").write_text("{}")
    dataset = build(name, tmp_path, **({} if name == "stanford_dogs" else {"official": True}))
    with pytest.raises(
        FgvrError, match=rf"{re.escape(file)}: expected a MATLAB file with .*Download it again\."
    ) as caught:
        dataset.records()
    assert "\n" not in str(caught.value)
