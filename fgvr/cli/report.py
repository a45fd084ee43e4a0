"""``fgvr report``: writes the report of a run anew, from the files in its folder."""

import logging
from pathlib import Path

from fgvr.cli.say import say
from fgvr.errors import FgvrError
from fgvr.runs import find_run

log = logging.getLogger(__name__)
_OF_PHOTOS = ("dataset", "cache_dir")

USAGE = """\
usage: fgvr report RUN [options]

Writes report.html of a run anew, from the files in its folder: one HTML file that needs no network.

  RUN                      runs/NAME for the newest version of a run, or runs/NAME/VERSION
  --data.dataset.root DIR  where the photos are now, if they have been moved; so any option below data.dataset
  --trust                  read the photos with the data set's own class, which is neither fgvr's nor an installed
                           plugin's: what the run folder names is imported then, and may do anything

The last line is the path of the report."""


def run_report(args: list[str]) -> int:
    """Runs ``fgvr report`` with the arguments after the subcommand; returns the exit code.

    Raises:
        FgvrError: There is no such run, or one of its files is damaged.
    """
    if not args or args[0] in ("-h", "--help"):
        say(USAGE)
        return 0
    folder = find_run(Path(args[0]))
    # imported late: they bring torch, which a wrong folder does not need
    from fgvr.cli.logs import configure_logging
    from fgvr.config.cli import FgvrCLI
    from fgvr.config.guard import ImportGuard, read_run_config
    from fgvr.pipeline.run import Run

    configure_logging()
    given = [token for token in args[1:] if token != "--trust"]
    # the page is made from the files; of the configuration, it needs to know where the photos are
    data = read_run_config(folder).get("data")
    data = {key: data[key] for key in _OF_PHOTOS if key in data} if isinstance(data, dict) else {}
    config, guard = {"data": data}, None
    if "--trust" not in args:
        data.pop("cache_dir", None)  # photos are noted there: only in the user's own place
        guard = ImportGuard(config, folder.config, "give --trust", given)
        if refused := guard.elsewhere():
            raise FgvrError(refused)
    say(Run(FgvrCLI("report", given, config=config, guard=guard).build(), folder).report())
    return 0
