import numpy as np
import pytest

from fgvr.candidates.base import CandidateStrategy
from fgvr.candidates.single import SingleCandidates
from fgvr.records import CandidateSets
from fgvr.registry import CANDIDATES
from fgvr.testing.candidates import check_candidates


@pytest.mark.parametrize("name", CANDIDATES)
def test_contract(name):
    check_candidates(CANDIDATES.load(name), draws=name == "random")


class ReversedCandidates(SingleCandidates):
    def build(self, photos):
        sets = super().build(photos)
        return CandidateSets(sets.sample_ids[::-1], sets.offsets, sets.indices[::-1], sets.weights)


class NamelessCandidates(SingleCandidates):
    def build(self, photos):
        sets = super().build(photos)
        return CandidateSets(sets.sample_ids[1:], sets.offsets[:-1], sets.indices[1:], sets.weights[1:])


class OutsideCandidates(SingleCandidates):
    def build(self, photos):
        sets = super().build(photos)
        return CandidateSets(sets.sample_ids, sets.offsets, sets.indices + 1, sets.weights)


class RestlessCandidates(CandidateStrategy):
    generator = np.random.default_rng(0)

    def build(self, photos):
        rows = self.generator.integers(photos.num_classes, size=(len(photos.sample_ids), 1))
        return CandidateSets.from_lists(photos.sample_ids, rows.tolist())


class FirstPhotoCandidates(CandidateStrategy):
    def build(self, photos):
        first = next(names[0] for names in photos.labels if names)
        return CandidateSets.from_lists(photos.sample_ids, [[first]] * len(photos.sample_ids))


@pytest.mark.parametrize(
    ("strategy", "draws", "message"),
    [
        (ReversedCandidates, False, "order of the photos"),
        (NamelessCandidates, False, "no candidate set"),
        (OutsideCandidates, False, "vocabulary of 7"),
        (RestlessCandidates, True, "other sets for the same photos"),
        (FirstPhotoCandidates, False, "depends on the order"),
        (SingleCandidates, True, "photos.seed"),
    ],
)
def test_a_strategy_that_breaks_the_contract_is_caught(strategy, draws, message):
    with pytest.raises(AssertionError, match=message):
        check_candidates(strategy, draws=draws)
