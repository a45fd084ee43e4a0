import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from fgvr.methods.contrastive import contrastive_loss, gather_rows


def features(count, seed, dim=6):
    return F.normalize(torch.randn(count, dim, generator=torch.Generator().manual_seed(seed)), dim=1)


def slow_loss(images, texts, scale):
    """Equation 3 of LatteCLIP, a logarithm at a time, in double precision."""
    images, texts, total, count = images.double().tolist(), texts.double().tolist(), 0.0, len(images)

    def product(i, j):
        return scale * sum(a * b for a, b in zip(images[i], texts[j], strict=True))

    for i in range(count):
        total -= product(i, i) - math.log(sum(math.exp(product(i, j)) for j in range(count)))
        total -= product(i, i) - math.log(sum(math.exp(product(j, i)) for j in range(count)))
    return total / count


@pytest.mark.parametrize("count", [1, 7])
def test_loss_is_equation_3(count):
    images, texts = features(count, 0), 0.7 * features(count, 1)
    loss = contrastive_loss(images, texts, torch.tensor(20.0))
    assert loss.item() == pytest.approx(slow_loss(images, texts, 20), rel=1e-6, abs=1e-6)


def test_loss_is_computed_in_float32_under_autocast():
    images, texts, scale = features(7, 0), features(7, 1), torch.tensor(20.0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        mixed = contrastive_loss(images, texts, scale)
    torch.testing.assert_close(mixed, contrastive_loss(images, texts, scale), rtol=0, atol=0)


def test_equal_texts_are_negatives():
    images, texts = features(4, 0), features(1, 1).expand(4, -1)
    loss = contrastive_loss(images, texts, torch.tensor(1.0))
    to_texts = math.log(4)
    to_images = slow_loss(images, texts, 1) - to_texts
    assert loss.item() == pytest.approx(to_texts + to_images, rel=1e-6)


def test_one_process_gathers_nothing():
    rows = features(3, 0)
    assert gather_rows(rows) is rows


SHARES = [[0, 1, 2, 3, 4], [5, 6, 7]]


class Towers(nn.Module):
    def __init__(self):
        super().__init__()
        self.image, self.text = (nn.Linear(6, 4, bias=False) for _ in range(2))
        self.log_scale = nn.Parameter(torch.tensor(1.0))
        for seed, layer in enumerate((self.image, self.text)):
            layer.weight.data = torch.randn(4, 6, generator=torch.Generator().manual_seed(seed))

    def forward(self, rows):
        images, texts = (
            F.normalize(layer(features(8, seed)[rows]), dim=1) for seed, layer in ((2, self.image), (3, self.text))
        )
        return contrastive_loss(gather_rows(images), gather_rows(texts), self.log_scale.exp())


def gradients(rank, world_size):
    """Loss and gradients of a share of the rows; DDP averages the gradients over the processes."""
    model = Towers()
    rows = torch.tensor(SHARES[rank]) if world_size > 1 else torch.arange(8)
    wrapped = nn.parallel.DistributedDataParallel(model) if world_size > 1 else model
    loss = wrapped(rows)
    loss.backward()
    return loss.item(), {name: parameter.grad for name, parameter in model.named_parameters()}


def gathered(rank, world_size, sizes):
    rows = torch.arange(sizes[rank]) + 10 * rank
    return gather_rows(rows), gather_rows(rows.bool()), gather_rows(rows[:, None].double() + torch.zeros(2))


def test_gradients_over_uneven_processes_are_those_of_one(ddp_pool):
    loss, expected = gradients(0, 1)
    for its_loss, its_gradients in ddp_pool.run(gradients):
        assert its_loss == pytest.approx(loss, rel=1e-6)
        for name, gradient in expected.items():
            torch.testing.assert_close(its_gradients[name], gradient, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("sizes", [(3, 3), (3, 1), (0, 2)])
def test_rows_of_any_type_and_number_are_gathered_in_the_order_of_processes(ddp_pool, sizes):
    whole = torch.cat([torch.arange(size) + 10 * rank for rank, size in enumerate(sizes)])
    for integers, truths, floats in ddp_pool.run(gathered, sizes):
        assert torch.equal(integers, whole)
        assert torch.equal(truths, whole.bool())
        assert torch.equal(floats, whole[:, None].double().expand(-1, 2))
