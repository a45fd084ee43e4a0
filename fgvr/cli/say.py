"""What commands print."""

import sys
from typing import TextIO

from fgvr.text import visible


def say(*what: object, end: str = "\n", file: TextIO | None = None) -> None:
    """Print as ``print`` does, with an escape for each character that a terminal would obey.

    Names, replies, paths and what other files hold come from outside; line breaks and tabs are kept.

    Args:
        what: What to print, with spaces between.
        end: What comes after it.
        file: Where to; standard output if not given.
    """
    text = visible(" ".join(map(str, what)), lines=True)
    print(text, end=end, file=sys.stdout if file is None else file, flush=True)
