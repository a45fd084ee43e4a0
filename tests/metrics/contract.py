"""What every metric over class-name strings must do, tested against an independent slow reference."""

import pickle

import pytest
from torchmetrics import Metric

Batch = tuple[list[str], list[str]]

BATCHES: list[Batch] = [
    (["Red Winged Blackbird", "borzoi", ""], ["Red-winged Blackbird", "Borzoi", "Whippet"]),
    (["Borzoi"], ["Borzoi"]),
    (["Borzoi", "borzoi", "Café au lait", "Borzoi", ""], ["Whippet", "Borzoi", "café au lait", "Borzoi", "Whippet"]),
    (["black_footed albatross", "Whippet!"], ["Black-footed Albatross", "Whippet"]),
]


def joined(batches: list[Batch]) -> Batch:
    """All batches as one."""
    return [name for preds, _ in batches for name in preds], [name for _, target in batches for name in target]


def compute_twice(rank: int, world_size: int, metric: Metric, batches: list[Batch]) -> list[float]:
    """What a process of a group computes after its share of the batches, and after all of them once more."""
    figures = []
    for share in (batches[rank::world_size], batches):
        for preds, target in share:
            metric.update(preds, target)
        figures.append(float(metric.compute()))
    return figures


@pytest.mark.filterwarnings("ignore:The ``compute`` method of metric:UserWarning")
class MetricContract:
    """Subclass it as ``Test<Metric>`` and give the metric and its reference."""

    def make(self) -> Metric:
        """A new metric."""
        raise NotImplementedError

    def reference(self, preds: list[str], target: list[str]) -> float:
        """Its value, computed slowly and in another way."""
        raise NotImplementedError

    def test_forward_gives_the_value_of_each_batch(self):
        metric = self.make()
        for preds, target in BATCHES:
            assert float(metric(preds, target)) == pytest.approx(self.reference(preds, target), abs=1e-3)
        assert float(metric.compute()) == pytest.approx(self.reference(*joined(BATCHES)), abs=1e-3)

    def test_update_accumulates(self):
        metric = self.make()
        for seen, (preds, target) in enumerate(BATCHES, start=1):
            metric.update(preds, target)
            assert float(metric.compute()) == pytest.approx(self.reference(*joined(BATCHES[:seen])), abs=1e-3)

    def test_value_is_a_float_scalar_on_the_metrics_device(self):
        metric = self.make()
        value = metric(*BATCHES[0])
        assert value.shape == ()
        assert value.is_floating_point()
        assert value.device == metric.device

    def test_no_photo_gives_nan(self):
        metric = self.make()
        assert metric.compute().isnan()
        metric.update([], [])
        assert metric.compute().isnan()

    def test_names_must_pair_up(self):
        with pytest.raises(ValueError, match=r"names|argument 2 is longer"):
            self.make().update(["Borzoi"], ["Borzoi", "Whippet"])

    def test_reset_forgets(self):
        metric = self.make()
        metric.update(*BATCHES[0])
        metric.reset()
        metric.update(*BATCHES[2])
        assert float(metric.compute()) == pytest.approx(self.reference(*BATCHES[2]), abs=1e-3)

    def test_pickle_keeps_what_was_seen(self):
        metric = self.make()
        metric.update(*BATCHES[0])
        restored = pickle.loads(pickle.dumps(metric))
        restored.update(*BATCHES[2])
        assert float(restored.compute()) == pytest.approx(self.reference(*joined(BATCHES[::2][:2])), abs=1e-3)

    def test_state_dict_is_empty_until_asked_for_and_restores(self):
        metric = self.make()
        metric.update(*BATCHES[0])
        assert not metric.state_dict()
        metric.persistent(True)
        restored = self.make()
        restored.persistent(True)
        restored.load_state_dict(metric.state_dict())
        restored.update(*BATCHES[2])
        assert float(restored.compute()) == pytest.approx(self.reference(*joined(BATCHES[::2][:2])), abs=1e-3)

    @pytest.mark.parametrize("batches", [BATCHES, BATCHES[:3], BATCHES[:1]], ids=["even", "uneven", "one process idle"])
    def test_two_processes_equal_one(self, ddp_pool, batches):
        expected = [
            self.reference(*joined(batches)),
            self.reference(*joined(batches * 3)),  # the first share of both processes, then all batches in each
        ]
        for figures in ddp_pool.run(compute_twice, self.make(), batches):
            assert figures == pytest.approx(expected, abs=1e-3)
