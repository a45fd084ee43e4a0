"""One run: its stages, each of which leaves its files in the run folder, and what came of it."""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol

import pyarrow as pa
import torch
from filelock import FileLock
from lightning.pytorch import Callback, Trainer

from fgvr.candidates.files import read_candidates
from fgvr.checkpoints.callbacks import checkpoint_callbacks, take_best
from fgvr.checkpoints.files import read_checkpoint
from fgvr.checkpoints.label_free_figures import LabelFreeFigures
from fgvr.checkpoints.monitors import check_monitored
from fgvr.checkpoints.whole import chosen_checkpoint
from fgvr.data.datamodule import FgvrDataModule
from fgvr.data.labelled import needs_sets
from fgvr.data.run_state import RunState
from fgvr.datasets.images import Images
from fgvr.descriptions.describe import Descriptions
from fgvr.descriptions.files import write_descriptions
from fgvr.descriptions.options import DescribeOptions
from fgvr.errors import FgvrError
from fgvr.labelling.requests import Asker
from fgvr.methods.base import Method
from fgvr.metrics.files import read_metrics
from fgvr.pipeline.config_file import ConfigFile
from fgvr.pipeline.descriptions import descriptions_of, known_vocabulary_of
from fgvr.pipeline.loggers import finish
from fgvr.pipeline.parts import RunParts, as_list
from fgvr.pipeline.preparation import (
    ask_before_training,
    build_trainer,
    epochs_of,
    state_of,
    with_loggers,
)
from fgvr.pipeline.processes import is_rank_zero
from fgvr.pipeline.results import Report, ResultTable
from fgvr.pipeline.stage import stage
from fgvr.pipeline.time_estimate import TimeEstimate
from fgvr.records import CandidateSets, LabelRecord, Vocabulary
from fgvr.reports.content import no_photos
from fgvr.reports.predictions import read_prediction_table
from fgvr.reports.recorder import RunRecorder, log_results
from fgvr.runs import RunFolder, new_run_folder, only_writer, write_run_config
from fgvr.vocabulary.files import read_vocabulary, write_vocabulary

log = logging.getLogger(__name__)


class ComparedRows(Protocol):
    """Further rows of a run's table, which are runs of their own; see ``fgvr.sweeps.compare``."""

    def check(self, run: "Run") -> None:
        """Refuse what could not be run, before anything is paid for or trained."""

    def train(self, run: "Run", fork: bool) -> str:
        """Train them, and take them into the files of the run; says how to run those that failed."""


