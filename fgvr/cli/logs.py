"""What a command says while it works, and which process says it."""

import logging
import os

from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.pytorch.utilities import rank_zero_only

from fgvr.cli.quiet import silence
from fgvr.text import visible


def configure_logging() -> None:
    """Show what fgvr has to say, on process 0, and warnings of everybody."""
    silence()
    handler = logging.StreamHandler()
    handler.setFormatter(_VisibleFormatter("%(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("fgvr").setLevel(logging.INFO if is_rank_zero() else logging.WARNING)


def is_rank_zero() -> bool:
    """Whether this is the first process of all, before or after Lightning has started the others."""
    rank: int = rank_zero_only.rank  # type: ignore[attr-defined]  # Lightning sets it when it is imported
    return rank == 0 and os.environ.get("NODE_RANK", "0") == "0"


def external_processes() -> int:
    """How many processes a scheduler has started for this run; 1 where none has, whatever Lightning will start."""
    return int(os.environ.get("SLURM_NTASKS" if SLURMEnvironment.detect() else "WORLD_SIZE", "1"))


class _VisibleFormatter(logging.Formatter):
    """Shows what a terminal would obey: file names and replies in a message are untrusted."""

    def format(self, record: logging.LogRecord) -> str:
        """See the base class."""
        return visible(super().format(record), lines=True)
