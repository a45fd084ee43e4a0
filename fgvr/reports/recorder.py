"""The callback that turns what a run computes into the files of its folder."""

import logging
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace

import yaml
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import CSVLogger, Logger, WandbLogger

from fgvr.disk_problems import disk_problem
from fgvr.labelling.files import read_labels_file
from fgvr.labelling.plan import count_follow_ups
from fgvr.methods.base import Method
from fgvr.methods.support_figures import support_figures, warn_of_disagreement
from fgvr.metrics.files import write_metrics
from fgvr.metrics.measure import measure
from fgvr.metrics.protocol import scoring
from fgvr.records import LabelRecord, Prediction
from fgvr.registry import CANDIDATES, VOCABULARIES
from fgvr.reports.html import why_unwritten, write_report
from fgvr.reports.predictions import write_predictions
from fgvr.reports.run_files import LABELER
from fgvr.runs import RunFolder
from fgvr.vocabulary.build import fold_name
from fgvr.vocabulary.join import joined_images

log = logging.getLogger(__name__)


class RunRecorder(Callback):
    """Writes predictions, metrics and the report on process 0, and tells the loggers.

    Args:
        folder: The run folder.

    Attributes:
        table: Row name -> its figures, where a test was evaluated and they could not be written.
        unwritten: Which of the files could not be written and why, in a sentence; ``""`` where all are there.
    """

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        self.table: dict[str, dict[str, object]] = {}
        self.unwritten = ""
        self._started = 0.0
        self._training_seconds = 0.0

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Give the resolved configuration to the loggers that show one; ``config.yaml`` has it for the others."""
        method = _method(pl_module)
        for logger in trainer.loggers:
            if not isinstance(logger, CSVLogger) and method.data.state.config:
                simulated = {"simulated_labels": method.data.simulated}
                logger.log_hyperparams({**yaml.safe_load(method.data.state.config), **simulated})

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock."""
        self._started = time.perf_counter()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Stop the clock."""
        self._training_seconds += time.perf_counter() - self._started

    def state_dict(self) -> dict[str, float]:
        """The time spent so far, so that a resumed run counts all of it."""
        running = time.perf_counter() - self._started if self._started else 0.0
        return {"training_seconds": self._training_seconds + running}

    def load_state_dict(self, state_dict: dict[str, float]) -> None:
        """Take the time of the run that is resumed."""
        self._training_seconds = state_dict["training_seconds"]

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start the clock."""
        self._started = time.perf_counter()

    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write ``predictions.parquet``, ``metrics.json`` and ``report.html``, and log the figures."""
        seconds = time.perf_counter() - self._started
        if not trainer.is_global_zero:
            return
        method = _method(pl_module)
        labels = read_labels_file(self.folder.labels) if self.folder.labels.is_file() else []
        rows = self._rows(method, labels, seconds)
        predictions = method.predictions
        if method.data.asks_evaluated:
            asked = method.data.read_labels(method.data.records_of("test"))
            if method.asks_evaluated:
                rows[method.row] = _labeler_row(method, predictions, asked, method.row)
            else:
                predictions = _with_labels(predictions, asked)
                rows[LABELER] = _labeler_row(method, predictions, asked)
        try:
            write_predictions(predictions, self.folder.predictions)
            write_metrics(self.folder.metrics, rows)
        except Exception as error:
            if (problem := disk_problem(error)) is None:
                raise
            # the table is computed, and can still be printed
            self.table, self.unwritten = rows, problem
            return
        self._add_support_figures(method, rows)
        for logger in trainer.loggers:
            logger.log_metrics(_figures(rows, method.row), step=trainer.global_step)
            if isinstance(logger, WandbLogger):
                from fgvr.reports.wandb import log_samples  # wandb takes half a second to import

                log_samples(logger, method, labels)
        log_results(trainer.loggers, rows)
        try:
            write_report(self.folder, method.data.images)
        except Exception as error:  # the page is made of files that are there already; nothing may be lost for its sake
            self.unwritten = why_unwritten(self.folder, error)

    def _add_support_figures(self, method: Method, rows: dict[str, dict[str, object]]) -> None:
        """Add the figures that need no true names, which look at the support photos again."""
        try:
            found = support_figures(method)
        except Exception as error:  # they are beside the table, which is there already
            if disk_problem(error) is not None:
                raise
            log.exception(
                "The figures without true names could not be computed; all others are in %s", self.folder.path
            )
            return
        for row, figures in found.items():
            rows[row].update(figures)
        if warning := warn_of_disagreement(rows, method.row):
            rows[method.row]["warning"] = warning
            log.warning("%s", warning)
        write_metrics(self.folder.metrics, rows)

    def on_predict_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write ``predictions.parquet``, and ``predictions.csv`` for a spreadsheet."""
        if trainer.is_global_zero:
            predictions = _method(pl_module).predictions
            write_predictions(predictions, self.folder.predictions)
            write_predictions(predictions, self.folder.predictions.with_suffix(".csv"))

    def _rows(
        self, method: Method, labels: Sequence[LabelRecord], evaluation_seconds: float
    ) -> dict[str, dict[str, object]]:
        known = [prediction for prediction in method.predictions if prediction.true_name is not None]
        truth = [prediction.true_name or "" for prediction in known]
        closed = _is_closed(method, truth)
        shared = evaluation_seconds - method.preparation_seconds
        shared += method.data.seconds.get(f"features/{method.data.images.evaluated_split}", 0.0)
        training = self._training_seconds + method.data.seconds.get("features/training", 0.0)
        rows: dict[str, dict[str, object]] = {}
        for row in method.predictions[0].names:
            figures: dict[str, object] = {}
            if known:
                scores = [prediction.scores[row] for prediction in known]
                figures.update(_measured([prediction.names[row] for prediction in known], truth, closed, scores))
            own = method.classifier_seconds.get(row, 0.0) + (
                training if method.trains and row not in method.untrained_rows else 0.0
            )
            figures["seconds"] = round(shared + own, 2)
            figures.update(_paid(method, labels))
            if row == method.row and method.data.candidate_sets is not None:
                figures["candidates"] = CANDIDATES.short_name(type(method.data.strategy(method)))
                if method.data.relabelled is not None:
                    figures["relabelling"] = method.data.relabelled
            if row == method.row:
                figures.update(_naming(method, labels))
                figures.update(({"oracle": True} if method.oracle else {}) | method.selection)
            if method.data.simulated and (method.data.needs_labels(method) or method.description_kinds):
                figures["simulated"] = True
            if known:
                figures["scoring"] = scoring(truth, split=method.data.images.evaluated_split)
            rows[row] = figures
        return rows


