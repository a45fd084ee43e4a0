"""``fgvr fit``, ``validate``, ``test`` and ``predict``: Lightning's own command line, with a run folder around it."""

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import CSVLogger, Logger
from lightning.pytorch.utilities import rank_zero_only

from fgvr.cli.configs import expand_config_names
from fgvr.cli.names import PARSER_MODE, expand_argv
from fgvr.cli.parser import FgvrParser
from fgvr.cli.quiet import silence
from fgvr.data.datamodule import FgvrDataModule
from fgvr.errors import FgvrError
from fgvr.files import replacing
from fgvr.methods.base import Method
from fgvr.metrics.files import read_metrics
from fgvr.reports.recorder import RunRecorder
from fgvr.reports.table import format_table
from fgvr.runs import RunFolder, new_run_folder
from fgvr.vocabulary.build import known_vocabulary

log = logging.getLogger(__name__)


@dataclass
class RunOptions:
    """Where the run folder is made: ``root/name/version``.

    Args:
        root: Folder of all runs.
        name: The configuration file's name if not given.
        version: The next free number if not given.
    """

    root: Path = Path("runs")
    name: str | None = None
    version: str | None = None


class FgvrCLI(LightningCLI):
    """Parses a configuration, labels what is missing, and hands over to the trainer."""

    def __init__(self, command: str, args: list[str], run: bool = True) -> None:
        self.command = command
        self.run_folder: RunFolder | None = None
        argv = expand_argv(expand_config_names(args))
        per_parser = {"parser_mode": PARSER_MODE}
        super().__init__(
            Method,
            FgvrDataModule,
            subclass_mode_model=True,
            auto_configure_optimizers=False,
            save_config_callback=None,
            seed_everything_default=0,
            parser_class=FgvrParser,
            parser_kwargs={**per_parser, **dict.fromkeys(self.subcommands(), per_parser)} if run else per_parser,
            trainer_defaults={"max_epochs": 50, "use_distributed_sampler": False, "log_every_n_steps": 1},
            args=[command, *argv] if run else argv,
            run=run,
        )

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add the keys that are fgvr's own."""
        parser.add_class_arguments(RunOptions, "run")

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Parse ``args`` without Lightning's warning that they were given."""
        self.config = parser.parse_args(args)

    def before_instantiate_classes(self) -> None:
        """Make the run folder, and let loggers write into it."""
        config = self._options()
        config.run.name = config.run.name or _name_of(config.get("config"))
        self.run_folder = self._make_run_folder()
        for logger in _as_list(config.trainer.logger):
            init = logger.get("init_args") if hasattr(logger, "get") else None
            if init is not None and init.get("save_dir") in (None, "."):
                init["save_dir"] = str(self.run_folder.path)
            if init is not None and init.get("project") == "lightning_logs":
                init["project"] = "fgvr"
                init["name"] = init.get("name") or f"{config.run.name}/{self.run_folder.path.name}"

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """Do what must be done before there is a trainer (labelling), then build it."""
        method, data, folder = self.method, self.data, self.run_folder
        assert folder is not None, "before_instantiate_classes has made it"
        data.run_folder = folder
        checkpoint = self._options().get("ckpt_path")
        if checkpoint is not None and not Path(checkpoint).is_file():
            raise FgvrError(f"There is no checkpoint {str(checkpoint)!r}; a run's newest is checkpoints/last.ckpt.")
        data.resuming = self.command == "fit" and checkpoint is not None
        if checkpoint is not None and not data.resuming:
            data.vocabulary = known_vocabulary(_class_names(Path(checkpoint)))
        self.write_config()
        if data.vocabulary is None and not data.resuming and data.needs_labels(method):
            _label_before_training(data)
        loggers = [entry for entry in _as_list(self._trainer_options().logger) if isinstance(entry, Logger)]
        # a new version a start, because a CSV logger deletes what it finds in its folder
        loggers.append(CSVLogger(folder.path, name="logs"))
        callbacks = [*_as_list(self._trainer_options().callbacks), RunRecorder(folder)]
        if self.command == "fit":
            callbacks.append(
                ModelCheckpoint(
                    folder.checkpoints, filename="last", enable_version_counter=False, save_on_train_epoch_end=True
                )
            )
        else:
            kwargs["enable_checkpointing"] = False
        if not data.photos.splits.get("val"):
            kwargs["limit_val_batches"] = 0
        return super().instantiate_trainer(
            default_root_dir=folder.path,
            logger=loggers,
            callbacks=callbacks,
            **kwargs,
        )

    def write_config(self) -> None:
        """Leave the resolved configuration in the run folder, and with the method for its checkpoints."""
        assert self.run_folder is not None, "before_instantiate_classes has made it"
        self.method.resolved_config = self._parser(self.subcommand).dump(self._options(), skip_none=False)
        if _is_rank_zero():
            with replacing(self.run_folder.config) as path:
                path.write_text(self.method.resolved_config, encoding="utf-8")

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
        """Predict the test photos and write the table; the last line printed is the run folder."""
        self.trainer.test(self.method, datamodule=self.data, verbose=False)
        self.after_test()

    def test(self, model: Method, datamodule: FgvrDataModule, **kwargs: Any) -> None:
        """As Lightning's, without its own table."""
        self.trainer.test(model, datamodule=datamodule, **{**kwargs, "verbose": False})

    def after_test(self) -> None:
        """Print the table and where everything is."""
        if self.trainer.is_global_zero and self.run_folder is not None:
            print(format_table(read_metrics(self.run_folder.metrics)))
        self.print_folder()

    def after_predict(self) -> None:
        """Say where the predictions are."""
        self.print_folder()

    def print_folder(self) -> None:
        """Print the run folder alone on a line."""
        if self.trainer.is_global_zero and self.run_folder is not None:
            print(self.run_folder.path)

    def _options(self) -> Any:
        return self.config[self.subcommand] if self.subcommand else self.config

    def _trainer_options(self) -> Any:
        return self._get(self.config_init, "trainer")

    def _make_run_folder(self) -> RunFolder:
        options = self._options()
        checkpoint = options.get("ckpt_path")
        if self.command == "fit" and checkpoint is not None and Path(checkpoint).parent.name == "checkpoints":
            return RunFolder(Path(checkpoint).parent.parent)  # a resumed run goes on in its own folder
        if not _is_rank_zero():
            return RunFolder(options.run.root / options.run.name / "unknown")  # process 0 tells the real one in setup
        return new_run_folder(options.run.root, options.run.name, options.run.version)


