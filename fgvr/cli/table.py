"""``fgvr table``: what it takes, and where it writes."""

import argparse
from pathlib import Path
from typing import NoReturn

from fgvr.cli.say import say
from fgvr.errors import FgvrError
from fgvr.files import replacing

_ENDS = {".md": "md", ".tex": "latex", ".csv": "csv", ".html": "html", ".htm": "html"}
"""End of a file's name -> format."""


def main(argv: list[str]) -> int:
    """Run ``fgvr table`` with the arguments after the subcommand.

    Returns:
        The exit code.

    Raises:
        FgvrError: Something that the user can fix.
    """
    parser = _Parser(prog="fgvr table", allow_abbrev=False, description=_DESCRIPTION)
    parser.add_argument("runs", nargs="+", metavar="RUN", help="runs/NAME, runs/NAME/VERSION, or a sweep's folder")
    parser.add_argument("--layout", default="plain", help=f"{', '.join(_LAYOUTS)} (plain)")
    parser.add_argument("--format", help="md, latex, csv or html (what the name of the output says, or md)")
    parser.add_argument(
        "--names",
        action="append",
        default=[],
        metavar="OLD=NEW",
        help="what a data set or a row is to be called, such as dogs120=Dog-120; may be given again",
    )
    parser.add_argument("--output", type=Path, metavar="FILE", help="the file to write (print it)")
    args = parser.parse_args(argv)
    suffix = args.output.suffix.lower() if args.output else ""
    form = args.format or _ENDS.get(suffix, "" if suffix else "md")
    if not form:
        raise FgvrError(f"--output {args.output}: end it with {', '.join(_ENDS)}, or give --format too.")
    names = dict(_renaming(given) for given in args.names)
    # imported late: it brings torch, which --help does not need
    from fgvr.paper_tables.table import table

    text = table(args.runs, args.layout, form, names)
    if args.output is None:
        say(text, end="")
    else:
        with replacing(args.output) as path:
            # without its mark some spreadsheets take UTF-8 for something else
            path.write_text(text, encoding="utf-8-sig" if form == "csv" else "utf-8")
        say(args.output)
    return 0


def _renaming(given: str) -> tuple[str, str]:
    old, equals, new = given.rpartition("=")
    if not equals or not old or not new:
        raise FgvrError(f"--names {given!r}: expected OLD=NEW, such as dogs120=Dog-120.")
    return old, new


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise FgvrError(f"fgvr table: {message}. To see its options: fgvr table --help")


_LAYOUTS = ("plain", "fgvr_table2", "fgvr_table1", "latteclip_table1")
_DESCRIPTION = (
    "Prints runs as papers print them: rows in groups, data sets beside each other, and in the layouts of papers their "
    "own figures among them. Seeds of a sweep become mean and standard deviation. A row is in bold where it is "
    "significantly better than every other one that was measured alike."
)
