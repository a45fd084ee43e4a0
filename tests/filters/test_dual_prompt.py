import pytest
import torch
from drawn_pseudo_labels import by_photo, drawn

from fgvr.filters.base import PseudoLabels
from fgvr.filters.dual_prompt import DualPromptFilter


def slow_p_clean(said, model, photo):
    return torch.sigmoid(said.margins[model, model, photo].double()).item()


@pytest.mark.parametrize("models", [1, 2, 3])
@pytest.mark.parametrize("threshold", [0.5, 0.9])
def test_it_keeps_what_the_model_itself_finds_clean(models, threshold):
    said = drawn(models)
    kept = DualPromptFilter(threshold).keep(said)
    assert 0 < kept.float().mean() < 1
    for model, photo in by_photo(said):
        assert kept[model, photo] == (slow_p_clean(said, model, photo) > threshold)


def test_its_doubt_is_the_least_clean_probability():
    said = drawn(2)
    doubt = DualPromptFilter().doubt(said).double()
    for photo in range(said.labels.shape[1]):
        least = min(slow_p_clean(said, model, photo) for model in range(2))
        assert torch.sigmoid(-doubt[photo]).item() == pytest.approx(least, abs=1e-6)


def test_margins_whose_probabilities_round_to_one_keep_their_order():
    labels, margins = torch.zeros((1, 3), dtype=torch.int64), torch.tensor([[[40.0, 90.0, 60.0]]])
    doubt = DualPromptFilter().doubt(PseudoLabels(labels, margins[0], margins))
    assert doubt.argsort().tolist() == [1, 2, 0]
