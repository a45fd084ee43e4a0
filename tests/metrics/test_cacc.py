from itertools import permutations

import pytest
import torch
from metrics.contract import MetricContract

from fgvr.metrics.cacc import ClusteringAccuracy


class TestClusteringAccuracy(MetricContract):
    def make(self):
        return ClusteringAccuracy()

    def reference(self, preds, target):
        """Every one-to-one matching, the names of the shorter side filled up with ones that never occur."""
        clusters, classes = sorted(set(preds)), sorted(set(target))
        size = max(len(clusters), len(classes))
        classes += [None] * (size - len(classes))
        pairs = list(zip(preds, target, strict=True))
        return 100 * max(
            sum((predicted, true) in matching for predicted, true in pairs) / len(pairs)
            for matching in (set(zip(clusters, order, strict=False)) for order in permutations(classes))
        )


@pytest.mark.parametrize(
    ("preds", "target", "expected"),
    [
        pytest.param(["x", "x", "y"], ["A", "A", "B"], 100, id="names do not matter"),
        pytest.param(["x", "y", "z", "w"], ["A"] * 4, 25, id="more names than classes: the others are wrong"),
        pytest.param(["x"] * 4, ["A", "B", "C", "D"], 25, id="a name serves one class only"),
        pytest.param(["Pug", "pug"], ["Pug", "Pug"], 50, id="spellings are clusters of their own"),
        pytest.param(["B", "B", "B", "A"], ["A", "A", "B", "B"], 75, id="a name may match another class than its own"),
    ],
)
def test_hand_computed(preds, target, expected):
    assert ClusteringAccuracy()(preds, target) == expected


def test_thousands_of_names_fit():
    names = [f"name {number}" for number in range(3000)]
    classes = [f"class {number % 200}" for number in range(3000)]
    assert ClusteringAccuracy()(names, classes) == pytest.approx(100 * 200 / 3000)


def test_state_is_moved_with_the_metric():
    metric = ClusteringAccuracy().to("meta")
    metric.update(["x"], ["A"])
    assert metric.pairs[0].device == torch.device("meta")
