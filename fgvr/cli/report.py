"""``fgvr report``: writes the report of a run anew, from the files in its folder."""

import difflib
import logging
from pathlib import Path
from typing import Any

import yaml
from lightning.pytorch import Trainer
from lightning.pytorch.cli import LightningArgumentParser

from fgvr.cli.logs import configure_logging
from fgvr.cli.train import FgvrCLI
from fgvr.data.photos import Photos
from fgvr.errors import FgvrError
from fgvr.reports.content import no_photos
from fgvr.reports.html import write_report
from fgvr.runs import RunFolder

log = logging.getLogger(__name__)

USAGE = """\
usage: fgvr report RUN [options]

Writes report.html of a run anew, from the files in its folder: one HTML file that needs no network.

  RUN                      runs/NAME for the newest version of a run, or runs/NAME/VERSION
  --data.dataset.root DIR  where the photos are now, if they have been moved; any option of fgvr fit can be given so

The last line is the path of the report."""


class ReportCLI(FgvrCLI):
    """Takes every option of ``fgvr fit`` on top of the run's own, and builds what reads the photos.

    Args:
        folder: The run.
        args: Options that differ from the run's own.
    """

    def __init__(self, folder: RunFolder, args: list[str]) -> None:
        self.folder = folder
        super().__init__("report", ["--config", str(folder.config), *args], run=False)

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Take the keys that only some commands have: the run may be of any of them."""
        super().add_arguments_to_parser(parser)
        known = {key.partition(".")[0] for key in parser.get_defaults().keys()}  # noqa: SIM118  # a Namespace
        for key in yaml.safe_load(self.folder.config.read_text(encoding="utf-8")):
            if key not in known and key.isidentifier():
                parser.add_argument(
                    f"--{key}", type=Any, help=f"As in {self.folder.config}; a report does not need it."
                )

    def before_instantiate_classes(self) -> None:
        """Leave out what would write files or is not needed: a report has no run folder of its own and no trainer."""
        self.config.trainer.logger = None
        self.config.trainer.callbacks = None

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """Write the report in the place of the trainer."""
        write_report(self.folder, self._photos())
        print(self.folder.report)
        return None  # type: ignore[return-value]  # nobody asks for it: there is no subcommand to run

    def _photos(self) -> Photos:
        try:
            return self.data.photos
        except FgvrError as error:
            log.warning(
                "The photos cannot be found, so the report is without them. To add them: fgvr report %s "
                "--data.dataset.root FOLDER\n(%s)",
                self.folder.path,
                error,
            )
            return no_photos()


def run_report(args: list[str]) -> int:
    """Runs ``fgvr report`` with the arguments after the subcommand; returns the exit code.

    Raises:
        FgvrError: There is no such run, or one of its files is damaged.
    """
    if not args or args[0] in ("-h", "--help"):
        print(USAGE)
        return 0
    configure_logging()
    ReportCLI(find_run(Path(args[0])), args[1:])
    return 0


def find_run(path: Path) -> RunFolder:
    """The run that a path means: that folder, or the newest version in it.

    Args:
        path: ``runs/NAME`` or ``runs/NAME/VERSION``.

    Raises:
        FgvrError: There is none; the message has the closest name.
    """
    if path.name == "report.html" or path.name == "config.yaml":
        path = path.parent
    if RunFolder(path).config.is_file():
        return RunFolder(path)
    versions = [RunFolder(config.parent) for config in path.glob("*/config.yaml")]
    if versions:
        return max(versions, key=_age)
    if path.is_dir():
        raise FgvrError(
            f"{str(path)!r} is no run: expected config.yaml in it, as fgvr fit leaves one in runs/NAME/VERSION."
        )
    there = [entry.name for entry in path.parent.iterdir() if entry.is_dir()] if path.parent.is_dir() else []
    near = difflib.get_close_matches(path.name, there, n=1)
    hint = f"Did you mean: fgvr report {path.parent / near[0]}" if near else "To make a run: fgvr fit --help"
    raise FgvrError(f"There is no run {str(path)!r}. {hint}")


def _age(folder: RunFolder) -> tuple[float, int]:
    """What the newest version has most of: its configuration is written when it starts."""
    number = int(folder.path.name) if folder.path.name.isdecimal() else -1
    return folder.config.stat().st_mtime, number
