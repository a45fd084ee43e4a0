from dataclasses import replace
from pathlib import Path

import pytest
from judging.judged import NAMES, image

from fgvr.errors import FgvrError
from fgvr.judging.truth import judged_images

IMAGES = [image(f"{letter}.jpg").image for letter in "abc"]
TRUTH = {"a.jpg": "Pug", "b.jpg": "boxer", "c.jpg": "Borzoi"}


@pytest.fixture
def table(tmp_path):
    def write(text, name="truth.csv"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


def judge(**files):
    return judged_images(IMAGES, TRUTH, NAMES, **files)


def test_without_a_table_the_name_of_the_data_set_is_the_only_label():
    assert [(each.labels, each.accepted, each.group) for each in judge()] == [
        ((0,), {0}, "S"),
        ((1,), {1}, "S"),
        ((2,), {2}, "S"),
    ]


def test_labels_of_a_table_and_equivalents_which_are_not_transitive(table):
    truth = table("sample_id,class_name\na.jpg,Boxer\na.jpg,pug\nb.jpg,\n/home/me/c.jpg,Saluki\n")
    pairs = table("name,equivalent\nSaluki,Borzoi\nBorzoi,Whippet\n", "pairs.csv")
    several, none, other = judge(labels=truth, equivalents=pairs)
    assert (several.labels, several.asked, several.group) == ((1, 0), 0, "M")
    assert (none.labels, none.accepted, none.asked, none.group) == ((), frozenset(), 1, "N")
    assert (other.labels, other.accepted, other.asked) == ((4,), {4, 2}, 4)


def test_photos_that_a_table_lacks_are_left_out(table, caplog):
    assert [each.image.sample_id for each in judge(labels=table("file,class_name\nb.jpg,Pug\n"))] == ["b.jpg"]
    assert "2 photos are left out" in caplog.text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("sample_id,class_name\na.jpg,Poodle\n", "row 2: the class_name 'Poodle' is not in the class list"),
        ("sample_id,name\na.jpg,Pug\n", "has no column class_name; it has: sample_id, name"),
        ("sample_id,class_name\na.jpg,Pug\na.jpg,\n", "row 3: 'a.jpg' has no name here and one in another row"),
        ("sample_id,class_name\nz.jpg,Pug\n", "None of the 3 photos is in"),
    ],
)
def test_wrong_tables_are_refused(table, text, said):
    with pytest.raises(FgvrError, match=said):
        judge(labels=table(text))


def test_a_photo_without_a_true_name_and_a_name_outside_the_list_are_refused(tmp_path):
    nameless = replace(IMAGES[0], sample_id="d.jpg")
    with pytest.raises(FgvrError, match=r"1 photo has no true name, the first 'd\.jpg'"):
        judged_images([nameless], TRUTH, NAMES)
    with pytest.raises(FgvrError, match=r"'Pug' of 'a\.jpg' is not in the class list"):
        judged_images(IMAGES, TRUTH, NAMES[1:])
    with pytest.raises(FgvrError, match="There is no"):
        judge(labels=Path(tmp_path, "none.csv"))
