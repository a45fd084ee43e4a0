"""``fgvr report``: writes the report of a run anew, from the files in its folder."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from fgvr.errors import FgvrError
from fgvr.runs import RunFolder, find_run

if TYPE_CHECKING:
    from lightning.pytorch.cli import LightningArgumentParser

    from fgvr.data.datamodule import FgvrDataModule
    from fgvr.datasets.photos import Photos

log = logging.getLogger(__name__)

USAGE = """\
usage: fgvr report RUN [options]

Writes report.html of a run anew, from the files in its folder: one HTML file that needs no network.

  RUN                      runs/NAME for the newest version of a run, or runs/NAME/VERSION
  --data.dataset.root DIR  where the photos are now, if they have been moved; any option of fgvr fit can be given so

The last line is the path of the report."""


def run_report(args: list[str]) -> int:
    """Runs ``fgvr report`` with the arguments after the subcommand; returns the exit code.

    Raises:
        FgvrError: There is no such run, or one of its files is damaged.
    """
    if not args or args[0] in ("-h", "--help"):
        print(USAGE)
        return 0
    folder = find_run(Path(args[0]))
    # imported late: they bring torch, which a wrong folder does not need
    from fgvr.cli.logs import configure_logging
    from fgvr.config.cli import FgvrCLI
    from fgvr.reports.html import write_report

    configure_logging()

    def add_keys(parser: "LightningArgumentParser") -> None:
        """Take the keys that only some commands have: the run may be of any of them."""
        known = {key.partition(".")[0] for key in parser.get_defaults().keys()}  # noqa: SIM118  # a Namespace
        for key in yaml.safe_load(folder.config.read_text(encoding="utf-8")):
            if key not in known and key.isidentifier():
                parser.add_argument(f"--{key}", type=Any, help=f"As in {folder.config}; a report does not need it.")

    cli = FgvrCLI("report", ["--config", str(folder.config), *args[1:]], add_keys)
    cli.config.trainer.callbacks = None  # a report has no trainer, and their constructors may do anything
    write_report(folder, _photos(cli.build().data, folder))
    print(folder.report)
    return 0


def _photos(data: "FgvrDataModule", folder: RunFolder) -> "Photos":
    from fgvr.reports.content import no_photos

    try:
        return data.photos
    except FgvrError as error:
        log.warning(
            "The photos cannot be found, so the report is without them. To add them: fgvr report %s "
            "--data.dataset.root FOLDER\n(%s)",
            folder.path,
            error,
        )
        return no_photos()
