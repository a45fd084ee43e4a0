import pytest

from fgvr.candidates.quality import measure
from fgvr.records import CandidateSets, Vocabulary

NAMES = ("Beagle", "Basset Hound", "Pug")


def test_all_of_it():
    sets = CandidateSets.from_lists(
        ["a", "b", "c", "d"], [[0, 1], [2], [1, 0, 2], [0]], weights=[[0.75, 0.25], [1.0], [0.2, 0.3, 0.5], [1.0]]
    )
    quality = measure(sets, Vocabulary(NAMES), {"a": "Beagle", "b": "Beagle", "c": "basset-hound", "elsewhere": "Pug"})
    assert (quality.images, quality.with_truth) == (4, 3)
    assert quality.coverage == pytest.approx(2 / 3)
    assert quality.purity == pytest.approx((0.75 + 0 + 0.2) / 3)
    assert quality.mean_size == pytest.approx(7 / 4)
    assert quality.singles == pytest.approx(2 / 4)


def test_a_true_name_outside_the_vocabulary_is_never_covered():
    quality = measure(CandidateSets.from_lists(["a"], [[0, 1]]), Vocabulary(NAMES), {"a": "Poodle"})
    assert (quality.with_truth, quality.coverage, quality.purity) == (1, 0.0, 0.0)


def test_every_spelling_of_a_class_is_its_name():
    vocabulary = Vocabulary(("Rock Pigeon", "Pug"), {"Rock Pigeon": 0, "Rock Dove": 0, "Pug": 1})
    sets = CandidateSets.from_lists(["a"], [[0]])
    for true_name in ("rock-pigeon", "Rock dove"):
        assert measure(sets, vocabulary, {"a": true_name}).coverage == 1.0


def test_without_truth_there_is_no_coverage():
    quality = measure(CandidateSets.from_lists(["a"], [[0]]), Vocabulary(NAMES), {})
    assert (quality.with_truth, quality.coverage, quality.purity, quality.mean_size) == (0, None, None, 1.0)
