"""``fgvr doubt``: photos whose true name others doubt, and what corrections change."""

import json
import logging
from pathlib import Path

from fgvr.cli.say import say
from fgvr.errors import FgvrError
from fgvr.files import replacing
from fgvr.runs import RunFolder, find_run

log = logging.getLogger(__name__)

USAGE = """\
usage: fgvr doubt RUN [--output FILE] [options]
       fgvr doubt RUN --corrections FILE [--output FILE]

Lists the evaluated photos on which others agree against the true name, for a person to look through: the run's own row,
the labeler where it was asked about them (data.direct), and what it called most of the three nearest support photos.
Without labeler and neighbours, all rows of the table must agree.

  RUN                      runs/NAME for the newest version of a run, or runs/NAME/VERSION
  --output FILE            the list, a CSV file, with a page of photos (.html) beside it (RUN/doubtful.csv); with
                           --corrections a JSON file of the figures
  --corrections FILE       the list with a decision in the last column: keep, other, both, neither, or nothing. Prints
                           every figure before and after; the files of the run stay as they are
  --data.dataset.root DIR  where the photos are now, if they have been moved; so any option below data.dataset
  --trust                  build the run with classes that are neither fgvr's nor an installed plugin's: what the run
                           folder names is imported then, and may do anything"""


def run_doubt(args: list[str]) -> int:
    """Runs ``fgvr doubt`` with the arguments after the subcommand; returns the exit code.

    Raises:
        FgvrError: There is no such run, it has predicted nothing, a file is damaged, or a decision is none.
    """
    if not args or args[0] in ("-h", "--help"):
        say(USAGE)
        return 0
    folder, rest = find_run(Path(args[0])), args[1:]
    corrections, rest = _taken("--corrections", rest)
    output, rest = _taken("--output", rest)
    if corrections is None:
        return _list(folder, output or folder.path / "doubtful.csv", rest)
    if rest:
        raise FgvrError(f"doubt --corrections takes no option {rest[0]!r} beside --output.")
    return _effect(folder, corrections, output)


def _list(folder: RunFolder, output: Path, rest: list[str]) -> int:
    # imported late: they bring torch, which a wrong folder does not need
    from fgvr.api import opened_with
    from fgvr.cli.logs import configure_logging
    from fgvr.doubt.list import doubtful_of

    configure_logging()
    given = [token for token in rest if token != "--trust"]
    if wrong := [token for token in given if token.startswith("--") and not token.startswith("--data.dataset")]:
        raise FgvrError(f"doubt takes no option {wrong[0].partition('=')[0]!r}. To see its options: fgvr doubt --help")
    if output.suffix.lower() != ".csv":
        raise FgvrError(f"--output is {str(output)!r}; expected the name of a CSV file, and the page is put beside it.")
    run = opened_with(folder, given, trust="--trust" in rest, how="give --trust")
    doubts = doubtful_of(run, output)
    say(doubts)
    say(output)
    say(output.with_suffix(".html"))
    return 0


def _effect(folder: RunFolder, corrections: Path, output: Path | None) -> int:
    from fgvr.doubt.list import corrected

    effect = corrected(folder, corrections)
    say(effect)
    if output is not None:
        figures = {"photos": effect.photos, "before": effect.before, "after": effect.after}
        with replacing(output) as temporary:
            temporary.write_text(json.dumps(figures, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    return 0


def _taken(flag: str, args: list[str]) -> tuple[Path | None, list[str]]:
    """The value of an option, and the other arguments."""
    rest, value = [], None
    waiting = iter(args)
    for token in waiting:
        name, equals, text = token.partition("=")
        if name != flag:
            rest.append(token)
            continue
        text = text if equals else next(waiting, "")
        if not text or text.startswith("--"):
            raise FgvrError(f"{flag} has no value; expected {flag} FILE.")
        value = Path(text)
    return value, rest
