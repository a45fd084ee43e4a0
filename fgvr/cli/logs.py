"""What a command says while it works, and which process says it."""

import logging

from fgvr.pipeline.processes import is_rank_zero
from fgvr.pipeline.quiet import silence
from fgvr.text import visible


def configure_logging() -> None:
    """Show what fgvr has to say, on process 0, and warnings of everybody."""
    silence()
    handler = logging.StreamHandler()
    handler.setFormatter(_VisibleFormatter("%(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("fgvr").setLevel(logging.INFO if is_rank_zero() else logging.WARNING)


class _VisibleFormatter(logging.Formatter):
    """Shows what a terminal would obey: file names and replies in a message are untrusted."""

    def format(self, record: logging.LogRecord) -> str:
        """See the base class."""
        return visible(super().format(record), lines=True)
