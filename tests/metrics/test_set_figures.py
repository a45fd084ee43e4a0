import math
from collections import Counter
from itertools import combinations, pairwise, permutations

import numpy as np
import pytest
from metrics.names import EDGES, drawn
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from fgvr.metrics.contributions import right_when_matched
from fgvr.metrics.name_pairs import name_pairs
from fgvr.metrics.set_figures import clustering, confidence, macro, resolved_cacc

CASES = [*EDGES.values(), *map(drawn, range(20))]


def of_all(figures, photos):
    return {name: float(value[0]) for name, value in figures(np.ones((1, photos))).items()}


def weighted(photos, seed, resamples=5):
    return np.random.default_rng(seed).multinomial(photos, [1 / photos] * photos, size=resamples).astype(float)


def repeated(values, weights):
    return [value for value, weight in zip(values, weights, strict=True) for _ in range(int(weight))]


def slow_nmi(predicted, true):
    photos = len(true)
    entropies = [
        -sum(count / photos * math.log(count / photos) for count in Counter(side).values())
        for side in (predicted, true)
    ]
    names, classes = Counter(predicted), Counter(true)
    information = sum(
        count / photos * math.log(count * photos / (names[name] * classes[of]))
        for (name, of), count in Counter(zip(predicted, true, strict=True)).items()
    )
    return 100 * (1.0 if sum(entropies) == 0 else 2 * information / sum(entropies))


def slow_ari(predicted, true):
    """Every pair of photos, one after the other."""
    a = b = c = d = 0
    for one, two in combinations(range(len(true)), 2):
        named, same = predicted[one] == predicted[two], true[one] == true[two]
        a, b, c, d = (
            a + (named and same),
            b + (named and not same),
            c + (same and not named),
            d + (not named and not same),
        )
    return 100 * (1.0 if b == c == 0 else 2 * (a * d - b * c) / ((a + c) * (c + d) + (a + b) * (b + d)))


@pytest.mark.parametrize(("predicted", "true"), CASES)
def test_clustering_equals_scikit_learn_and_the_formulas(predicted, true):
    found = of_all(clustering(name_pairs(predicted, true)), len(true))
    assert found["nmi"] == pytest.approx(100 * normalized_mutual_info_score(true, predicted), abs=1e-9)
    assert found["nmi"] == pytest.approx(slow_nmi(predicted, true), abs=1e-9)
    assert found["ari"] == pytest.approx(100 * adjusted_rand_score(true, predicted), abs=1e-9)
    assert found["ari"] == pytest.approx(slow_ari(predicted, true), abs=1e-9)


def test_clustering_by_hand():
    found = of_all(clustering(name_pairs(["a", "a", "b", "b"], ["x", "y", "x", "y"])), 4)
    assert found == {"nmi": pytest.approx(0), "ari": pytest.approx(-50)}, (
        "two of six pairs together in each, none in both"
    )


@pytest.mark.parametrize(("predicted", "true"), CASES)
def test_weights_count_as_repeated_photos(predicted, true):
    pairs, weights = name_pairs(predicted, true), weighted(len(true), 1)
    right = 100.0 * right_when_matched(pairs)
    scores = np.random.default_rng(2).choice([0.1, 0.4, 0.4, 0.9], size=len(true))
    held = {"macro": macro("cacc", right, pairs), "confidence": confidence(scores, right)}
    for number, row in enumerate(weights):
        names, classes = repeated(predicted, row), repeated(true, row)
        again = name_pairs(names, classes)
        of_resample = {
            "macro": macro("cacc", np.asarray(repeated(right, row)), again),
            "confidence": confidence(np.asarray(repeated(scores, row)), np.asarray(repeated(right, row))),
            "clustering": clustering(again),
            "resolved": resolved_cacc(again),
        }
        of_all_photos = {**held, "clustering": clustering(pairs), "resolved": resolved_cacc(pairs)}
        for kind, figures in of_all_photos.items():
            for figure, value in figures(weights).items():
                expected = of_all(of_resample[kind], len(true))[figure]
                assert value[number] == pytest.approx(expected, abs=1e-9), (kind, figure)


@pytest.mark.parametrize(("predicted", "true"), EDGES.values(), ids=EDGES.keys())
def test_resolved_cacc_of_all_photos_is_cacc_by_every_matching(predicted, true):
    names, classes = sorted(set(predicted)), sorted(set(true))
    classes += [None] * (len(names) - len(classes))
    pairs = list(zip(predicted, true, strict=True))
    most = max(sum(pair in set(zip(names, order, strict=False)) for pair in pairs) for order in permutations(classes))
    assert of_all(resolved_cacc(name_pairs(predicted, true)), len(true))["cacc_resolved"] == 100 * most / len(true)


def test_macro_is_the_mean_over_classes_and_leaves_out_those_without_photos():
    pairs = name_pairs(["x", "x", "x", "y", "x"], ["x", "x", "x", "x", "y"])
    figures = macro("accuracy", 100.0 * np.array([1, 1, 1, 0, 0]), pairs)
    assert of_all(figures, 5) == {"accuracy_macro": 37.5}
    assert figures(np.array([[1.0, 1, 1, 2, 0]]))["accuracy_macro"].tolist() == [60.0]


def slow_ece(scores, right):
    total = 0.0
    for number in range(15):
        inside = [
            (score, hit)
            for score, hit in zip(scores, right, strict=True)
            if number / 15 < score <= (number + 1) / 15 or (number == 0 and score == 0)
        ]
        if inside:
            total += abs(sum(hit / 100 for _, hit in inside) - sum(score for score, _ in inside)) / len(scores)
    return 100 * total


def slow_selective(scores, right, percent):
    """The mean over every order of the photos in which no score is below a later one."""
    kept = math.ceil(round(len(scores) * percent / 100, 6))
    found = [
        sum(right[place] for place in order[:kept]) / kept
        for order in permutations(range(len(scores)))
        if all(scores[one] >= scores[two] for one, two in pairwise(order))
    ]
    return sum(found) / len(found)


@pytest.mark.parametrize("seed", range(8))
def test_confidence_equals_the_formulas(seed):
    random = np.random.default_rng(seed)
    right, tied = 100.0 * (random.random(7) < 0.6), random.choice([0.0, 0.2, 0.5, 1.0], size=7)
    for scores in (tied, random.random(7)):
        found = of_all(confidence(scores, right), 7)
        assert found["ece"] == pytest.approx(slow_ece(scores, right))
        for percent in (50, 80):
            assert found[f"selective_accuracy_{percent}"] == pytest.approx(slow_selective(scores, right, percent))


def test_confidence_by_hand():
    found = of_all(confidence(np.array([0.9, 0.9, 0.5, 0.5]), np.array([100.0, 0, 100, 100])), 4)
    # in the bin of 0.9 half is right, in that of 0.5 all
    assert found == {
        "ece": pytest.approx(45),
        "selective_accuracy_50": pytest.approx(50),
        "selective_accuracy_80": pytest.approx(75),
    }
    perfect = of_all(confidence(np.array([1.0, 1.0, 0.0]), np.array([100.0, 100, 0])), 3)
    assert perfect["ece"] == 0
