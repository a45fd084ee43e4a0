import torch
from drawn_pseudo_labels import drawn

from fgvr.filters.all import AllFilter


def test_it_keeps_everything():
    assert AllFilter().keep(drawn(3)).all()


def test_its_doubt_is_that_of_the_least_sure_model():
    said = drawn(3)
    expected = [-min(said.confidence[:, photo].tolist()) for photo in range(said.labels.shape[1])]
    assert torch.allclose(AllFilter().doubt(said), torch.tensor(expected))
