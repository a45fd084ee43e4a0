from functools import partial

import numpy as np
import pytest

from fgvr.errors import FgvrError
from fgvr.registry import SELECTIONS
from fgvr.selections.doubt_table import DoubtfulPhoto, write_doubt_table
from fgvr.selections.random import RandomSelection
from fgvr.testing.selections import check_selection


@pytest.fixture
def selection(tmp_path):
    """Gives the class of a selection, bound to a run that doubts all photos of these tests where it needs one."""
    (tmp_path / "config.yaml").write_text("")
    generator = np.random.default_rng(0)
    ids = [*(f"photos/{number:02}.jpg" for number in range(60)), *map(str, range(40)), "a.jpg", "b.jpg", "c.jpg"]
    photos = [DoubtfulPhoto(each, str(generator.integers(7)), 0.0, None, generator.normal(), "named") for each in ids]
    write_doubt_table(photos, tmp_path / "doubt.parquet")
    return lambda name: partial(SELECTIONS.load(name), **({"run": tmp_path} if name == "uncertain" else {}))


@pytest.mark.parametrize("name", SELECTIONS)
def test_contract(name, selection):
    check_selection(selection(name), draws=name == "random", nested=name not in ("typical", "uncertain"))


@pytest.mark.parametrize("name", SELECTIONS)
def test_features_that_cannot_be_compared_are_refused(name, selection):
    kind = selection(name)
    ids = ["a.jpg", "b.jpg", "c.jpg"]
    if not kind.func.needs_features:
        assert len(kind(2).choose(ids, np.zeros((0, 0), np.float32))) == 2
        return
    good = np.eye(3, dtype=np.float32)
    for features in (good * 2, good * np.nan, good[:2], np.zeros((0, 0), np.float32)):
        with pytest.raises(FgvrError, match=r"L2-normalised image features of 3 photos.*encode_image"):
            kind(2).choose(ids, features)


@pytest.mark.parametrize("name", SELECTIONS)
def test_half_precision_is_good_enough(name, selection):
    generator = np.random.default_rng(0)
    features = generator.normal(size=(40, 16))
    features = (features / np.linalg.norm(features, axis=1, keepdims=True)).astype(np.float16).astype(np.float32)
    assert len(selection(name)(10).choose([str(number) for number in range(40)], features)) == 10


def choosing(choose):
    """A selection that chooses by this function of itself, the sample ids and the features."""
    return type("Choosing", (RandomSelection,), {"choose": choose})


def after_drawing(change):
    return choosing(lambda self, *images: change(RandomSelection.choose(self, *images)))


def first_images(self, sample_ids, features):
    return np.arange(min(self.n, len(sample_ids)))


def restless(self, sample_ids, features, generator=np.random.default_rng(0)):  # noqa: B008
    return np.sort(generator.permutation(len(sample_ids))[: self.n])


class Scribbling(RandomSelection):
    needs_features = True

    def choose(self, sample_ids, features):
        features[0] = 0
        return super().choose(sample_ids, features)


class AnyNumber(RandomSelection):
    def __init__(self, n, seed=0):
        super().__init__(max(n, 1), seed)
        self.n = max(n, 1)


@pytest.mark.parametrize(
    ("kind", "draws", "message"),
    [
        (after_drawing(lambda numbers: numbers[::-1]), False, "expected rising numbers"),
        (
            after_drawing(lambda numbers: numbers[1:]),
            False,
            r"shape \(0,\); expected whole numbers of shape \(1,\)",
        ),
        (after_drawing(lambda numbers: numbers.tolist()), False, "a list, not an array"),
        (
            choosing(first_images),
            False,
            "depends on the order of the photos",
        ),
        (choosing(restless), True, "choose differently"),
        (choosing(lambda self, *images: RandomSelection(self.n, seed=self.n).choose(*images)), True, "not all of the"),
        (Scribbling, False, "changed the photos"),
        (lambda n, seed: RandomSelection(n), True, "the seed makes no difference"),
        (AnyNumber, True, "n is 0"),
    ],
)
def test_a_breach_of_the_contract_is_found(kind, draws, message):
    with pytest.raises(AssertionError, match=message):
        check_selection(kind, draws=draws)
