import pytest
import torch

from fgvr.metrics.accuracy import NameAccuracy
from fgvr.metrics.protocol import score


def test_share_of_equal_names_over_batches():
    metric = NameAccuracy()
    metric.update(["a", "b"], ["a", "a"])
    metric.update(["A"], ["a"])
    assert metric.compute() == pytest.approx(100 / 3)
    assert torch.isnan(NameAccuracy()([], []))


def test_only_of_a_closed_vocabulary():
    assert "accuracy" not in score(["a"], ["a"], encoders=[])
    assert score(["a", "b"], ["a", "a"], encoders=[], closed=True)["accuracy"] == 50


def one_process(rank, world_size):
    metric = NameAccuracy()
    metric.update(["a"] if rank else ["a", "b"], ["a"] if rank else ["b", "b"])
    return metric.compute()


def test_two_processes(ddp_pool):
    assert all(accuracy == pytest.approx(200 / 3) for accuracy in ddp_pool.run(one_process))
