"""``fgvr plot``: what it takes, and where it draws."""

import argparse
from pathlib import Path
from typing import NoReturn

from fgvr.cli.say import say
from fgvr.errors import FgvrError


def main(argv: list[str]) -> int:
    """Run ``fgvr plot`` with the arguments after the subcommand.

    Returns:
        The exit code.

    Raises:
        FgvrError: Something that the user can fix.
    """
    parser = _Parser(prog="fgvr plot", allow_abbrev=False, description=_DESCRIPTION)
    parser.add_argument("sweep", type=Path, metavar="SWEEP", help="folder of a sweep, runs/NAME")
    parser.add_argument(
        "--figure",
        action="append",
        metavar="NAME",
        help="a figure of the table, such as cacc, siou, accuracy; may be given again (cacc and sACC)",
    )
    parser.add_argument("--x", metavar="OPTION", help="the varied option to draw over (the first one of three numbers)")
    parser.add_argument(
        "--output", type=Path, metavar="FILE", help="ends with .svg, .pdf or .png (sweep.svg in the folder)"
    )
    args = parser.parse_args(argv)
    from fgvr.sweeps.figure import write_figure
    from fgvr.sweeps.result import read_tidy

    output = args.output or args.sweep / "sweep.svg"
    say(write_figure(read_tidy(args.sweep), output, args.figure or (), args.x))
    say(output)
    return 0


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise FgvrError(f"fgvr plot: {message}. To see its options: fgvr plot --help")


_DESCRIPTION = (
    "Draws the figures of a sweep over a number that it varies: a line for each row, with a band of one standard "
    "deviation over seeds, or of the 95 % interval over photos where there is one seed. Where no number is varied, "
    "each row is a dot with its interval."
)
