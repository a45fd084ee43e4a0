"""The callback that logs, after each epoch, the two figures that judge a classifier without true names."""

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch.utils.data import DataLoader
from torchmetrics import Metric, MetricCollection

from fgvr.data.batches import Batch
from fgvr.losses.base import PartialLabels
from fgvr.methods.base import Method
from fgvr.metrics.approximated_accuracy import ApproximatedAccuracy
from fgvr.metrics.covering_rate import CoveringRate


class LabelFreeFigures(Callback):
    """Logs ``select/covering_rate`` and ``select/approximated_accuracy``, from 0 to 100, after each epoch.

    The method's own classifier is applied to the held-out photos, or to the training photos where none are held out.
    Training goes on as if it had not been: no random number is drawn and every module is in its mode again.
    """

    def __init__(self) -> None:
        self._labels: PartialLabels | None = None
        self._batches: DataLoader[Batch] | None = None

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Look up the photos that are looked at."""
        data = _method(pl_module).data
        sets = data.candidate_sets
        assert sets is not None, "a method that trains has candidate sets"
        self._labels = PartialLabels.from_sets(sets)
        self._batches = data.selection_dataloader()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Compute both figures over all processes, and log them."""
        method = _method(pl_module)
        modes = {module: module.training for module in method.modules()}
        method.eval()
        with torch.random.fork_rng(devices=[]):  # a data loader draws a seed for its workers
            figures = self._figures(trainer, method)
        for module, mode in modes.items():
            module.training = mode
        method.log_dict({f"select/{name}": value for name, value in figures.items()}, sync_dist=True, batch_size=1)

    @torch.no_grad()
    def _figures(self, trainer: Trainer, method: Method) -> dict[str, torch.Tensor]:
        assert self._labels is not None, "fitting has started"
        assert self._batches is not None, "fitting has started"
        metrics = label_free_metrics().to(method.device)
        classifier = method.as_classifiers()[method.row]
        with trainer.precision_plugin.val_step_context():
            for batch in self._batches:
                labels = self._labels[batch.rows].to(method.device)
                logits = classifier(method.features(batch.to(method.device)))
                metrics.update(logits, labels.candidates, labels.mask)
        figures: dict[str, torch.Tensor] = metrics.compute()
        return figures


def label_free_metrics() -> MetricCollection:
    """The two metrics, each with a state of its own."""
    # torchmetrics would let them share one where they agree on the first batch, as where no photo is covered
    both: dict[str, Metric | MetricCollection] = {
        "covering_rate": CoveringRate(),
        "approximated_accuracy": ApproximatedAccuracy(),
    }
    return MetricCollection(both, compute_groups=False)


def _method(module: LightningModule) -> Method:
    assert isinstance(module, Method), "the command line runs methods only"
    return module
