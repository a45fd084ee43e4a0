"""FineR's discovery sets, whose files carry a class and its number before their own name."""

import json
from pathlib import Path

import pytest

from fgvr.cli import main
from fgvr.datasets.finer_split import finer_split, read_discovery_set
from fgvr.errors import FgvrError
from fgvr.records import ImageRecord


def record(path, split, name):
    return ImageRecord(sample_id=path, path=Path(path), split=split, true_name=name)


CUB = [
    record(
        "images/001.Black_footed_Albatross/Black_Footed_Albatross_0005_796090.jpg", "test", "Black footed Albatross"
    ),
    record("images/001.Black_footed_Albatross/Black_Footed_Albatross_0009_34.jpg", "test", "Black footed Albatross"),
    record("images/002.Laysan_Albatross/Laysan_Albatross_0002_1027.jpg", "support", "Laysan Albatross"),
]
CARS = [
    record("cars_train/00946.jpg", "support", "2000 AM General Hummer SUV"),
    record("cars_test/00946.jpg", "test", "2012 Audi S5 Coupe"),
    record("cars_train/00947.jpg", "support", "2012 Audi S5 Coupe"),
]
PETS = [
    record("images/american_bulldog_100.jpg", "support", "american bulldog"),
    record("images/bulldog_100.jpg", "support", "bulldog"),
    record("images/Maine_Coon_10.jpg", "support", "maine coon"),
]


def support_of(records, files):
    return [each.sample_id for each in finer_split(records, files).records if each.split == "support"]


def test_birds_are_test_photos_and_leave_the_test():
    found = finer_split(
        CUB, ["000.Black_footed_Albatross/000.Black_footed_Albatross_Black_Footed_Albatross_0005_796090.jpg"]
    )
    assert [(each.sample_id, each.split) for each in found.records] == [
        (CUB[0].sample_id, "support"),
        (CUB[1].sample_id, "test"),
    ]
    assert (found.from_test, found.left_out) == (1, 1)


def test_of_two_cars_of_one_name_the_support_photo_is_meant():
    assert support_of(CARS, ["000.AM_General_Hummer_SUV_2000_00946.jpg"]) == ["cars_train/00946.jpg"]


def test_the_longest_name_is_meant_letter_case_aside():
    files = ["001.American_Bulldog/001.American_Bulldog_100.jpg", "020.Maine_Coon_10.jpg"]
    assert support_of(PETS, files) == ["images/american_bulldog_100.jpg", "images/Maine_Coon_10.jpg"]
    assert support_of(PETS, [r"D:\finer\020.Maine_Coon\020.Maine_Coon_10.jpg"]) == ["images/Maine_Coon_10.jpg"]


def test_names_as_they_are():
    assert support_of(CARS, ["cars_train/00947.jpg"]) == ["cars_train/00947.jpg"]


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (["000.X_00001.jpg"], "'000.X_00001.jpg' of the discovery set is no photo of this data set"),
        (["a/00946.jpg", "b/00946.jpg"], "names the photo 'cars_train/00946.jpg' twice"),
        (["00946.jpg", "00946.jpg"], "names the photo '00946.jpg' twice"),
        (["000.A_00946.jpg", "000.A_00947.jpg"], r"class 000 of the discovery set are '2000 AM.*' and '2012 Audi"),
    ],
)
def test_what_does_not_go_with_the_data_set(files, said):
    with pytest.raises(FgvrError, match=said):
        finer_split(CARS, files)


def test_two_test_photos_of_one_name():
    twins = [record(f"{folder}/1.jpg", "test", "Pug") for folder in "ab"]
    with pytest.raises(FgvrError, match=r"may be 'a/1\.jpg' or 'b/1\.jpg'"):
        finer_split(twins, ["1.jpg"])


LISTS = {
    "keys.json": json.dumps({"a/1.jpg": {"guessed_classnames": {}}, "b/2.jpg": {}}, indent=1),
    "lines.jsonl": '{"image": "a/1.jpg", "raw": "x"}\n{"file": "b/2.jpg"}\n',
    "lines.txt": "a/1.jpg\r\n\r\nb/2.jpg\r\n",
}


@pytest.mark.parametrize("name", LISTS)
def test_lists(tmp_path, name):
    (tmp_path / name).write_text(LISTS[name])
    assert read_discovery_set(tmp_path / name) == ["a/1.jpg", "b/2.jpg"]


@pytest.mark.parametrize("text", ["", "{", '{"a": 1}\n{"image": 3}', '{"name": "x"}\n{"image": "y"}'])
def test_damaged_lists(tmp_path, text):
    (tmp_path / "list").write_text(text)
    with pytest.raises(FgvrError, match="list"):
        read_discovery_set(tmp_path / "list")


def test_nothing_there(tmp_path):
    with pytest.raises(FgvrError, match="images_discovery_all_3"):
        read_discovery_set(tmp_path / "nowhere")


def test_from_the_command_line(tmp_path, draw, capsys):
    for number in range(4):
        draw(f"photos/train/Pug/p{number}.png", (number * 9, 0, 0))
    for number in range(3):
        draw(f"photos/test/Pug/t{number}.png", (9, number * 9, 99))
        draw(f"images_discovery_all_3/000.Pug/000.Pug_{'pt'[number % 2]}{number}.png")
    out = tmp_path / "finer.csv"
    args = ["--root", str(tmp_path / "photos"), "--discovery", str(tmp_path / "images_discovery_all_3")]
    assert main(["data", "finer", "folder", *args, "--output", str(out)]) == 0
    said = capsys.readouterr().out
    assert "3 support photos, 2 test photos: " in said
    assert "left out: 2 photos to learn from" in said
    assert "1 of them is a test photo of the data set's own split" in said
    assert main(["data", "verify", "manifest", "--root", str(tmp_path / "photos"), "--manifest", str(out)]) == 0
    assert "support         -       3" in capsys.readouterr().out
