"""``fgvr report``: writes the report of a run anew, from the files in its folder."""

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from fgvr.runs import find_run

if TYPE_CHECKING:
    pass

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
    from fgvr.config.cli import FgvrCLI, keys_of
    from fgvr.pipeline.run import Run

    configure_logging()

    cli = FgvrCLI("report", ["--config", str(folder.config), *args[1:]], keys_of(folder))
    cli.config.trainer.callbacks = None  # a report has no trainer, and their constructors may do anything
    print(Run(cli.build(), folder).report())
    return 0
