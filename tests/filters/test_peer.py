import pytest
import torch
from drawn_pseudo_labels import by_photo, drawn

from fgvr.errors import FgvrError
from fgvr.filters.base import PseudoLabels
from fgvr.filters.peer import PeerFilter


def slow_p_clean(said, model, photo):
    """Of the model that doubts the label most, the own one aside."""
    others = [j for j in range(len(said.labels)) if j != model]
    return min(torch.sigmoid(said.margins[j, model, photo].double()).item() for j in others)


@pytest.mark.parametrize("models", [2, 3])
@pytest.mark.parametrize("threshold", [0.5, 0.9])
def test_it_keeps_what_every_other_model_finds_clean(models, threshold):
    said = drawn(models)
    kept = PeerFilter(threshold).keep(said)
    assert 0 < kept.float().mean() < 1
    for model, photo in by_photo(said):
        assert kept[model, photo] == (slow_p_clean(said, model, photo) > threshold)


def test_its_doubt_is_the_least_margin_of_any_other_model():
    said = drawn(3)
    doubt = PeerFilter().doubt(said).double()
    for photo in range(said.labels.shape[1]):
        least = min(slow_p_clean(said, model, photo) for model in range(3))
        assert torch.sigmoid(-doubt[photo]).item() == pytest.approx(least, abs=1e-6)


def test_with_two_models_it_is_the_check_of_coft():
    said = drawn(2)
    kept = PeerFilter().keep(said)
    assert torch.equal(kept[0], said.margins[1, 0] > 0)
    assert torch.equal(kept[1], said.margins[0, 1] > 0)


def test_a_margin_of_zero_is_not_clean():
    labels = torch.zeros((2, 1), dtype=torch.int64)
    assert not PeerFilter().keep(PseudoLabels(labels, torch.zeros((2, 1)), torch.zeros((2, 2, 1)))).any()


def test_one_model_has_no_peers():
    said = drawn(1)
    for ask in (PeerFilter().keep, PeerFilter().doubt):
        with pytest.raises(FgvrError, match=r"there is one model: expected two or more, or the filter dual_prompt"):
            ask(said)
