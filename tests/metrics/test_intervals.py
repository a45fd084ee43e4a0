import numpy as np
import pytest
from metrics.names import drawn

from fgvr.metrics import intervals
from fgvr.metrics.intervals import MOST_DRAWS, bootstrap_intervals, resampled
from fgvr.metrics.measure import measure
from fgvr.metrics.name_pairs import name_pairs
from fgvr.metrics.set_figures import clustering


def test_weights_are_draws_with_replacement():
    weights = np.concatenate(list(resampled(7, 4000, 0)))
    assert weights.shape == (4000, 7)
    assert (weights.sum(1) == 7).all()
    assert weights.mean(0) == pytest.approx(np.ones(7), abs=0.06)
    assert weights.var(0) == pytest.approx(np.full(7, 6 / 7), abs=0.08)  # of a binomial of 7 draws


def test_resamples_depend_on_neither_blocks_nor_how_many_follow(monkeypatch):
    whole = np.concatenate(list(resampled(11, 50, 3)))
    monkeypatch.setattr(intervals, "_WEIGHTS_TOGETHER", 40)
    few = list(resampled(11, 20, 3))
    assert max(map(len, few)) == 3
    np.testing.assert_array_equal(np.concatenate(few), whole[:20])
    assert (np.concatenate(list(resampled(11, 20, 4))) != whole[:20]).any()


def test_interval_of_a_share_is_that_of_the_binomial():
    right = 100.0 * (np.arange(400) < 300)
    low, high = bootstrap_intervals({"cacc": right}, resamples=4000)["cacc"]
    half = 1.96 * 100 * np.sqrt(0.75 * 0.25 / 400)
    assert (low, high) == pytest.approx((75 - half, 75 + half), abs=0.4)


def test_equals_drawing_photos_one_by_one():
    values = {"siou": np.random.default_rng(0).random(30), "cacc": np.arange(30.0)}
    weights = np.concatenate(list(resampled(30, 200, 5)))
    for figure, (low, high) in bootstrap_intervals(values, resamples=200, seed=5, level=0.8).items():
        means = sorted(np.repeat(values[figure], row.astype(int)).mean() for row in weights)
        assert (low, high) == pytest.approx(tuple(np.quantile(means, [0.1, 0.9])), abs=1e-4)


def test_figures_do_not_change_each_others_intervals():
    one, two = np.arange(20.0), np.arange(20.0)[::-1]
    assert bootstrap_intervals({"a": one})["a"] == bootstrap_intervals({"b": two, "a": one})["a"]


def test_without_spread_there_is_no_width():
    assert bootstrap_intervals({"cacc": np.full(5, 100.0), "generic": np.zeros(5)}) == {
        "cacc": (100.0, 100.0),
        "generic": (0.0, 0.0),
    }
    assert bootstrap_intervals({"cacc": np.array([100.0])}) == {"cacc": (100.0, 100.0)}


def test_figures_that_are_no_means_lie_inside_of_their_intervals():
    predicted, true = drawn(1, photos=80)
    pairs = name_pairs(predicted, true)
    figures = {name: value[0] for name, value in clustering(pairs)(np.ones((1, 80))).items()}
    weights = np.concatenate(list(resampled(80, 1000, 0)))
    assert clustering(pairs)(weights)["nmi"].mean() > figures["nmi"] + 1, "resamples are easier: hence the move"
    found = bootstrap_intervals({"cacc": np.ones(80)}, set_figures=[clustering(pairs)])
    for name in ("nmi", "ari"):
        low, high = found[name]
        assert low < figures[name] < high
        assert (low + high) / 2 == pytest.approx(figures[name], abs=1.5)


def test_every_figure_of_a_measurement_has_an_interval_around_it():
    predicted, true = drawn(2, photos=100)
    measured = measure(predicted, true, [], True, list(np.random.default_rng(0).random(100)))
    found = measured.intervals()
    assert found.keys() == measured.figures.keys()
    assert all(low <= measured.figures[name] <= high for name, (low, high) in found.items())
    anew = measured.intervals(cacc_resolved=True)
    assert anew.keys() - found.keys() == {"cacc_resolved"}
    assert {name: anew[name] for name in found} == found


def test_few_resamples_of_many_photos(monkeypatch):
    asked = []
    monkeypatch.setattr(
        "fgvr.metrics.measure.bootstrap_intervals", lambda values, resamples, *_: asked.append(resamples)
    )
    for photos in (1000, MOST_DRAWS // 500, MOST_DRAWS):
        measured = measure(["a"], ["a"], [])
        monkeypatch.setattr("fgvr.metrics.name_pairs.NamePairs.__len__", lambda _, photos=photos: photos)
        measured.intervals()
    assert asked == [1000, 500, 200]


@pytest.mark.parametrize(
    ("values", "options", "message"),
    [
        ({"a": np.ones(2), "b": np.ones(3)}, {}, "different numbers"),
        ({"a": np.ones(0)}, {}, "no photos"),
        ({"a": np.ones(2)}, {"resamples": 0}, "1 or more"),
        ({"a": np.ones(2)}, {"level": 1.0}, "between 0 and 1"),
    ],
)
def test_what_cannot_be_drawn(values, options, message):
    with pytest.raises(ValueError, match=message):
        bootstrap_intervals(values, **options)
