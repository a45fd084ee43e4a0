"""Which process of a job this is, and how many a scheduler has started."""

import os

from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.pytorch.utilities import rank_zero_only

SKIP_FAILED = {"FGVR_ASK_AGAIN": "0"}
"""Variable of a run for which another process has just asked the labeler.

It asks only where a photo was never asked about: the runs of a sweep, and compared rows, do not ask for the same failed
requests again, one after the other or side by side.
"""


def is_rank_zero() -> bool:
    """Whether this is the first process of all, before or after Lightning has started the others."""
    rank: int = rank_zero_only.rank  # type: ignore[attr-defined]  # Lightning sets it when it is imported
    return rank == 0 and os.environ.get("NODE_RANK", "0") == "0"


def external_processes() -> int:
    """How many processes a scheduler has started for this run; 1 where none has, whatever Lightning will start."""
    return int(os.environ.get("SLURM_NTASKS" if SLURMEnvironment.detect() else "WORLD_SIZE", "1"))
