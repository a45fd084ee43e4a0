import pytest
import torch
import torch.distributed as dist

from fgvr.losses.base import PartialLabels
from fgvr.losses.proden import ProdenLoss

LABELS = PartialLabels(
    sample_index=torch.arange(7),
    candidates=torch.tensor([[0, 1, 2], [3, 4, 0], [2, 0, 0], [1, 3, 4], [4, 0, 0], [2, 4, 0], [0, 3, 0]]),
    mask=torch.tensor([[size > 0, size > 1, size > 2] for size in (3, 2, 1, 3, 1, 2, 2)]),
    weights=torch.tensor([[(k < size) / size for k in range(3)] for size in (3, 2, 1, 3, 1, 2, 2)]),
)
STEPS = [[0, 1, 2, 3], [4, 5, 6], [6, 2, 0, 5], [1, 3, 4]]


def train(rank, world_size, momentum):
    """State and losses after STEPS, of which each process computes its share, padded as DistributedSampler does it."""
    loss = ProdenLoss(momentum)
    loss.setup(LABELS, key="ddp")
    losses = torch.full((len(STEPS), len(LABELS.sample_index)), torch.nan)
    for number, samples in enumerate(STEPS):
        logits = 3 * torch.randn(7, 5, generator=torch.Generator().manual_seed(number))
        samples = samples + samples[: -len(samples) % world_size]
        mine = torch.tensor(samples[rank::world_size])
        values = loss(logits[mine], LABELS[mine])
        rows = loss.new_state(logits[mine], LABELS[mine])
        everyone = gathered(mine, world_size)
        losses[number, everyone] = gathered(values, world_size)
        loss.write_state(everyone, gathered(rows, world_size))
    return loss.state, losses


def gathered(part, world_size):
    if world_size == 1:
        return part
    parts = [torch.empty_like(part) for _ in range(world_size)]
    dist.all_gather(parts, part)
    return torch.cat(parts)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_two_processes_have_the_state_of_one(ddp_pool, momentum):
    state, losses = train(0, 1, momentum)
    for its_state, its_losses in ddp_pool.run(train, momentum):
        torch.testing.assert_close(its_state, state, rtol=0, atol=1e-7)
        torch.testing.assert_close(its_losses, losses, equal_nan=True)
