"""What a command says while it works, and which process says it."""

import logging

from fgvr.pipeline.processes import is_rank_zero
from fgvr.pipeline.quiet import silence
from fgvr.visible_lines import VisibleFormatter


def configure_logging() -> None:
    """Show what fgvr has to say, on process 0, and warnings of everybody."""
    silence()
    handler = logging.StreamHandler()
    handler.setFormatter(VisibleFormatter("%(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("fgvr").setLevel(logging.INFO if is_rank_zero() else logging.WARNING)
