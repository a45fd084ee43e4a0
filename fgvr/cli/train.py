"""``fgvr fit``, ``validate``, ``test`` and ``predict``: Lightning's own command line, with a run folder around it."""

import logging
import os
from collections import Counter
from pathlib import Path
from typing import Any

import yaml
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import CSVLogger, Logger, WandbLogger

from fgvr.checkpoints.files import read_checkpoint
from fgvr.checkpoints.true_names import check_callbacks, check_configured
from fgvr.cli.allocator import keep_freed_memory
from fgvr.cli.choose import check_resumed, checkpoint_callbacks, take_best, warn_of_best
from fgvr.cli.compare import check_rows, compared_args, run_compared
from fgvr.cli.configs import expand_config_names
from fgvr.cli.descriptions import describe_before_training
from fgvr.cli.launch import ASKED_BEFORE
from fgvr.cli.logs import configure_logging, external_processes, is_rank_zero
from fgvr.cli.names import PARSER_MODE, expand_argv
from fgvr.cli.options import CheckpointOptions, RunOptions
from fgvr.cli.parser import FgvrParser
from fgvr.cli.time_estimate import TimeEstimate
from fgvr.data.datamodule import FgvrDataModule
from fgvr.errors import FgvrError
from fgvr.files import replacing
from fgvr.methods.base import Method
from fgvr.methods.schedules import default_epochs
from fgvr.metrics.files import read_metrics
from fgvr.registry import BACKBONES, METHODS
from fgvr.reports.recorder import RunRecorder
from fgvr.reports.run_files import simulates
from fgvr.reports.table import format_table
from fgvr.runs import RunFolder, new_run_folder
from fgvr.vocabulary.build import known_vocabulary

log = logging.getLogger(__name__)


DEFAULT_MODEL = {
    "class_path": METHODS.resolve("class_means"),
    "init_args": {"backbone": {"class_path": BACKBONES.resolve("lite")}},
}
"""What runs where no model is given: seconds on a CPU, no hub, and the best of what was measured."""


