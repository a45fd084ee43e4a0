import math

import numpy as np
import pytest

from fgvr.metrics.cacc import ClusteringAccuracy
from fgvr.records import LabelRecord, Vocabulary
from fgvr.reports.analysis import (
    calibration,
    class_results,
    confusions,
    judge,
    match_names,
    name_results,
    names_that_are_true,
    replies_by_flag,
)
from fgvr.reports.run_files import Row


def row(names, scores=None):
    return Row(tuple(names), np.array(scores if scores else [0.5] * len(names), dtype=np.float64))


def draw(images=300, classes=12, seed=0):
    numbers = np.random.default_rng(seed)
    truth = [f"true {c}" for c in numbers.integers(0, classes, images)]
    said = [t.replace("true", "said") if numbers.random() < 0.7 else f"said {numbers.integers(0, 20)}" for t in truth]
    return said, truth


@pytest.mark.parametrize("seed", range(3))
def test_accuracies_of_the_classes_add_up_to_cacc(seed):
    said, truth = draw(seed=seed)
    results = class_results(judge(row(said), truth), None)
    right = sum(result.accuracy * result.images for result in results)
    assert 100 * right / len(truth) == pytest.approx(float(ClusteringAccuracy()(said, truth)))
    assert sum(result.images for result in results) == len(truth)


def test_a_name_is_matched_with_one_class_alone():
    matched = match_names(*draw())
    assert len(set(matched.values())) == len(matched)


def test_a_name_that_spells_the_true_one_is_right_though_it_is_matched_with_another():
    judged = judge(row(["pug", "pug", "pug"]), ["Pug", "Boxer", "Boxer"])
    assert judged.matched == {"pug": "Boxer"}
    assert judged.right.tolist() == [True, False, False]


def test_photos_without_a_true_name_are_not_judged():
    judged = judge(row(["a", "b", "c"], [0.1, 0.2, 0.3]), ["A", None, "C"])
    assert judged.names == ("a", "c")
    assert judged.scores.tolist() == [0.1, 0.3]


def test_the_worst_class_comes_first_with_what_it_was_called():
    before = judge(row(["A", "A", "B", "B"]), ["A", "A", "B", "B"])
    worst, best = class_results(judge(row(["A", "A", "A", "C"], [0.1, 0.2, 0.3, 0.5]), ["A", "A", "B", "B"]), before)
    assert (worst.name, worst.images, worst.accuracy, worst.before) == ("B", 2, 0.5, 1.0)
    assert (worst.commonest, worst.commonest_images, worst.score) == ("A", 1, 0.4)
    assert (best.name, best.accuracy) == ("A", 1.0)


def test_confusions_count_both_directions_and_name_the_stronger_first():
    truth = ["A"] * 5 + ["B"] * 5 + ["C"] * 4
    said = ["A"] * 4 + ["B"] + ["B"] * 3 + ["A"] * 2 + ["C"] * 3 + ["nothing"]
    first, second = confusions(judge(row(said), truth), most=5)
    assert (first.first, first.second, first.forth, first.back) == ("B", "A", (8, 9), (4,))
    assert (second.first, second.second, second.forth, second.back) == ("C", "nothing", (13,), ())
    assert len(confusions(judge(row(said), truth), most=1)) == 1


def test_a_name_that_stands_for_no_class_comes_second():
    for other in ("!", "~"):
        (pair,) = confusions(judge(row(["A", "A", other]), ["A"] * 3), most=1)
        assert (pair.first, pair.second) == ("A", other)


def test_bins_hold_all_scored_photos():
    names, truth = ["A"] * 21, ["A"] * 11 + ["B"] * 10
    scores = [1 - i / 40 for i in range(20)] + [math.nan]
    bins = calibration(judge(row(names, scores), truth), bins=4)
    assert sum(bins.images) == 20
    assert list(bins.score) == sorted(bins.score)
    assert bins.accuracy[0] == 0
    assert bins.accuracy[-1] == 1


def test_without_scores_there_are_no_bins():
    assert calibration(judge(row(["A"], [math.nan]), ["A"])).score == ()


def test_names_where_nobody_knows_the_truth():
    common, rare = name_results(row(["a", "b", "a"], [0.5, 0.9, 0.3]))
    assert (common.name, common.images, common.score, common.lowest) == ("a", 2, 0.4, 0.3)
    assert rare.name == "b"


def test_kinds_of_replies_with_an_example():
    labels = [LabelRecord("a", (), flag="refusal", raw="no"), LabelRecord("b", ("x",), raw="x!")]
    labels += [LabelRecord("c", (), flag="failed"), LabelRecord("d", (), flag="refusal", raw="never")]
    kinds = [(kind.flag, kind.images, kind.example) for kind in replies_by_flag(labels)]
    assert kinds == [("", 1, "x!"), ("refusal", 2, "no"), ("failed", 1, "")]


def test_labels_are_true_in_any_spelling_of_their_class():
    vocabulary = Vocabulary(("Alsatian", "Pug"), {"Alsatian": 0, "German Shepherd": 0, "Pug": 1})
    labels = [LabelRecord("a", ("Alsatian",)), LabelRecord("b", ("pug",)), LabelRecord("c", ("Pug",))]
    labels += [LabelRecord("d", ()), LabelRecord("e", ("Wolf",)), LabelRecord("f", ("Pug",))]
    truth = {"a": "german-shepherd", "b": "Alsatian", "c": "Pug", "d": "Pug", "e": "wolf"}
    assert names_that_are_true(labels, vocabulary, truth) == [True, False, True, True]


def test_very_long_names_take_no_more_memory_than_they_must():
    said = ["x" * 1_000_000, *["y"] * 2000]
    assert judge(row(said), ["A", *["B"] * 2000]).right.all()
