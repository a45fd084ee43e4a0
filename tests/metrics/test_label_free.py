import math

import numpy as np
import pytest
import torch

from fgvr.checkpoints.label_free_figures import label_free_metrics
from fgvr.metrics.approximated_accuracy import ApproximatedAccuracy
from fgvr.metrics.covering_rate import CoveringRate


def slow(logits, sets):
    """Both figures, photo by photo, as PLENCH defines them."""
    covered, approximated = 0, 0.0
    for row, candidates in zip(logits, sets, strict=True):
        predicted = max(range(len(row)), key=lambda k: row[k])
        if predicted in candidates:
            covered += 1
            approximated += math.exp(row[predicted]) / sum(math.exp(row[k]) for k in candidates)
    return 100 * covered / len(sets), 100 * approximated / len(sets)


def batch(images, classes=7, seed=0):
    draw = np.random.default_rng(seed)
    logits = draw.normal(0, 2, (images, classes))
    sets = [draw.permutation(classes)[: draw.integers(1, 5)].tolist() for _ in range(images)]
    candidates = torch.zeros(images, 4, dtype=torch.int64)  # class 0 where there is no candidate
    mask = torch.zeros(images, 4, dtype=torch.bool)
    for number, members in enumerate(sets):
        candidates[number, : len(members)] = torch.tensor(members)
        mask[number, : len(members)] = True
    return logits.tolist(), sets, (torch.tensor(logits, dtype=torch.float32), candidates, mask)


def both(*parts):
    metrics = CoveringRate(), ApproximatedAccuracy()
    for part in parts:
        for metric in metrics:
            metric.update(*part)
    return [float(metric.compute()) for metric in metrics]


def test_figures_are_those_of_the_slow_reference():
    logits, sets, tensors = batch(200)
    covering, approximated = slow(logits, sets)
    assert 20 < approximated < covering < 90
    assert both(tensors) == pytest.approx([covering, approximated], abs=1e-4)


def test_batches_of_any_size_add_up():
    _, _, tensors = batch(50)
    parts = [[tensor[start:stop] for tensor in tensors] for start, stop in ((0, 1), (1, 30), (30, 30), (30, 50))]
    assert both(*parts) == pytest.approx(both(tensors), abs=1e-4)


def test_a_photo_with_one_candidate_counts_whole_or_not():
    mask = torch.tensor([[True, False]])
    inside = (torch.tensor([[0.0, 9.0, 0.0]]), torch.tensor([[1, 0]]), mask)
    outside = (torch.tensor([[9.0, 0.0, 0.0]]), torch.tensor([[1, 0]]), mask)
    assert both(inside) == [100, 100]
    assert both(outside) == [0, 0], "class 0 behind the mask is no candidate"


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_on_in_float32(dtype):
    _, _, (logits, candidates, mask) = batch(200)
    halved = (logits.to(dtype), candidates, mask)
    assert both(halved) == pytest.approx(both((logits.to(dtype).float(), candidates, mask)), abs=1e-4)


def test_no_photo_has_no_figure():
    _, _, tensors = batch(1)
    assert all(math.isnan(figure) for figure in both([tensor[:0] for tensor in tensors]))


def on_one_of_two(rank, world_size, images):
    _, _, tensors = batch(images)
    return both([tensor[rank::world_size] for tensor in tensors])


@pytest.mark.parametrize("images", [1, 33])
def test_two_processes_count_each_photo_once(ddp_pool, images):
    _, _, tensors = batch(images)
    for figures in ddp_pool.run(on_one_of_two, images):
        assert figures == pytest.approx(both(tensors), abs=1e-4)


def test_both_count_for_themselves_though_they_agree_on_the_first_batch():
    metrics = label_free_metrics()
    candidates, mask = torch.tensor([[0, 1]]), torch.tensor([[True, True]])
    metrics.update(torch.tensor([[0.0, 0.0, 1.0]]), candidates, mask)  # no photo is covered
    metrics.update(torch.tensor([[2.0, 1.0, 0.0]]), candidates, mask)
    figures = metrics.compute()
    assert figures["covering_rate"] == 50
    assert figures["approximated_accuracy"] == pytest.approx(36.5529)
