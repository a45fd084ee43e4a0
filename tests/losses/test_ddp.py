import pytest
import torch
import torch.distributed as dist
from torch.nn import functional as F

from fgvr.losses.base import PartialLabels, StepContext
from fgvr.registry import LOSSES

LABELS = PartialLabels(
    rows=torch.arange(7),
    candidates=torch.tensor([[0, 1, 2], [3, 4, 0], [2, 0, 0], [1, 3, 4], [4, 0, 0], [2, 4, 0], [0, 3, 0]]),
    mask=torch.tensor([[size > 0, size > 1, size > 2] for size in (3, 2, 1, 3, 1, 2, 2)]),
    weights=torch.tensor([[(k < size) / size for k in range(3)] for size in (3, 2, 1, 3, 1, 2, 2)]),
)
STEPS = [[0, 1, 2, 3], [4, 5, 6], [6, 2, 0, 5], [1, 3, 4]]


# so that the losses that wait for some epochs do what they wait for
OPTIONS = {
    "alim": {"warmup_epochs": 1, "noise_rate": 0.5},
    "near": {"warmup_epochs": 1},
    "pop": {"warmup_epochs": 1, "window": 2, "theta": 0.2},
}


def train(rank, world_size, name, options):
    """State and losses after STEPS, of which each process computes its share, padded as DistributedSampler does it."""
    loss = LOSSES.load(name)(**options)
    loss.setup(LABELS, key="ddp")
    generator = torch.Generator().manual_seed(6)
    images, classes = (F.normalize(torch.randn(rows, 6, generator=generator), dim=1) for rows in (7, 5))
    losses = torch.full((len(STEPS), len(LABELS.rows)), torch.nan)
    for number, samples in enumerate(STEPS):
        logits = 3 * torch.randn(7, 5, generator=torch.Generator().manual_seed(number))
        samples = samples + samples[: -len(samples) % world_size]
        mine = torch.tensor(samples[rank::world_size])
        features = (images[mine], classes) if loss.needs_features else (None, None)
        loss.step = StepContext(number, len(STEPS), *features)
        values = loss(logits[mine], LABELS[mine])
        rows = loss.new_state(logits[mine], LABELS[mine])
        everyone = gathered(mine, world_size)
        losses[number, everyone] = gathered(values, world_size)
        if rows is not None:
            loss.write_state(everyone, gathered(rows, world_size))
        loss.end_epoch(LABELS)
    return loss.state, losses


def gathered(part, world_size):
    if world_size == 1:
        return part
    parts = [torch.empty_like(part) for _ in range(world_size)]
    dist.all_gather(parts, part)
    return torch.cat(parts)


@pytest.mark.parametrize(
    ("name", "options"), [*((name, OPTIONS.get(name, {})) for name in LOSSES), ("proden", {"momentum": 0.9})]
)
def test_two_processes_have_the_state_of_one(ddp_pool, name, options):
    state, losses = train(0, 1, name, options)
    for its_state, its_losses in ddp_pool.run(train, name, options):
        assert (its_state is None) == (state is None)
        if state is not None:
            torch.testing.assert_close(its_state, state, rtol=0, atol=1e-6)
        torch.testing.assert_close(its_losses, losses, equal_nan=True)