class FgvrCLI(LightningCLI):
    """Parses a configuration, labels what is missing, and hands over to the trainer.

    Args:
        command: The subcommand.
        args: What follows it.
        run: Whether to run it; without, there is one flat parser, and ``instantiate_trainer`` is the last step.
    """

    def __init__(self, command: str, args: list[str], run: bool = True) -> None:
        self.command = command
        self.flat = not run
        self.run_folder: RunFolder | None = None
        self.resolved_config = ""
        self.checkpoint: dict[str, Any] | None = None
        self.added: list[Callback] = []
        argv = expand_argv(expand_config_names(args))
        mode = {"parser_mode": PARSER_MODE}
        super().__init__(
            Method,
            FgvrDataModule,
            subclass_mode_model=True,
            auto_configure_optimizers=False,
            save_config_callback=None,
            seed_everything_default=0,
            parser_class=FgvrParser,
            parser_kwargs={**mode, **dict.fromkeys(self.subcommands(), mode)} if run else mode,
            trainer_defaults={"use_distributed_sampler": False, "log_every_n_steps": 1},
            args=[command, *argv] if run else argv,
            run=run,
        )

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add the keys that are fgvr's own, and the model where none is given."""
        if self.command not in ("validate", "test", "predict"):  # a checkpoint has its model in its config.yaml
            parser.set_defaults({"model": DEFAULT_MODEL})
        parser.set_defaults({"data.num_workers": "auto"})  # here is a main guard
        parser.add_class_arguments(RunOptions, "run")
        parser.add_class_arguments(CheckpointOptions, "checkpoint")
        parser.add_argument(
            "--compare",
            type=dict[str, dict[str, Any]] | None,
            default=None,
            help="fit only: further rows of the result table. Row name -> options in which its run differs, as in "
            "{coop_single: {data.candidates: single}}. Each is trained after the run itself, with its seed, in "
            "RUN/compare/NAME. A row with another method has the run's backbone and templates, else its own defaults.",
        )
        if self.flat:
            # fit's own keys, because they are in the config.yaml of a run
            parser.add_method_arguments(Trainer, "fit", skip=set(self.subcommands()["fit"]))

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Parse ``args`` without Lightning's warning that they were given, and look at callbacks and checkpoint."""
        self.config = parser.parse_args(args)
        options = self.config.get(self.command, self.config)
        check_configured(options.trainer.callbacks, options.checkpoint.allow_true_names)
        if options.get("ckpt_path") is not None:
            self.checkpoint = read_checkpoint(Path(options.ckpt_path))

    def before_instantiate_classes(self) -> None:
        """Resolve the configuration, make the run folder, and let loggers write into it."""
        options = self._options()
        options.run.name = options.run.name or _name_of(options.get("config"))
        self.resolve_config()
        self.run_folder = self._make_run_folder()
        for logger in _as_list(options.trainer.logger):
            init = logger.get("init_args") if hasattr(logger, "get") else None
            if init is not None and init.get("save_dir") in (None, "."):
                init["save_dir"] = str(self.run_folder.path)
            if init is not None and logger["class_path"].endswith("WandbLogger"):
                if not init.get("project") and "WANDB_PROJECT" not in os.environ:
                    init["project"] = "fgvr"
                if not init.get("name") and "WANDB_NAME" not in os.environ:
                    init["name"] = f"{options.run.name}/{self.run_folder.path.name}"

    def resolve_config(self) -> None:
        """Write out what this run does, without what belongs to this start of it alone.

        So the same configuration starts a new run, and does not write into the folder of this one.
        """
        options = self._options().clone()
        options.run.version = None
        if "ckpt_path" in options:
            options["ckpt_path"] = None
        self.resolved_config = self._parser(self.subcommand).dump(options, skip_none=False)

    def instantiate_classes(self) -> None:
        """Build method and data module, then the trainer; a plugin's refusal of its options is a user's error."""
        try:
            try:
                self.config_init = self.parser.instantiate_classes(self.config)
            except ValueError as error:  # jsonargparse's, around whatever a constructor raised
                raise _user_error(error) from error
            self.datamodule = self._get(self.config_init, "data")
            self.model = self._get(self.config_init, "model")
            self.data.backbone = self.method.backbone
            check_callbacks(self._callbacks, self._checkpoint_options.allow_true_names)
            self.trainer = self.instantiate_trainer()
        except FgvrError:
            self.discard_empty_folder()
            raise

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """Do what must be done before there is a trainer (checks and labelling), then build it."""
        method, data, folder = self.method, self.data, self.run_folder
        assert folder is not None, "before_instantiate_classes has made it"
        data.run_folder = folder
        data.resuming = self.command == "fit" and self.checkpoint is not None
        trained_with = yaml.safe_load(self.checkpoint["fgvr"]["config"]) or {} if self.checkpoint is not None else {}
        if self.checkpoint is not None and not data.resuming:
            data.vocabulary = known_vocabulary(self.checkpoint["fgvr"]["class_names"])
            data.simulated_before = simulates(trained_with) or self.checkpoint["fgvr"].get("simulated", False)
            warn_of_best(Path(self._options().ckpt_path))
        if data.resuming:
            check_resumed(self._checkpoint_options, trained_with)
        if self._checkpoint_options.allow_true_names:
            method.selection["oracle"] = True  # a checkpoint that is read says the same of itself
        if self.command != "fit" and self.checkpoint is None and method.trains:
            raise FgvrError(
                f"fgvr {self.command} needs the trained parameters of the method {method.row!r}: give them with "
                "--ckpt_path FILE, or choose --model zero_shot."
            )
        if self.command == "validate":
            data.photos.require_split("val")
        callbacks: list[Callback] = [*self._callbacks, RunRecorder(folder)]
        if self.command == "fit":
            self.added = checkpoint_callbacks(
                self._checkpoint_options, self._callbacks, method, data, folder, self._trainer_options()
            )
            callbacks += [*self.added, TimeEstimate()]
            kwargs["max_epochs"] = self._epochs()
        else:
            kwargs["enable_checkpointing"] = False
        self.write_config()
        self.check_compare()
        if self.command == "fit" and method.trains:
            data.features.trains_on_stored(method)  # refuses views before anything is paid for
            if method.closed_form and data.features.augment is not None:
                log.warning("data.augment and data.views change nothing: %s learns from plain photos", method.row)
        # where nothing is scored, nothing is compared with the labeler either
        data.direct = data.direct and self.command in ("fit", "test")
        data.asks_support = data.vocabulary is None and not data.resuming and data.needs_labels(method)
        spent_usd = 0.0
        if data.direct or data.asks_support:
            data.labels.require_names()
            spent_usd = _label_before_training(data)
        if self.command == "fit" and is_rank_zero():
            data.described = describe_before_training(
                data,
                method,
                folder,
                alone=external_processes() == 1,
                asked_before=ASKED_BEFORE.items() <= os.environ.items(),
                spent_usd=spent_usd,
            )
            if data.described is not None and data.described.oracle:
                method.selection["oracle"] = True
        loggers = [entry for entry in _as_list(self._trainer_options().logger) if isinstance(entry, Logger)]
        # a new version per start, because a CSV logger deletes what it finds in its folder
        loggers.append(CSVLogger(folder.path, name="logs"))
        if not data.photos.splits.get("val"):
            kwargs["limit_val_batches"] = 0
        try:
            return super().instantiate_trainer(
                default_root_dir=folder.path, logger=loggers, callbacks=callbacks, **kwargs
            )
        except (MisconfigurationException, ModuleNotFoundError, TypeError, ValueError) as error:
            # what Lightning raises for an accelerator, a strategy or a precision that is not available here
            raise FgvrError(f"The trainer cannot be built: {error}") from error

    def write_config(self) -> None:
        """Leave the resolved configuration in the run folder, and with the method for its checkpoints."""
        assert self.run_folder is not None, "before_instantiate_classes has made it"
        self.method.resolved_config = self.resolved_config
        # a resumed run has its configuration there already
        if is_rank_zero() and not self.run_folder.config.exists():
            with replacing(self.run_folder.config) as path:
                path.write_text(self.resolved_config, encoding="utf-8")

    def check_compare(self) -> None:
        """Refuse compared rows that could not be run, before anything is paid for or trained.

        Raises:
            FgvrError: A row's name or one of its options is wrong, a scheduler has started several processes, or the
                run goes on with other options than it was begun with, which its compared rows would not have.
        """
        entries = self._options().compare
        if self.command != "fit" or not entries or not is_rank_zero():
            return
        if external_processes() > 1:
            raise FgvrError(
                "A job of several processes trains no compared rows: give --compare null, and run the rows side by "
                "side with fgvr sweep."
            )
        check_rows(entries, self.method.row_names())
        assert self.run_folder is not None, "before_instantiate_classes has made it"
        if self.checkpoint is not None:
            then = yaml.safe_load(self.run_folder.config.read_text(encoding="utf-8"))
            now = yaml.safe_load(self.resolved_config)
            changed = ", ".join(sorted(key for key in then | now if then.get(key) != now.get(key)))
            if changed:
                raise FgvrError(
                    f"{self.run_folder.config} has other options under {changed}, and compared rows belong to the "
                    "options that the run was begun with: give --compare null, or the options of that file."
                )
        for row in entries:
            try:
                ParsedCLI(compared_args(self.run_folder, row, entries[row]))
            except FgvrError as error:
                raise FgvrError(f"compare: {row!r} cannot be run: {error}") from error

    def discard_empty_folder(self) -> None:
        """Take the run folder away again if it holds nothing but its configuration: the run has not begun."""
        folder = self.run_folder
        if folder is not None and folder.path.is_dir() and set(folder.path.iterdir()) <= {folder.config}:
            folder.config.unlink(missing_ok=True)
            folder.path.rmdir()

    @property
    def method(self) -> Method:
        """The method of the configuration."""
        assert isinstance(self.model, Method), "the parser admits subclasses of Method only"
        return self.model

    @property
    def data(self) -> FgvrDataModule:
        """The data module of the configuration."""
        assert isinstance(self.datamodule, FgvrDataModule), "the parser admits FgvrDataModule only"
        return self.datamodule

    def fit(self, model: Method, datamodule: FgvrDataModule, **kwargs: Any) -> None:
        """Train, if the method has anything to train."""
        if model.trains:
            self.trainer.fit(model, datamodule=datamodule, **kwargs)

    def after_fit(self) -> None:
        """Predict the evaluated photos with the chosen epoch, train the compared rows, and print the table.

        The last line is the run folder.

        Raises:
            FgvrError: A compared row has failed; the others, and the run itself, are there.
        """
        take_best(self.added, self.trainer, self.method, self.data)
        self.trainer.test(self.method, datamodule=self.data, verbose=False)
        failed = self.compare()
        self.after_test()
        if failed:
            raise FgvrError(f"Not in the table, because they failed: {failed}")

    def compare(self) -> str:
        """Train the compared rows and take them into the files of this run; says how to run those that failed."""
        entries = self._options().compare
        if not entries or not self.trainer.is_global_zero or self.run_folder is None:
            return ""
        # the driver of a GPU does not survive a fork, and several processes need the launcher of Lightning
        fork = self.trainer.strategy.root_device.type == "cpu" and self.trainer.world_size == 1
        return run_compared(self.run_folder, entries, self.data.photos, fork)

    def test(self, model: Method, datamodule: FgvrDataModule, **kwargs: Any) -> None:
        """As Lightning's, without its own table."""
        self.trainer.test(model, datamodule=datamodule, **{**kwargs, "verbose": False})

    def after_test(self) -> None:
        """Print the table and where everything is."""
        if self.trainer.is_global_zero and self.run_folder is not None:
            if not self.data.photos.truth:
                self.print_names()
            print(format_table(read_metrics(self.run_folder.metrics)))
            print(f"report: {self.run_folder.report}")
        self.print_folder()

    def after_predict(self) -> None:
        """Print what was found and where the predictions are."""
        if self.trainer.is_global_zero:
            self.print_names()
        self.print_folder()

    def after_validate(self) -> None:
        """Print where the log is."""
        self.print_folder()

    def print_names(self) -> None:
        """Print how many photos were given which name, the commonest first."""
        counts = Counter(prediction.names[self.method.row] for prediction in self.method.predictions)
        shown = ", ".join(f"{count} {name}" for name, count in counts.most_common(8))
        more = f", and {len(counts) - 8} more names" if len(counts) > 8 else ""
        print(f"{counts.total()} photos: {shown}{more}")

    def print_folder(self) -> None:
        """Print the run folder alone on a line."""
        if self.trainer.is_global_zero and self.run_folder is not None:
            print(self.run_folder.path)

    def _epochs(self) -> int | None:
        """The epochs that are asked for; where none are, enough for few photos to be learned from, too."""
        options, data = self._trainer_options(), self.data
        if self.method.closed_form:
            return 1
        if options.max_epochs is not None or options.max_steps != -1 or options.max_time is not None:
            given: int | None = options.max_epochs
            return given
        if not self.method.trains:
            return None
        photos = round(len(data.support) * (1 - data.holdout))
        epochs = default_epochs(max(round(photos / data.batch_size), 1))
        log.info("Training for %d epochs; trainer.max_epochs states another number", epochs)
        return epochs

    def _options(self) -> Any:
        return self.config[self.subcommand] if self.subcommand else self.config

    def _trainer_options(self) -> Any:
        return self._get(self.config_init, "trainer")

    @property
    def _callbacks(self) -> list[Callback]:
        return _as_list(self._trainer_options().callbacks)

    @property
    def _checkpoint_options(self) -> CheckpointOptions:
        options: CheckpointOptions = self._get(self.config_init, "checkpoint")
        return options

    def _make_run_folder(self) -> RunFolder:
        options = self._options()
        if self.command == "fit" and self.checkpoint is not None:
            folder = Path(options.ckpt_path).parent
            if folder.name == "checkpoints":
                return RunFolder(folder.parent)  # a resumed run goes on in its own folder
        if not is_rank_zero():
            return RunFolder(options.run.root / options.run.name / "unknown")  # process 0 tells the real one in setup
        return new_run_folder(options.run.root, options.run.name, options.run.version)


