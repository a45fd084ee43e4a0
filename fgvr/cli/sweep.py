"""``fgvr sweep``: what it takes, and what it prints."""

import argparse
import sys
from pathlib import Path
from typing import NoReturn

from fgvr.cli.logs import configure_logging
from fgvr.cli.say import say
from fgvr.config.files import find_config
from fgvr.errors import FgvrError
from fgvr.sweeps.asking_plan import plan_asking
from fgvr.sweeps.grid import read_grid
from fgvr.sweeps.launch import command_line, resume_args
from fgvr.sweeps.result import format_summary
from fgvr.sweeps.sweep import Sweep, run_sweep
from fgvr.text import counted


def main(argv: list[str]) -> int:
    """Run ``fgvr sweep`` with the arguments after the subcommand.

    Returns:
        The exit code: 1 if a run failed.

    Raises:
        FgvrError: Something that the user can fix, found before anything was run; or labelling failed.
    """
    parser = _Parser(prog="fgvr sweep", allow_abbrev=False, usage=_USAGE, description=_DESCRIPTION)
    parser.add_argument("-c", "--config", required=True, metavar="FILE", help="the file of the sweep")
    parser.add_argument("--jobs", type=_positive, metavar="N", help="runs side by side (one a GPU, or cores / 2)")
    parser.add_argument("--name", help="name of the sweep's folder (the file's name)")
    parser.add_argument("--root", type=Path, default=Path("runs"), help="folder of all runs (runs)")
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="check all options, list the runs and what they would ask and cost; run and ask nothing",
    )
    args, extra = parser.parse_known_args(argv)
    path = find_config(args.config)
    configure_logging()
    sweep = Sweep(read_grid(path, extra), args.root / (args.name or path.stem))
    todo, grid = sweep.todo(), sweep.grid
    done = len(sweep.runs) - len(todo)
    say(
        f"{counted(len(sweep.runs), 'run')}: {counted(len(grid.variants), 'variant')}, "
        f"{counted(len(grid.seeds), 'seed')}; {done} done"
    )
    if args.dry_run:
        for run in todo:
            say(command_line(resume_args(run.folder, sweep.fit_args(run)) or sweep.fit_args(run)))
        if todo:
            say(plan_asking(sweep))
        return 0
    failures = run_sweep(sweep, args.jobs)
    if (tidy := sweep.write()).rows:
        say(format_summary(tidy))
    for run, tail in failures.items():
        say(f"fgvr: {run.name} failed; the end of {run.log}:\n{tail}", file=sys.stderr)
    if failures:
        say(
            f"fgvr: {len(failures)} of {counted(len(sweep.runs), 'run')} failed. The same command runs them again.",
            file=sys.stderr,
        )
    say(sweep.folder)
    return 1 if failures else 0


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError
    return number


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise FgvrError(f"fgvr sweep: {message}. To see its options: fgvr sweep --help")


_USAGE = "fgvr sweep --config FILE [--jobs N] [--name NAME] [--root FOLDER] [--dry-run] [--KEY VALUE ...]"
_DESCRIPTION = (
    "Runs a base configuration with varied options and several seeds, goes on where it stopped, and prints mean and "
    "standard deviation. Any other option is given to every run, as on the command line of fgvr fit, and wins over the "
    "file. Results are in ROOT/NAME/sweep.parquet and sweep.csv."
)
