"""One run: its stages, each of which leaves its files in the run folder, and what came of it."""

import functools
import logging
import os
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq
import torch
import yaml
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Callback, Trainer

from fgvr.candidates.files import read_candidates
from fgvr.checkpoints.callbacks import check_resumed, checkpoint_callbacks, take_best, warn_of_best
from fgvr.checkpoints.label_free_figures import LabelFreeFigures
from fgvr.data.datamodule import FgvrDataModule
from fgvr.data.run_state import RunState
from fgvr.descriptions.describe import Descriptions
from fgvr.descriptions.files import write_descriptions
from fgvr.descriptions.options import DescribeOptions
from fgvr.errors import FgvrError
from fgvr.files import replacing
from fgvr.labelling.requests import Asker
from fgvr.methods.base import Method
from fgvr.methods.schedules import default_epochs
from fgvr.metrics.files import read_metrics
from fgvr.pipeline.descriptions import describe_before_training, descriptions_of, known_vocabulary_of
from fgvr.pipeline.loggers import finish, make_loggers
from fgvr.pipeline.parts import RunParts
from fgvr.pipeline.processes import ASKED_BEFORE, external_processes, is_rank_zero
from fgvr.pipeline.quiet import silence
from fgvr.pipeline.results import Report, ResultTable
from fgvr.pipeline.time_estimate import TimeEstimate
from fgvr.records import CandidateSets, LabelRecord, Vocabulary
from fgvr.reports.recorder import RunRecorder
from fgvr.reports.run_files import simulates
from fgvr.runs import RunFolder, new_run_folder
from fgvr.vocabulary.build import known_vocabulary
from fgvr.vocabulary.files import read_vocabulary, write_vocabulary

log = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")


class ComparedRows(Protocol):
    """Further rows of a run's table, which are runs of their own; see ``fgvr.sweeps.compare``."""

    def check(self, run: "Run") -> None:
        """Refuse what could not be run, before anything is paid for or trained."""

    def train(self, run: "Run", fork: bool) -> str:
        """Train them, and take them into the files of the run; says how to run those that failed."""


def _stage(stage: Callable[Concatenate["Run", P], R]) -> Callable[Concatenate["Run", P], R]:
    """Keep other packages from saying what tells a user nothing, and leave no folder in which there is nothing."""

    @functools.wraps(stage)
    def wrapped(run: "Run", /, *args: P.args, **kwargs: P.kwargs) -> R:
        with warnings.catch_warnings():
            silence()
            try:
                return stage(run, *args, **kwargs)
            except FgvrError:
                run.discard_empty_folder()
                raise

    return wrapped


