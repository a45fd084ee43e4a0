"""Candidate sets that the tests of the losses share."""

from dataclasses import replace

import pytest
import torch

from fgvr.losses.base import PartialLabels

SETS = [[4], [2, 1], [3, 0, 1], [1, 4]]
WEIGHTS = [[1.0], [0.75, 0.25], [0.5, 0.3, 0.2], [0.5, 0.5]]


@pytest.fixture
def sets():
    """Four photos' candidates of five classes, and their weights, as lists."""
    return [list(row) for row in SETS], [list(row) for row in WEIGHTS]


@pytest.fixture
def labels():
    """The same as a loss gets them."""
    candidates, weights = (torch.tensor([row + [0] * (3 - len(row)) for row in rows]) for rows in (SETS, WEIGHTS))
    return PartialLabels(torch.arange(4), candidates, weights > 0, weights)


@pytest.fixture
def everything():
    """One photo whose candidates are all of the two classes."""
    return PartialLabels(
        torch.tensor([0]), torch.tensor([[1, 0]]), torch.ones(1, 2, dtype=torch.bool), torch.ones(1, 2)
    )


@pytest.fixture
def batches():
    """Logits of four steps on all four photos."""
    return [2 * torch.randn(4, 5, generator=torch.Generator().manual_seed(seed)) for seed in range(4)]


@pytest.fixture
def train():
    """Function that takes a loss, the labels and batches, and returns the losses of every step, one an epoch."""

    def run(loss, labels, batches, epochs=4, **context):
        loss.setup(labels, key="")
        values = []
        for epoch, logits in enumerate(batches):
            loss.step = replace(loss.step, epoch=epoch, epochs=epochs, **context)
            values.append(loss(logits, labels))
            loss.write_state(labels.rows, loss.new_state(logits, labels))
            loss.end_epoch(labels)
        return torch.stack(values)

    return run
