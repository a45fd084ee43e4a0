import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from fgvr.metrics.matching import _ROWS_TOGETHER, best_matching


def drawn(seed):
    """Names of N photos: at random, mostly right, or mostly the same few."""
    random = np.random.default_rng(seed)
    names, classes, photos = random.integers(1, 40), random.integers(1, 40), random.integers(1, 300)
    true = random.integers(classes, size=photos)
    kinds = [
        random.integers(names, size=photos),
        np.where(random.random(photos) < 0.7, 2 * true, random.integers(names, size=photos)),
        np.minimum(random.zipf(1.5, size=photos), names),
        true // 3 * 3 + random.integers(3, size=photos),
    ]
    return kinds[seed % len(kinds)], true


def dense(predicted, true):
    """The table of all names by all names, and the most photos that a matching of it has."""
    counts = np.zeros((predicted.max() + 1, true.max() + 1), dtype=np.int64)
    np.add.at(counts, (predicted, true), 1)
    return counts, counts[linear_sum_assignment(counts, maximize=True)].sum()


@pytest.mark.parametrize("seed", range(200))
def test_as_many_photos_are_right_as_by_the_table_of_all_names(seed):
    predicted, true = drawn(seed)
    counts, most = dense(predicted, true)
    names, classes, photos = best_matching(predicted, true)
    assert photos.sum() == most
    assert photos.min() >= 1
    np.testing.assert_array_equal(counts[names, classes], photos)
    assert len(np.unique(classes)) == len(classes)
    assert (np.diff(names) > 0).all()


def test_the_order_of_the_photos_changes_nothing():
    for seed in range(20):
        predicted, true = drawn(seed)
        order = np.random.default_rng(seed).permutation(len(true))
        for one, other in zip(
            best_matching(predicted, true), best_matching(predicted[order], true[order]), strict=True
        ):
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("sides", ["names", "classes"])
def test_one_name_on_a_side_is_matched_with_what_it_is_met_with_most(sides):
    many, one = np.array([0, 1, 1, 2]), np.zeros(4, dtype=np.int64)
    found = best_matching(many, one) if sides == "names" else best_matching(one, many)
    names, classes, photos = found
    assert (names[0], classes[0]) == ((1, 0) if sides == "names" else (0, 1))
    assert photos.tolist() == [2]


def test_no_photo():
    nothing = np.zeros(0, dtype=np.int64)
    assert [len(each) for each in best_matching(nothing, nothing)] == [0, 0, 0]


def test_parts_that_share_no_photo_are_put_together_again():
    predicted = np.arange(2 * _ROWS_TOGETHER + 5)
    names, classes, photos = best_matching(predicted, predicted[::-1])
    np.testing.assert_array_equal(names, predicted)
    np.testing.assert_array_equal(classes, predicted[::-1])
    assert photos.sum() == len(predicted)


def test_names_by_the_ten_thousand_that_hardly_agree():
    """The table of these would have 200 million numbers."""
    random = np.random.default_rng(0)
    names, classes, photos = best_matching(random.integers(20_000, size=60_000), random.integers(10_000, size=60_000))
    assert 9_000 < len(names) == len(classes) <= 10_000
    assert photos.sum() >= len(names)


@pytest.mark.parametrize("seed", range(20))
def test_entries_may_stand_for_several_photos_or_none(seed):
    predicted, true = drawn(seed)
    photos = np.random.default_rng(seed).integers(3, size=len(true))
    expected = best_matching(np.repeat(predicted, photos), np.repeat(true, photos))
    for one, two in zip(best_matching(predicted, true, photos), expected, strict=True):
        np.testing.assert_array_equal(one, two)
    assert not any(map(len, best_matching(predicted, true, np.zeros_like(true))))
