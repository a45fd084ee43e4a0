import pytest
import torch

from fgvr.classifiers.closed_form.soft_names import SoftNames
from fgvr.errors import FgvrError
from fgvr.registry import RELABELLINGS
from fgvr.relabelling.base import Relabelling
from fgvr.relabelling.em import EmRelabelling
from fgvr.testing.relabelling import check_relabelling


@pytest.mark.parametrize("name", RELABELLINGS)
def test_the_contract_is_kept(name):
    check_relabelling(RELABELLINGS.load(name))


@pytest.mark.parametrize("name", RELABELLINGS)
def test_the_contract_is_kept_with_one_candidate(name):
    check_relabelling(lambda: RELABELLINGS.load(name)(m=1, space="joint"))


@pytest.mark.parametrize("name", RELABELLINGS)
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"m": 0}, "relabelling.m is 0"),
        ({"min_agreement": 1.5}, "relabelling.min_agreement is 1.5"),
        ({"min_agreement": float("nan")}, "relabelling.min_agreement is nan"),
        ({"space": "image"}, "relabelling.space is 'image'"),
    ],
)
def test_options_that_cannot_be(name, options, message):
    with pytest.raises(FgvrError, match=message):
        RELABELLINGS.load(name)(**options)


class Broken(Relabelling):
    def __init__(self, change):
        super().__init__()
        self.change = change

    def relabel(self, features, names):
        return self.change(features, names)


def with_weights(names, weights, indices=None):
    return SoftNames(names.indices if indices is None else indices, weights, names.num_classes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda features, names: with_weights(names, names.weights * 0), "has none"),
        (lambda features, names: with_weights(names, names.weights.flip(1), names.indices.flip(1)), "heaviest"),
        (lambda features, names: with_weights(names, names.weights / 2), "do not sum to 1"),
        (lambda features, names: EmRelabelling(m=6).relabel(features, names), "with m = 5"),
    ],
)
def test_a_relabelling_that_breaks_it_is_caught(change, message):
    with pytest.raises((AssertionError, RuntimeError), match=message):
        check_relabelling(lambda: Broken(change))


def by_weight(names):
    return EmRelabelling(name_weight=1 - 1e-12).relabel(torch.eye(len(names)), names)


def test_one_that_names_a_class_twice_is_caught():
    def twice(features, names):
        said = by_weight(names)
        weights = said.weights.clone()
        weights[:, :2] = torch.where(weights[:, :1] > 0, 0.5, 0.0)
        weights[:, 2:] = 0
        return with_weights(said, weights, said.indices[:, :1].expand_as(said.indices))

    with pytest.raises(AssertionError, match="stands twice"):
        check_relabelling(lambda: Broken(twice))


def test_one_that_gives_a_class_that_no_photo_had_is_caught():
    def invented(features, names):
        return SoftNames(torch.full((len(names), 1), 6), torch.ones((len(names), 1)).double(), names.num_classes)

    with pytest.raises(AssertionError, match="class 6 is given, which no photo had"):
        check_relabelling(lambda: Broken(invented))


def test_one_that_changes_the_features_is_caught():
    def spoils(features, names):
        said = by_weight(names)
        features += 1
        return said

    with pytest.raises(AssertionError, match="changed what it was given"):
        check_relabelling(lambda: Broken(spoils))


def test_one_that_looks_at_the_place_of_a_photo_is_caught():
    def first_class_for_the_first_half(features, names):
        said = by_weight(names)
        first = torch.arange(len(names))[:, None] < len(names) // 2
        only = torch.zeros_like(said.weights)
        only[:, 0] = (said.weights.sum(1) > 0).double()
        return with_weights(said, torch.where(first, only, said.weights))

    with pytest.raises(AssertionError, match="order of the photos"):
        check_relabelling(lambda: Broken(first_class_for_the_first_half))