def run_trainer(command: str, args: list[str]) -> int:
    """Run one of Lightning's subcommands.

    Raises:
        FgvrError: Something that the user can mend.
    """
    configure_logging()
    FgvrCLI(command, args)
    return 0


def configure_logging() -> None:
    """Show what fgvr has to say, on process 0, and warnings of everybody."""
    silence()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    logging.getLogger("fgvr").setLevel(logging.INFO if _is_rank_zero() else logging.WARNING)


def _is_rank_zero() -> bool:
    rank: int = rank_zero_only.rank  # type: ignore[attr-defined]  # Lightning sets it when it is imported
    return rank == 0 and os.environ.get("NODE_RANK", "0") == "0"


def _label_before_training(data: FgvrDataModule) -> None:
    if not _is_rank_zero():
        return
    plan = data.label_plan()
    log.info("%s", plan)
    if plan.unasked and (TorchElasticEnvironment.detect() or SLURMEnvironment.detect()):
        raise FgvrError(
            f"{plan.unasked} support photos were not asked for yet, and a job of several processes does not ask for "
            "labels. Run `fgvr label` with the same options first, in one process."
        )
    if plan.missing:
        data.label()


def _class_names(checkpoint: Path) -> list[str]:
    """Class names of a checkpoint, in class-index order."""
    content = torch.load(checkpoint, map_location="cpu", weights_only=True)
    if "fgvr" not in content:
        raise FgvrError(f"{str(checkpoint)!r} was not written by fgvr: it holds no class names.")
    names: list[str] = content["fgvr"]["class_names"]
    return names


def _name_of(configs: Any) -> str:
    """A run's name: that of the last configuration file, or of the run folder whose configuration it is."""
    for config in reversed(_as_list(configs)):
        path = Path(str(config))
        return path.parent.parent.name if path.stem == "config" else path.stem
    return "run"


def _as_list(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]
