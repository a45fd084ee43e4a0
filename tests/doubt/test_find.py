"""Who must agree, and on what."""

import numpy as np
import pytest

from fgvr.doubt.find import Nearest, find_doubtful
from fgvr.errors import FgvrError
from fgvr.reports.run_files import Predictions, Row

TRUE = ["Pug", "Pug", "Pug", "Boxer", None]


def predictions(**rows):
    ids = tuple(f"{number}.jpg" for number in range(len(TRUE)))
    scores = np.array([0.5, 0.9, np.nan, 0.7, 0.6])
    return Predictions(ids, tuple(TRUE), {row: Row(tuple(names), scores) for row, names in rows.items()})


def nearest(*names):
    return {f"{number}.jpg": Nearest(("a", "b", "c"), tuple(each)) for number, each in enumerate(names)}


OWN = ["Boxer", "boxer", "Boxer", "Boxer", "Pug"]


def test_neighbours_and_the_own_row_agree():
    near = nearest(["Boxer"] * 3, ["Boxer", "Pug", "BOXER"], ["Boxer", "Pug", ""], ["Pug"] * 3, ["Boxer"] * 3)
    found = find_doubtful(predictions(zero_shot=["Pug", "Boxer", "Pug", "Pug", "Pug"], coop=OWN), "coop", near)
    assert [(each.sample_id, each.true_name, each.other_name) for each in found.images] == [
        ("1.jpg", "Pug", "Boxer"),
        ("0.jpg", "Pug", "Boxer"),
    ]
    assert found.images[0].who == ("coop", "neighbours (2 of 3)", "zero_shot")
    assert found.images[0].said == ("boxer",)
    assert found.images[1].who == ("coop", "neighbours (3 of 3)")
    assert found.images[1].score == 0.5
    assert (found.evaluated, found.required, found.silent) == (4, ("coop", "neighbours"), {"coop": 0, "neighbours": 1})
    assert "4 photos with a true name, 2 are in doubt: coop and neighbours agree on another name" in str(found)


def test_the_labeler_must_agree_where_it_was_asked():
    labeler = ["Boxer", "Pug", "I do not know", "Boxer", ""]
    found = find_doubtful(predictions(coop=OWN, labeler=labeler), "coop")
    assert [(each.sample_id, each.who) for each in found.images] == [("0.jpg", ("coop", "labeler"))]
    assert found.required == ("coop", "labeler")


def test_without_either_all_rows_must_agree():
    found = find_doubtful(predictions(zero_shot=["Boxer", "Pug", "Boxer", "Boxer", ""], coop=OWN), "coop")
    assert [each.sample_id for each in found.images] == ["0.jpg", "2.jpg"]
    assert found.images[1].score is None


def test_a_name_agrees_as_the_true_name_that_it_stands_for():
    dog = ["dog"] * 5
    found = find_doubtful(predictions(zero_shot=dog, coop=dog), "coop", nearest(*[dog[:3]] * 5))
    # three of the four photos that were called dog are pugs
    assert [(each.sample_id, each.other_name, each.said) for each in found.images] == [("3.jpg", "Pug", ("dog",))]


def test_names_that_stand_for_none_agree_with_nobody():
    mixed = ["dog", "x", "y", "dog", "dog"]
    found = find_doubtful(predictions(zero_shot=mixed, coop=mixed), "coop")
    assert (found.images, found.silent["coop"]) == ((), 3)


def test_nobody_to_doubt():
    with pytest.raises(FgvrError, match="a model alone is no reason to doubt"):
        find_doubtful(predictions(coop=OWN), "coop")
    unknown = Predictions(("a",), (None,), {"coop": Row(("Pug",), np.array([0.5]))})
    with pytest.raises(FgvrError, match="No evaluated photo of the run has a true name"):
        find_doubtful(unknown, "coop")