class Run:
    """One run, from photos to its report.

    Every stage leaves files in the run folder, and takes up what is there: replies and image features are stored for
    all runs, a stage that is done is not done again, and training goes on from a checkpoint that is given.

    Args:
        parts: What it is made of.
        folder: Its folder, where it is there already; made at the first stage that leaves files if not given.
        compared: Further rows of its table.

    Attributes:
        failed_rows: Compared rows that are not in the table, with what to do; ``""`` where there are none.
        unwritten: Which file of the result could not be written and why; ``""`` where all are there.
        unwritten_table: The result table, where that is the file.
    """

    def __init__(self, parts: RunParts, folder: RunFolder | None = None, compared: ComparedRows | None = None) -> None:
        self.parts = parts
        self.compared = compared
        self.failed_rows = ""
        self.unwritten, self.unwritten_table = "", ResultTable()
        self._folder = folder
        self._lock: FileLock | None = None
        self._opened = folder is not None
        self._trainer: Trainer | None = None
        self._fitted = False
        self._added: Sequence[Callback] = ()
        self._recorder: RunRecorder | None = None
        direct = parts.method.asks_evaluated
        parts.data.begin(RunState(backbone=parts.method.backbone, direct=direct, asks_support=not direct))

    # what it is made of

    @property
    def data(self) -> FgvrDataModule:
        """The data module."""
        return self.parts.data

    @property
    def method(self) -> Method:
        """The method."""
        return self.parts.method

    @property
    def folder(self) -> RunFolder:
        """The run folder.

        Raises:
            FgvrError: There is none yet: no stage has left a file.
        """
        if self._folder is None:
            raise FgvrError("The run has no folder yet: call fit(), or another stage that leaves files.")
        return self._folder

    @property
    def has_folder(self) -> bool:
        """Whether a stage has left a file."""
        return self._folder is not None

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
        return read_prediction_table(self.folder.predictions)

    @property
    def vocabulary(self) -> Vocabulary:
        """The class names, in class-index order."""
        return read_vocabulary(self.folder.vocabulary)

    @property
    def report(self) -> Report:
        """The report, one HTML file: shown in a notebook, and written anew when it is called."""
        return Report(self.folder, self._images)

    # stages

    @stage
    def label(self, asker: Asker | None = None) -> list[LabelRecord]:
        """Ask the labeler for what is missing, and return what is known of each photo that it is asked about.

        Args:
            asker: Asks in another way than the labeler's own.

        Raises:
            FgvrError: The labeler cannot go on, or ``data.max_cost_usd`` is reached; what was paid for is stored.
        """
        return self.data.label(asker)

    @stage
    def describe(self, asker: Asker | None = None) -> Descriptions:
        """Ask for the descriptions that are missing, and leave all of them in the run folder.

        Raises:
            FgvrError: Photos are not labelled yet, or nobody can describe them.
        """
        vocabulary = known_vocabulary_of(self.data)
        options = self.data.describe or DescribeOptions()
        descriptions = descriptions_of(self.data, self.method, options, vocabulary)
        descriptions.ask(asker)
        self.write_descriptions(descriptions, vocabulary)
        return descriptions

    def write_descriptions(self, descriptions: Descriptions, vocabulary: Vocabulary) -> None:
        """Leave descriptions and vocabulary in the run folder."""
        known, folder = descriptions.read(), self._made_folder()
        self._write_config()
        write_vocabulary(vocabulary, folder.vocabulary)
        write_descriptions(known.descriptions, folder.descriptions, known.summary.origin)

    @stage
    def candidates(self) -> CandidateSets:
        """Build the candidate sets from stored labels.

        Raises:
            FgvrError: Photos are not labelled yet.
        """
        data, method = self.data, self.method
        data.begin(RunState(self._made_folder(), method.backbone, self.parts.config, asks_evaluated=False))
        self._write_config()
        vocabulary = data.make_vocabulary(method)
        method.backbone.load()
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        data.make_candidates(vocabulary, method, device)
        return read_candidates(self.folder.candidates, vocabulary.names)

    @stage
    def fit(self) -> "Run":
        """Label and describe what is missing, train, predict the evaluated photos, and write the table.

        Raises:
            FgvrError: Something that the user can fix.
        """
        if self._fitted:
            return self
        if self._trainer is not None:
            raise FgvrError(
                f"The training in {str(self.folder.path)!r} was stopped, and its objects are half trained: go on with "
                f"fgvr.open_run({str(self.folder.path)!r}).fit()."
            )
        trainer = self._start("fit")
        method, data, parts = self.method, self.data, self.parts
        if method.trains:
            trainer.fit(method, datamodule=data, ckpt_path=parts.ckpt_path, weights_only=parts.weights_only)
        take_best(self._added, trainer, method, data)
        if trainer.is_global_zero:
            method.leave_files(self.folder)
        trainer.test(method, datamodule=data, verbose=False)
        self._fitted = True
        self._take_unwritten()
        if self.compared is not None and trainer.is_global_zero and not self.unwritten_table:
            # the driver of a GPU does not survive a fork, and several processes need the launcher of Lightning
            fork = trainer.strategy.root_device.type == "cpu" and trainer.world_size == 1
            self.failed_rows = self.compared.train(self, fork)
            log_results(trainer.loggers, self.table)
        return self

    def test(self) -> "Run":
        """Predict the evaluated photos, and write the table.

        Returns:
            This run, or a new one for a run that was opened: a test never writes into the folder of the run it tests.
        """
        return self._evaluated("test", verbose=False)

    def predict(self) -> "Run":
        """Predict the evaluated photos; true names are not looked at.

        Returns:
            This run, or a new one for a run that was opened.
        """
        return self._evaluated("predict")

    def validate(self) -> "Run":
        """Log the figures of the split ``val``.

        Returns:
            This run, or a new one for a run that was opened.
        """
        return self._evaluated("validate", verbose=False)

    def close(self) -> None:
        """End what the loggers have begun."""
        if self._trainer is not None:
            finish(self._trainer.loggers)

    def discard_empty_folder(self) -> None:
        """Take the run folder away again if this run has made it and it holds nothing but its configuration."""
        folder = self._folder
        if folder is None or self._opened or not folder.path.is_dir():
            return
        own = {folder.config, folder.checksums, folder.lock, folder.near_duplicates}
        if set(folder.path.iterdir()) <= own:
            for path in own:
                path.unlink(missing_ok=True)
            folder.path.rmdir()
            self._folder = None

    @property
    def is_global_zero(self) -> bool:
        """Whether this process speaks for all."""
        return is_rank_zero() if self._trainer is None else self._trainer.is_global_zero

    def name_counts(self) -> Counter[str]:
        """Name -> how many of the predicted photos were given it."""
        return Counter(prediction.names[self.method.row] for prediction in self.method.predictions)

    # how they are begun and ended

    def _made_folder(self, resuming: bool = False) -> RunFolder:
        """The run folder; made now where there is none, or that of the training which goes on."""
        options, checkpoint = self.parts.options, self.parts.ckpt_path
        name = options.name or "run"
        if self._folder is None:
            if resuming and checkpoint is not None and checkpoint.parent.name == "checkpoints":
                self._folder, self._opened = RunFolder(checkpoint.parent.parent), True
            elif not is_rank_zero():
                self._folder = RunFolder(options.root / name / "unknown")  # process 0 tells the real one in setup
            else:
                self._folder, self._lock = new_run_folder(options.root, name, options.version)
        if self._lock is None and is_rank_zero():
            self._lock = only_writer(self._folder)
        return self._folder

    def end_writing(self) -> None:
        """Let other processes write into the run folder, until this one does again."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def _images(self) -> Images:
        """The photos, or none where they cannot be found any more."""
        try:
            return self.data.images
        except FgvrError as error:
            log.warning(
                "The photos cannot be found, so the report is without them. To add them, write the report of %s "
                "again with data.dataset.root set to their folder.\n(%s)",
                self.folder.path,
                error,
            )
            return no_photos()

    def _evaluated(self, command: str, **kwargs: Any) -> "Run":
        if self._fitted and command != "validate":
            return self  # training ends with a test
        run = self
        if self._opened and not self._fitted:
            checkpoint = chosen_checkpoint(self.folder.checkpoints)
            loaded = None if checkpoint is None else read_checkpoint(checkpoint)
            run = Run(replace(self.parts, ckpt_path=checkpoint, loaded=loaded))
        run._evaluate(command, **kwargs)
        return run

    @stage
    def _evaluate(self, /, command: str, **kwargs: Any) -> None:
        parts = self.parts
        if self._fitted:
            self._made_folder()
        trainer = self._trainer if self._fitted else self._start(command)
        assert trainer is not None, "what has fitted has a trainer"
        weights = {} if self._fitted else {"ckpt_path": parts.ckpt_path, "weights_only": parts.weights_only}
        getattr(trainer, command)(self.method, datamodule=self.data, **weights, **kwargs)
        self._take_unwritten()

    def _take_unwritten(self) -> None:
        assert self._recorder is not None, "there is a trainer"
        self.unwritten, self.unwritten_table = self._recorder.unwritten, ResultTable(self._recorder.table)

    def _start(self, command: str) -> Trainer:
        """Do what must be done before there is a trainer (checks, labelling and describing), then build it."""
        self._trainer = self._prepared(command)
        return self._trainer

    def _prepared(self, command: str) -> Trainer:
        parts, data, method, fitting = self.parts, self.data, self.method, command == "fit"
        folder = self._made_folder(resuming=fitting and parts.loaded is not None)
        state = state_of(parts, folder, command)
        options = dict(parts.trainer)
        theirs = as_list(options.pop("callbacks", None))
        self._recorder = RunRecorder(folder)
        callbacks: list[Callback] = [*theirs, self._recorder]
        if fitting:
            self._added = checkpoint_callbacks(parts.checkpoints, theirs, method, data, folder, options)
            callbacks += [*self._added, TimeEstimate()]
            if folder.config.exists() and parts.config:
                callbacks.append(ConfigFile(folder, parts.config))
            options["max_epochs"] = epochs_of(parts, options)
        else:
            options["enable_checkpointing"] = False
        data.begin(replace(state, evaluates_support=any(isinstance(entry, LabelFreeFigures) for entry in self._added)))
        self._write_config()
        if fitting and self.compared is not None and is_rank_zero():
            self.compared.check(self)
        if fitting and method.trains:
            data.features.trains_on_stored(method)  # refuses views before anything is paid for
            if method.closed_form and data.features.augment is not None:
                log.warning("data.augment and data.views change nothing: %s learns from plain photos", method.row)
        if fitting and data.relabelling is not None and not needs_sets(method):
            log.warning("data.relabelling changes nothing: %s learns from no candidate sets", method.row)
        if fitting and method.trains:
            check_monitored(callbacks, method, data)
        method.backbone.check()
        options = with_loggers(options, folder)
        if not data.images.splits.get("val"):
            options["limit_val_batches"] = 0
        # what it refuses is refused before anything is paid for; it starts no process before it is used
        trainer = build_trainer({**options, "default_root_dir": folder.path, "callbacks": callbacks})
        ask_before_training(parts, folder, fitting)
        return trainer

    def _write_config(self) -> None:
        """Leave the resolved configuration in the run folder; what goes on has one: see ``ConfigFile``."""
        if self.parts.config and is_rank_zero() and not self.folder.config.exists():
            write_run_config(self.folder.config, self.parts.config)