class Run:
    """One run, from photos to its report.

    Every stage leaves files in the run folder and takes up what is there: replies and image features are stored for all
    runs, and training goes on from a checkpoint that is given.

    Args:
        parts: What it is made of.
        folder: Its folder, where it has one already; made at the first stage that needs it if not given.
        compared: Further rows of its table.
    """

    def __init__(self, parts: RunParts, folder: RunFolder | None = None, compared: ComparedRows | None = None) -> None:
        self.parts = parts
        self.compared = compared
        self.failed_rows = ""
        self._trainer: Trainer | None = None
        self._fitted: Trainer | None = None
        if folder is not None:
            self.folder = folder

    # what it is made of

    @property
    def data(self) -> FgvrDataModule:
        """The data module."""
        return self.parts.data

    @property
    def method(self) -> Method:
        """The method."""
        return self.parts.method

    @functools.cached_property
    def folder(self) -> RunFolder:
        """The run folder; made now where there is none, or that of the training which goes on."""
        options, checkpoint = self.parts.options, self.parts.ckpt_path
        if self._resumes and checkpoint is not None and checkpoint.parent.name == "checkpoints":
            return RunFolder(checkpoint.parent.parent)
        name = options.name or "run"
        if not is_rank_zero():
            return RunFolder(options.root / name / "unknown")  # process 0 tells the real one in setup
        return new_run_folder(options.root, name, options.version)

    # what came of it

    @property
    def table(self) -> ResultTable:
        """Row name -> its figures; shown as a table in a notebook.

        Raises:
            FgvrError: Nothing was evaluated yet.
        """
        return ResultTable(read_metrics(self.folder.metrics))

    @property
    def predictions(self) -> pa.Table:
        """One row a photo: ``sample_id``, ``split``, ``true_name``, and a name and a score for each row of the table.

        ``to_pandas()`` makes a data frame of it.

        Raises:
            FgvrError: Nothing was predicted yet.
        """
        if not self.folder.predictions.is_file():
            raise FgvrError(f"{str(self.folder.path)!r} has no predictions yet: call fit(), test() or predict().")
        return pq.read_table(self.folder.predictions)

    @property
    def vocabulary(self) -> Vocabulary:
        """The label space."""
        return read_vocabulary(self.folder.vocabulary)

    @property
    def report(self) -> Report:
        """The report, one HTML file: shown in a notebook, and written anew when it is called."""
        return Report(self.folder, lambda: self.data.photos)

    # stages

    @_stage
    def label(self, asker: Asker | None = None) -> list[LabelRecord]:
        """Ask the labeler for what is missing, and return what is known of each photo that it is asked about.

        Args:
            asker: Asks in another way than the labeler's own.

        Raises:
            FgvrError: The labeler cannot go on, or ``data.max_cost_usd`` is reached; what was paid for is stored.
        """
        self._begin(RunState(backbone=self.method.backbone))
        return self.data.label(asker)

    @_stage
    def describe(self, asker: Asker | None = None) -> Descriptions:
        """Ask for the descriptions that are missing, and leave all of them in the run folder.

        Raises:
            FgvrError: Photos are not labelled yet, or nobody can describe them.
        """
        self._begin(RunState(backbone=self.method.backbone))
        vocabulary = known_vocabulary_of(self.data)
        options = self.data.describe or DescribeOptions()
        descriptions = descriptions_of(self.data, self.method, options, vocabulary)
        descriptions.ask(asker)
        self.write_descriptions(descriptions, vocabulary)
        return descriptions

    def write_descriptions(self, descriptions: Descriptions, vocabulary: Vocabulary) -> None:
        """Leave descriptions and label space in the run folder."""
        known = descriptions.read()
        self._write_config()
        write_vocabulary(vocabulary, self.folder.vocabulary)
        write_descriptions(known.descriptions, self.folder.descriptions, known.summary.origin)

    @_stage
    def candidates(self) -> CandidateSets:
        """Build the candidate sets from stored labels.

        Raises:
            FgvrError: Photos are not labelled yet.
        """
        data, method = self.data, self.method
        self._begin(RunState(self.folder, method.backbone, self.parts.config, asks_evaluated=False))
        self._write_config()
        vocabulary = data.make_vocabulary(method)
        method.backbone.load()
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        data.make_candidates(vocabulary, method, device)
        return read_candidates(self.folder.candidates, vocabulary.names)

    @_stage
    def fit(self) -> "Run":
        """Label and describe what is missing, train, predict the evaluated photos, and write the table.

        Raises:
            FgvrError: Something that the user can fix.
        """
        trainer = self._start("fit")
        method, data, parts = self.method, self.data, self.parts
        if method.trains:
            trainer.fit(method, datamodule=data, ckpt_path=parts.ckpt_path, weights_only=parts.weights_only)
        take_best(self._added, trainer, method, data)
        self._fitted = trainer
        trainer.test(method, datamodule=data, verbose=False)
        if self.compared is not None and trainer.is_global_zero:
            # the driver of a GPU does not survive a fork, and several processes need the launcher of Lightning
            fork = trainer.strategy.root_device.type == "cpu" and trainer.world_size == 1
            self.failed_rows = self.compared.train(self, fork)
        return self

    @_stage
    def test(self) -> "Run":
        """Predict the evaluated photos, and write the table."""
        self._evaluate("test", verbose=False)
        return self

    @_stage
    def validate(self) -> "Run":
        """Log the figures of the split ``val``."""
        self._evaluate("validate")
        return self

    @_stage
    def predict(self) -> "Run":
        """Predict the evaluated photos; true names are not looked at."""
        self._evaluate("predict")
        return self

    def close(self) -> None:
        """End what the loggers have begun."""
        if self._trainer is not None:
            finish(self._trainer.loggers)

    def discard_empty_folder(self) -> None:
        """Take the run folder away again if it holds nothing but its configuration: the run has not begun."""
        folder = self.__dict__.get("folder")
        if folder is not None and folder.path.is_dir() and set(folder.path.iterdir()) <= {folder.config}:
            folder.config.unlink(missing_ok=True)
            folder.path.rmdir()

    @property
    def is_global_zero(self) -> bool:
        """Whether this process speaks for all."""
        return is_rank_zero() if self._trainer is None else self._trainer.is_global_zero

    def name_counts(self) -> Counter[str]:
        """Name -> how many of the predicted photos were given it."""
        return Counter(prediction.names[self.method.row] for prediction in self.method.predictions)

    # how they are begun

    @property
    def _resumes(self) -> bool:
        return self.parts.ckpt_path is not None and getattr(self, "_command", "fit") == "fit"

    def _begin(self, state: RunState) -> None:
        self.data.begin(state)

    def _evaluate(self, command: str, **kwargs: Any) -> None:
        if self._fitted is not None:  # by the parameters that it has learned just now
            getattr(self._fitted, command)(self.method, datamodule=self.data, **kwargs)
            return
        path, weights_only = self.parts.ckpt_path, self.parts.weights_only
        stage = getattr(self._start(command), command)
        stage(self.method, datamodule=self.data, ckpt_path=path, weights_only=weights_only, **kwargs)

    def _start(self, command: str) -> Trainer:
        """Do what must be done before there is a trainer (checks, labelling and describing), then build it."""
        self._command = command
        self._trainer = self._prepared(command)
        return self._trainer

    def _prepared(self, command: str) -> Trainer:
        parts, data, method, folder = self.parts, self.data, self.method, self.folder
        fitting, loaded = command == "fit", parts.loaded
        resuming = fitting and loaded is not None
        state = RunState(folder, method.backbone, parts.config, resuming, oracle=parts.checkpoints.allow_true_names)
        state = replace(state, asks_evaluated=command in ("fit", "test"))
        if loaded is not None and parts.ckpt_path is not None:
            trained_with = yaml.safe_load(loaded["fgvr"]["config"]) or {}
            if resuming:
                check_resumed(parts.checkpoints, trained_with)
            else:
                simulated = simulates(trained_with) or loaded["fgvr"].get("simulated", False)
                vocabulary = known_vocabulary(loaded["fgvr"]["class_names"])
                state = replace(state, vocabulary=vocabulary, simulated=simulated)
                warn_of_best(parts.ckpt_path)
        elif not fitting and method.trains:
            raise FgvrError(
                f"fgvr {command} needs the trained parameters of the method {method.row!r}: give them with "
                "--ckpt_path FILE, or choose --model zero_shot."
            )
        if command == "validate":
            data.photos.require_split("val")
        options = dict(parts.trainer)
        theirs = _as_list(options.pop("callbacks", None))
        callbacks: list[Callback] = [*theirs, RunRecorder(folder)]
        self._added: Sequence[Callback] = ()
        if fitting:
            self._added = checkpoint_callbacks(parts.checkpoints, theirs, method, data, folder, options)
            callbacks += [*self._added, TimeEstimate()]
            options["max_epochs"] = self._epochs(options)
        else:
            options["enable_checkpointing"] = False
        needed = state.vocabulary is None and not resuming and data.needs_labels(method)
        judging = any(isinstance(callback, LabelFreeFigures) for callback in self._added)
        self._begin(replace(state, asks_support=needed, judges_support=judging))
        self._write_config()
        if fitting and self.compared is not None and is_rank_zero():
            self.compared.check(self)
        if fitting and method.trains:
            data.features.trains_on_stored(method)  # refuses views before anything is paid for
            if method.closed_form and data.features.augment is not None:
                log.warning("data.augment and data.views change nothing: %s learns from plain photos", method.row)
        spent_usd = 0.0
        if data.asks_evaluated or data.state.asks_support:
            data.labels.require_names()
            spent_usd = _label_before_training(data)
        if fitting and is_rank_zero():
            alone, again = external_processes() == 1, ASKED_BEFORE.items() <= os.environ.items()
            describe_before_training(data, method, folder, alone, again, spent_usd)
        options["logger"] = make_loggers(options.get("logger"), folder)
        if not data.photos.splits.get("val"):
            options["limit_val_batches"] = 0
        try:
            return Trainer(**{**options, "default_root_dir": folder.path, "callbacks": callbacks})
        except (MisconfigurationException, ModuleNotFoundError, TypeError, ValueError) as error:
            # what Lightning raises for an accelerator, a strategy or a precision that is not available here
            raise FgvrError(f"The trainer cannot be built: {error}") from error

    def _write_config(self) -> None:
        """Leave the resolved configuration in the run folder; a resumed run has its own there already."""
        if self.parts.config and is_rank_zero() and not self.folder.config.exists():
            with replacing(self.folder.config) as path:
                path.write_text(self.parts.config, encoding="utf-8")

    def _epochs(self, options: dict[str, Any]) -> int | None:
        """The epochs that are asked for; where none are, enough for few photos to be learned from, too."""
        data, given = self.data, options.get("max_epochs")
        if self.method.closed_form:
            return 1
        if given is not None or options.get("max_steps", -1) != -1 or options.get("max_time") is not None:
            return None if given is None else int(given)
        if not self.method.trains:
            return None
        photos = round(len(data.support) * (1 - data.holdout))
        epochs = default_epochs(max(round(photos / data.batch_size), 1))
        log.info("Training for %d epochs; trainer.max_epochs states another number", epochs)
        return epochs


def _label_before_training(data: FgvrDataModule) -> float:
    """Ask for what is missing; after another process has done so, only where a photo was never asked about.

    So the runs of a sweep and compared rows do not all ask again for what failed; see :data:`ASKED_BEFORE`.

    Returns:
        What that cost in US dollars, replies of earlier commands not counted.
    """
    if not is_rank_zero():
        return 0.0
    plan = data.label_plan()
    log.info("%s", plan)
    if plan.unasked and external_processes() > 1:
        raise FgvrError(
            f"{plan.unasked} photos were not asked for yet, and a job of several processes does not ask for "
            "labels. Run `fgvr label` with the same options first, in one process."
        )
    asked_before = ASKED_BEFORE.items() <= os.environ.items()
    if not (plan.unasked if asked_before else plan.missing):
        return 0.0
    before = sum(label.cost_usd for label in data.read_labels(data.asked))
    return max(0.0, sum(label.cost_usd for label in data.label()) - before)


def _as_list(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]