class ParsedCLI(FgvrCLI):
    """Parses the arguments of ``fgvr fit`` and builds data module and method; writes nothing and runs nothing.

    Args:
        args: What follows ``fgvr fit``.

    Raises:
        FgvrError: ``fgvr fit`` would refuse them.
    """

    def __init__(self, args: list[str]) -> None:
        # the process that only looks keeps its own random numbers
        super().__init__("fit", [*args, "--seed_everything=false"], run=False)

    def before_instantiate_classes(self) -> None:
        """Make no folder, and no logger or callback, whose constructors may do anything."""
        self.config.trainer.logger = None
        self.config.trainer.callbacks = None

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """None."""
        return None  # type: ignore[return-value]  # nobody asks for it: there is no subcommand to run


def run_trainer(command: str, args: list[str]) -> int:
    """Run one of Lightning's subcommands.

    Raises:
        FgvrError: Something that the user can fix.
    """
    configure_logging()
    keep_freed_memory()
    try:
        cli = FgvrCLI(command, args)
    except MisconfigurationException as error:  # Lightning's word for trainer options that do not go together
        raise FgvrError(str(error)) from error
    for logger in cli.trainer.loggers:
        if isinstance(logger, WandbLogger):
            logger.experiment.finish()  # a process may start several runs
    return 0


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


def _user_error(error: BaseException) -> FgvrError:
    """The ``FgvrError`` that ``error`` was raised from, or one with its message."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, FgvrError):
        cause = cause.__cause__ or cause.__context__
    return cause or FgvrError(str(error))


def _name_of(configs: Any) -> str:
    """A run's name where none is given: that of the last configuration file."""
    names = [Path(str(config)).stem for config in _as_list(configs)]
    return names[-1] if names else "run"


def _as_list(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]