def _measured(
    names: Sequence[str], truth: Sequence[str], closed: bool, scores: Sequence[float] | None = None
) -> dict[str, object]:
    """The figures of a row, and their intervals."""
    measured = measure(names, truth, closed=closed, scores=scores)
    return {**measured.figures, "intervals": {figure: list(each) for figure, each in measured.intervals().items()}}


def _is_closed(method: Method, truth: Sequence[str]) -> bool:
    """Whether the vocabulary was stated and holds all true names."""
    assert method.vocabulary is not None, "the method has predicted"
    return method.data.class_names != "labels" and set(truth) <= set(method.vocabulary.names)


def _paid(method: Method, labels: Sequence[LabelRecord]) -> dict[str, float]:
    """What labels and descriptions took and cost; nothing where that is not known."""
    if not labels and method.data.needs_labels(method):
        return {}  # a checkpoint does not tell what its labels cost
    if not method.description_kinds:
        return _costs(labels)
    described = method.data.described
    return {} if described is None else {"cost_usd": _costs(labels)["cost_usd"] + described.cost_usd}


def _naming(method: Method, labels: Sequence[LabelRecord]) -> dict[str, object]:
    """What joining names and asking again did, where labels say so; a checkpoint has neither."""
    found: dict[str, object] = {}
    vocabulary, joining = method.data.vocabulary, method.data.joining
    if labels and joining is not None and vocabulary is not None and method.data.class_names == "labels":
        found["vocabulary"] = {
            "name": VOCABULARIES.short_name(type(joining)),
            "classes_before": len(vocabulary) + len(vocabulary.joins),
            "classes": len(vocabulary),
            "photos": joined_images(vocabulary),
        }
    if (again := count_follow_ups(labels)) is not None:
        counted = asdict(again)
        found["follow_ups"] = {"photos": counted.pop("images"), **counted}
    return found


def _labeler_row(
    method: Method, predictions: Sequence[Prediction], asked: Sequence[LabelRecord], row: str = LABELER
) -> dict[str, object]:
    """What asking the labeler about every evaluated photo is worth and costs; one without a name has an empty one."""
    known = [prediction for prediction in predictions if prediction.true_name is not None]
    truth = [prediction.true_name or "" for prediction in known]
    figures: dict[str, object] = {}
    if known:
        names, closed = [prediction.names[row] for prediction in known], _is_closed(method, truth)
        if closed:
            spelled = {fold_name(name): name for name in truth}  # a labeler that was given no list has its own spelling
            names = [spelled.get(fold_name(name), name) for name in names]
        figures.update(_measured(names, truth, closed))
    figures.update(_costs(asked))
    if method.data.simulated:
        figures["simulated"] = True
    if known:
        figures["scoring"] = scoring(truth, split=method.data.images.evaluated_split)
    return figures


def _with_labels(predictions: Sequence[Prediction], asked: Sequence[LabelRecord]) -> list[Prediction]:
    """The predictions with the labeler's first name of each photo as one more row, which has no score."""
    return [
        replace(
            prediction,
            names={**prediction.names, LABELER: label.names[0] if label.names else ""},
            scores={**prediction.scores, LABELER: math.nan},
        )
        for prediction, label in zip(predictions, asked, strict=True)
    ]


def _costs(labels: Sequence[LabelRecord]) -> dict[str, float]:
    return {
        "label_seconds": round(sum(label.seconds for label in labels), 2),
        "cost_usd": sum(label.cost_usd for label in labels),
    }


def _figures(rows: dict[str, dict[str, object]], own: str) -> dict[str, float]:
    """``test/cacc`` of the method's own row, ``test/<row>/cacc`` of the others."""
    return {
        f"test/{name}" if row == own else f"test/{row}/{name}": value
        for row, record in rows.items()
        for name, value in record.items()
        if isinstance(value, float)
    }


def log_results(loggers: Sequence[Logger], rows: Mapping[str, Mapping[str, object]]) -> None:
    """Log the result table where a logger of Weights & Biases is among them.

    Args:
        loggers: All loggers of the run.
        rows: Row name -> its record, as in ``metrics.json``.
    """
    for logger in loggers:
        if isinstance(logger, WandbLogger):
            from fgvr.reports.wandb import results_table

            logger.log_table("results", *results_table(rows))


def _method(module: LightningModule) -> Method:
    assert isinstance(module, Method), "the command line runs methods only"
    return module
