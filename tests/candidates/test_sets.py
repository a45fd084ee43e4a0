import numpy as np
import pytest

from fgvr.candidates import nearest
from fgvr.candidates.sets import sets_from_names


def reference(names, shares):
    rows = []
    for row, values in zip(names.tolist(), shares.tolist(), strict=True):
        totals = {}
        for name, share in zip(row, values, strict=True):
            if name >= 0:
                totals[name] = totals.get(name, 0) + share
        if totals:
            rows.append((list(totals), [value / sum(totals.values()) for value in totals.values()]))
    return rows


@pytest.mark.parametrize("block", [2**24, 50])
def test_it_is_the_definition(monkeypatch, block):
    monkeypatch.setattr(nearest, "BLOCK_VALUES", block)
    generator = np.random.default_rng(0)
    names = generator.integers(-1, 4, size=(40, 5))
    names[7] = -1
    shares = generator.random((40, 5))
    sets = sets_from_names([str(row) for row in range(40)], names, shares)
    expected = reference(names, shares)
    assert sets.sample_ids == tuple(str(row) for row in range(40) if (names[row] >= 0).any())
    assert "7" not in sets.sample_ids
    for (indices, weights), (wanted, wanted_weights) in zip(sets, expected, strict=True):
        assert indices.tolist() == wanted
        np.testing.assert_allclose(weights, wanted_weights, atol=1e-6)


def test_without_shares_candidates_weigh_the_same():
    sets = sets_from_names(["a", "b"], np.array([[4, 2, 4], [-1, -1, 3]]))
    assert [(indices.tolist(), weights.tolist()) for indices, weights in sets] == [([4, 2], [0.5, 0.5]), ([3], [1.0])]


def test_every_weight_is_positive():
    sets = sets_from_names(["a"], np.array([[0, 1]]), np.array([[1.0, 0.0]]))
    assert 0 < sets.weights[1] < 1e-5
