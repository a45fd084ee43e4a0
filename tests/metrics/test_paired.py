import itertools
import math

import numpy as np
import pytest

from fgvr.metrics.paired import MOST_DRAWS, holm, mcnemar, paired_bootstrap, paired_bootstraps, seed_permutation


def slow_mcnemar(right_a, right_b):
    """The binomial by its definition: all ways in which the photos that differ may fall that are as uneven."""
    wins = sum(a and not b for a, b in zip(right_a, right_b, strict=True))
    losses = sum(b and not a for a, b in zip(right_a, right_b, strict=True))
    photos = wins + losses
    ways = sum(math.comb(photos, k) for k in range(photos + 1) if abs(2 * k - photos) >= abs(wins - losses))
    return ways / 2**photos


@pytest.mark.parametrize("seed", range(20))
def test_mcnemar_equals_counting(seed):
    random = np.random.default_rng(seed)
    a, b = random.random((2, random.integers(1, 40))) < random.random((2, 1))
    assert mcnemar(a, b) == pytest.approx(slow_mcnemar(a, b))
    assert mcnemar(100.0 * b, 100.0 * a) == pytest.approx(mcnemar(a, b))


def test_mcnemar_by_hand():
    assert mcnemar([1, 1, 0], [1, 1, 0]) == 1
    assert mcnemar([1] * 6, [0] * 6) == pytest.approx(2 / 64)
    assert mcnemar([1, 1, 1, 0], [0, 0, 0, 1]) == pytest.approx(2 * (1 + 4) / 16)
    assert mcnemar([1, 0], [0, 1]) == 1, "not more than 1, though both halves hold the middle"
    assert mcnemar(np.arange(100_000) < 52_000, np.arange(100_000) >= 52_000) < 1e-30


def test_paired_bootstrap_of_a_clear_and_of_no_difference():
    random = np.random.default_rng(0)
    base = 100 * random.random(300)
    clear = paired_bootstrap(base + random.normal(2, 5, size=300), base)
    half = 1.96 * 5 / np.sqrt(300)
    assert clear.high - clear.low == pytest.approx(2 * half, rel=0.1)
    assert clear.low < clear.difference < clear.high
    assert clear.low > 0
    assert clear.p == pytest.approx(2 / 10_001)
    same = paired_bootstrap(base, base)
    assert (same.difference, same.low, same.high, same.p) == (0, 0, 0, 1)


def test_p_is_that_of_the_normal_where_many_photos_differ_a_little():
    random = np.random.default_rng(1)
    differences = random.normal(0, 1, size=400)
    differences += 0.08 - differences.mean()
    expected = math.erfc(0.08 / (differences.std() / 20) / math.sqrt(2))
    assert paired_bootstrap(differences, np.zeros(400)).p == pytest.approx(expected, abs=0.015)


def test_figures_together_equal_each_alone_and_the_seed_decides():
    differences = np.random.default_rng(2).normal(size=(50, 3))
    together = paired_bootstraps(differences, resamples=500, seed=7)
    for one, each in zip(together, differences.T, strict=True):
        alone = paired_bootstrap(each, np.zeros(50), resamples=500, seed=7)
        assert (one.difference, one.low, one.high, one.p) == pytest.approx(
            (alone.difference, alone.low, alone.high, alone.p)
        )
    assert together != paired_bootstraps(differences, resamples=500, seed=8)


def test_many_photos_have_fewer_resamples(monkeypatch):
    asked = []

    def drawn(photos, resamples, seed):
        asked.append(resamples)
        yield np.ones((1, photos))

    monkeypatch.setattr("fgvr.metrics.paired.resampled", drawn)
    paired_bootstraps(np.zeros((MOST_DRAWS // 2000, 1)))
    assert asked == [2000]


def slow_permutation(a, b):
    differences = [x - y for x, y in zip(a, b, strict=True)]
    sums = [
        abs(sum(sign * each for sign, each in zip(signs, differences, strict=True)))
        for signs in itertools.product((-1, 1), repeat=len(differences))
    ]
    return sum(each >= abs(sum(differences)) - 1e-9 for each in sums) / len(sums)


@pytest.mark.parametrize("seeds", [1, 2, 3, 5, 10])
def test_sign_flips_equal_all_of_them(seeds):
    a, b = np.random.default_rng(seeds).normal([[1], [0]], 1, size=(2, seeds))
    assert seed_permutation(a, b) == pytest.approx(slow_permutation(a, b))


def test_sign_flips_by_hand():
    assert seed_permutation([1], [0]) == 1
    assert seed_permutation([1, 1, 1], [0, 0, 0]) == 0.25
    assert seed_permutation([1, 1, 1, 1, 1], [1, 1, 1, 1, 1]) == 1
    assert seed_permutation([0.1, 0.2, 0.3], [0.0, 0.0, 0.0]) == 0.25, "the same numbers in another order"
    assert seed_permutation([79.3] * 5 + [80.1], [79.3] * 5 + [79.3]) == 1


def test_many_seeds_are_flipped_at_random():
    random = np.random.default_rng(0)
    a = random.normal(0.3, 1, size=16)
    signs = 1 - 2 * (np.arange(2**16)[:, None] >> np.arange(16) & 1)
    exact = (np.abs(signs @ a) >= abs(a.sum()) - 1e-9).mean()
    assert seed_permutation(a, np.zeros(16)) == pytest.approx(exact, abs=0.01)
    assert seed_permutation(np.ones(40), np.zeros(40)) == pytest.approx(1 / (2**15 + 1))


def test_holm_by_hand():
    assert holm([]) == []
    assert holm([0.2]) == [0.2]
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.6, 0.9]) == [1, 1, 1]
    assert holm([0.02, 0.02]) == [0.04, 0.04]


@pytest.mark.parametrize("seed", range(5))
def test_holm_rejects_what_the_steps_reject(seed):
    p_values = list(np.random.default_rng(seed).random(8) ** 3)
    for level in (0.01, 0.05, 0.2):
        rejected = set()
        for rank, place in enumerate(sorted(range(8), key=p_values.__getitem__)):
            if p_values[place] > level / (8 - rank):
                break
            rejected.add(place)
        assert {place for place, p in enumerate(holm(p_values)) if p <= level} == rejected


@pytest.mark.parametrize("test", [mcnemar, paired_bootstrap, seed_permutation])
def test_what_does_not_pair_up(test):
    with pytest.raises(ValueError, match="expected one each per photo"):
        test([1.0, 0.0], [1.0])


@pytest.mark.parametrize("test", [paired_bootstrap, seed_permutation])
def test_nothing_to_compare(test):
    with pytest.raises(ValueError, match="There are no"):
        test([], [])
