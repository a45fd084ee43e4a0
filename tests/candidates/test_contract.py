from functools import partial

import numpy as np
import pytest

from fgvr.candidates.base import CandidateStrategy
from fgvr.candidates.knn import KnnCandidates
from fgvr.candidates.label_propagation import LabelPropagationCandidates
from fgvr.candidates.mutual_knn import MutualKnnCandidates
from fgvr.candidates.random import RandomCandidates
from fgvr.candidates.single import SingleCandidates
from fgvr.candidates.union import UnionCandidates
from fgvr.records import CandidateSets
from fgvr.registry import CANDIDATES
from fgvr.testing.candidates import check_candidates

ARGUMENTS = {"union": {"strategies": [KnnCandidates(), SingleCandidates()]}}


@pytest.mark.parametrize("name", CANDIDATES)
def test_contract(name):
    check_candidates(partial(CANDIDATES.load(name), **ARGUMENTS.get(name, {})), draws=name == "random")


@pytest.mark.parametrize(
    "strategy",
    [
        partial(KnnCandidates, 5, weights="count"),
        partial(KnnCandidates, 5, weights="similarity"),
        partial(MutualKnnCandidates, 1),
        partial(LabelPropagationCandidates, m=1, k=1, alpha=0.5),
    ],
)
def test_contract_with_options(strategy):
    check_candidates(strategy)


def test_contract_of_a_union_that_draws():
    check_candidates(partial(UnionCandidates, [RandomCandidates(), SingleCandidates()]), draws=True)


class ReversedCandidates(SingleCandidates):
    def build(self, images):
        sets = super().build(images)
        return CandidateSets(sets.sample_ids[::-1], sets.offsets, sets.indices[::-1], sets.weights)


class NamelessCandidates(SingleCandidates):
    def build(self, images):
        sets = super().build(images)
        return CandidateSets(sets.sample_ids[1:], sets.offsets[:-1], sets.indices[1:], sets.weights[1:])


class OutsideCandidates(SingleCandidates):
    def build(self, images):
        sets = super().build(images)
        return CandidateSets(sets.sample_ids, sets.offsets, sets.indices + 1, sets.weights)


class RestlessCandidates(CandidateStrategy):
    generator = np.random.default_rng(0)

    def build(self, images):
        rows = self.generator.integers(images.num_classes, size=(len(images.sample_ids), 1))
        return CandidateSets.from_lists(images.sample_ids, rows.tolist())


class UnevenCandidates(CandidateStrategy):
    def build(self, images):
        weights = np.arange(1, len(images.sample_ids) + 1) / (len(images.sample_ids) + 1)
        rows = [[0, 1] if images.num_classes > 1 else [0]] * len(images.sample_ids)
        shares = [[w, 1 - w] if len(row) > 1 else [1.0] for row, w in zip(rows, weights.tolist(), strict=True)]
        return CandidateSets.from_lists(images.sample_ids, rows, shares)


class FirstImageCandidates(CandidateStrategy):
    def build(self, images):
        first = next(names[0] for names in images.labels if names)
        return CandidateSets.from_lists(images.sample_ids, [[first]] * len(images.sample_ids))


@pytest.mark.parametrize(
    ("strategy", "draws", "message"),
    [
        (ReversedCandidates, False, "order of the photos"),
        (NamelessCandidates, False, "no candidate set"),
        (OutsideCandidates, False, "vocabulary of 7"),
        (RestlessCandidates, True, "other sets for the same photos"),
        (FirstImageCandidates, False, "depends on the order"),
        (UnevenCandidates, False, "depends on the order"),
        (SingleCandidates, True, "images.seed"),
    ],
)
def test_a_strategy_that_breaks_the_contract_is_caught(strategy, draws, message):
    with pytest.raises(AssertionError, match=message):
        check_candidates(strategy, draws=draws)
