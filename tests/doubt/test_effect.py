"""Figures with several true names against a reference that tries everything."""

import itertools
import re

import numpy as np
import pytest

from fgvr.doubt.effect import effect_of, score_sets
from fgvr.doubt.files import Correction
from fgvr.errors import FgvrError
from fgvr.metrics.protocol import score
from fgvr.reports.run_files import Predictions, Row


def by_trying(predictions, truth):
    """cACC under every one-to-one matching."""
    names, classes = sorted(set(predictions)), sorted({name for names in truth for name in names})
    classes += [None] * len(names)
    best = 0
    for order in itertools.permutations(classes, len(names)):
        match = dict(zip(names, order, strict=True))
        best = max(best, sum(match[name] in true for name, true in zip(predictions, truth, strict=True)))
    return 100 * best / len(truth)


@pytest.mark.parametrize("seed", range(6))
def test_cacc_is_that_of_the_best_matching(seed):
    random = np.random.default_rng(seed)
    predictions = [f"p{number}" for number in random.integers(3, size=12)]
    truth = [tuple(f"t{n}" for n in set(random.integers(3, size=random.integers(1, 3)).tolist())) for _ in range(12)]
    assert score_sets(predictions, truth, encoders=[])["cacc"] == pytest.approx(by_trying(predictions, truth), abs=1e-3)


def test_of_means_the_better_name_counts():
    predictions = ["House Finch", "Blue Jay", "Pug"]
    truth = [("Purple Finch", "House Finch"), ("Jay",), ("Boxer", "Pug Dog")]
    found = score_sets(predictions, truth, encoders=[], closed=True)
    assert found["accuracy"] == pytest.approx(100 / 3, abs=1e-3)
    assert found["siou"] == pytest.approx((100 + 50 + 50) / 3, abs=1e-3)
    assert score_sets(predictions[:1], truth[:1], encoders=[])["siou"] == 100


def test_with_one_name_each_it_is_the_protocol():
    predictions, truth = ["a", "b", "b"], ["x", "y", "x"]
    assert score_sets(predictions, [(name,) for name in truth], []) == score(predictions, truth, [])


NAMES = ("Pug", "Pug", "Boxer", "Boxer")
PREDICTED = Predictions(tuple("abcd"), ("Pug", "Boxer", "Boxer", "Beagle"), {"coop": Row(NAMES, np.full(4, 0.5))})


def correction(sample_id, decision, other="Pug"):
    return {sample_id: Correction(sample_id, other, decision, "list.csv, row 2")}


@pytest.mark.parametrize(
    ("decided", "accuracy", "photos"),
    [
        ({}, 50, 4),
        (correction("b", ""), 50, 4),
        (correction("b", "keep"), 50, 4),
        (correction("b", "other"), 75, 4),
        (correction("b", "both"), 75, 4),
        (correction("b", "neither"), 200 / 3, 3),
        (correction("b", "other") | correction("d", "both", "Boxer"), 100, 4),
    ],
)
def test_decisions(decided, accuracy, photos):
    found = effect_of(PREDICTED, decided, encoders=[], closed=["coop"])
    assert found.before["coop"]["accuracy"] == 50
    assert found.after["coop"]["accuracy"] == pytest.approx(accuracy, abs=1e-3)
    assert found.photos == (4, photos)


def test_the_effect_as_text():
    text = str(effect_of(PREDICTED, correction("b", "both") | correction("d", "neither"), [], ["coop"]))
    assert text.splitlines()[0] == "2 photos of the list: 1 both, 1 neither"
    assert re.search(r"\naccuracy +50\.00 -> 100\.00\n", text)
    assert "without 1 photo of which neither name is right" in text
    assert "this favours it" in text


def test_a_list_of_another_run():
    with pytest.raises(FgvrError, match=r"list\.csv, row 2: 'z' is no evaluated photo"):
        effect_of(PREDICTED, correction("z", "keep"), [])


def test_nothing_left():
    with pytest.raises(FgvrError, match="no photo with a true name is left"):
        effect_of(
            Predictions(("a",), ("Pug",), {"coop": Row(("Pug",), np.array([0.5]))}), correction("a", "neither"), []
        )


def test_a_row_may_have_figures_that_another_one_lacks():
    predictions = Predictions(
        ("a", "b"),
        ("Pug", "Boxer"),
        {"coop": Row(("Pug", "Pug"), np.full(2, 0.5)), "labeler": Row(("pug", "Bulldog"), np.full(2, np.nan))},
    )
    for closed, lacking in (("coop", "labeler"), ("labeler", "coop")):
        text = str(effect_of(predictions, {}, encoders=[], closed=[closed]))
        figures = r"\d+\.00 -> \d+\.00"
        assert re.search(rf"\naccuracy +- +{figures}\n" if lacking == "coop" else rf"\naccuracy +{figures} +-\n", text)
    both = effect_of(predictions, {}, encoders=[], closed=["coop", "labeler"])
    assert both.before["labeler"]["accuracy"] == 50, "spelled as the list spells it, as in the table of the run"


def test_two_spellings_of_one_true_name_count_once():
    assert score_sets(["Pug"], [("Pug", "Pug ")], encoders=[])["cacc"] == 100
