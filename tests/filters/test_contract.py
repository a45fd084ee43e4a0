from functools import partial

import pytest
import torch

from fgvr.errors import FgvrError
from fgvr.filters.agreement import AgreementFilter
from fgvr.filters.base import Filter, PseudoLabels
from fgvr.registry import FILTERS
from fgvr.testing.filters import check_filter


@pytest.mark.parametrize("name", FILTERS)
def test_the_contract_is_kept(name):
    check_filter(FILTERS.load(name))


@pytest.mark.parametrize("scope", ["between", "within"])
def test_the_contract_is_kept_with_either_half_of_agreement(scope):
    check_filter(partial(AgreementFilter, scope))


@pytest.mark.parametrize("name", FILTERS)
def test_what_is_not_a_number_is_kept_by_none_but_all(name):
    labels = torch.zeros((2, 4), dtype=torch.int64)
    confidence = torch.tensor([[torch.nan, 5.0, 4.0, -9.0]]).repeat(2, 1)
    margins = confidence.repeat(2, 1, 1)
    kept = FILTERS.load(name)().keep(PseudoLabels(labels, confidence, margins, labels))
    assert kept[:, 0].tolist() == [name == "all"] * 2
    assert kept[:, 1].all()


@pytest.mark.parametrize("name", ["dual_prompt", "gmm", "peer"])
@pytest.mark.parametrize("threshold", [0, 1, -0.5, float("nan")])
def test_a_threshold_that_is_no_probability_is_refused(name, threshold):
    with pytest.raises(FgvrError, match=rf"filter\.threshold is {threshold}; expected a probability"):
        FILTERS.load(name)(threshold=threshold)


@pytest.mark.parametrize("name", ["dual_prompt", "peer"])
def test_models_without_negative_prompts_are_refused(name):
    said = PseudoLabels(torch.zeros((2, 3), dtype=torch.int64), torch.zeros((2, 3)))
    for ask in (FILTERS.load(name)().keep, FILTERS.load(name)().doubt):
        with pytest.raises(FgvrError, match=f"The filter {name} compares positive with negative prompts"):
            ask(said)


@pytest.mark.parametrize("name", ["all", "top_k", "gmm", "dual_prompt", "agreement"])
def test_one_model_is_enough(name):
    labels = torch.tensor([[0, 1, 0]])
    said = PseudoLabels(labels, torch.tensor([[5.0, 4.0, -9.0]]), torch.tensor([[[3.0, 1.0, -2.0]]]), labels)
    made = FILTERS.load(name)()
    assert made.keep(said)[0, 0]
    assert made.doubt(said).argmax() == 2


class Broken(Filter):
    def __init__(self, keep=None, doubt=None):
        self.keep_instead, self.doubt_instead = keep, doubt

    def keep(self, said):
        return self.keep_instead(said) if self.keep_instead else torch.ones_like(said.labels, dtype=torch.bool)

    def doubt(self, said):
        if self.doubt_instead:
            return self.doubt_instead(said)
        return -said.confidence.nan_to_num(nan=-torch.inf).amin(dim=0)


def spoils(said):
    said.confidence.add_(1)
    return torch.ones_like(said.labels, dtype=torch.bool)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"keep": lambda said: said.labels}, "keep gives torch.int64"),
        ({"keep": lambda said: said.labels[0] == 0}, r"keep gives the shape \(60,\)"),
        ({"keep": spoils}, "the filter changed confidence"),
        ({"keep": lambda said: torch.rand(said.labels.shape) < 0.5}, "a second filter keeps other photos"),
        (
            {"keep": lambda said: (torch.arange(said.labels.shape[1]) < 9).expand(said.labels.shape)},
            "which photos are kept depends on the order",
        ),
        ({"doubt": lambda said: said.labels[0]}, "doubt gives torch.int64"),
        ({"doubt": lambda said: said.confidence}, "doubt gives the shape"),
        ({"doubt": lambda said: torch.rand(said.labels.shape[1])}, "a second filter doubts other photos"),
        ({"doubt": lambda said: torch.arange(said.labels.shape[1]).float()}, "the doubt depends on the order"),
        ({"doubt": lambda said: said.confidence[0]}, "a doubt is not a number"),
        ({"doubt": lambda said: -said.confidence[0].nan_to_num(nan=9.0)}, "has the doubt -9.0"),
    ],
)
def test_a_filter_that_breaks_it_is_caught(parts, message):
    with pytest.raises(AssertionError, match=message):
        check_filter(lambda: Broken(**parts))
