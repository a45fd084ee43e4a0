"""The processes of one job, where they wait for each other for as long as it takes."""

import atexit
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import TypeVar

import torch.distributed as dist

from fgvr.errors import FgvrError

_T = TypeVar("_T")
_FOREVER = timedelta(days=1000)


@dataclass(frozen=True)
class Processes:
    """One of the processes of a job.

    Attributes:
        rank: Which one, from 0.
        count: How many there are.
        here: How many of them share this machine.
        group: Over which they wait; ``None`` where there is one process.
    """

    rank: int = 0
    count: int = 1
    here: int = 1
    group: "dist.ProcessGroup | None" = None

    def agree(self, value: _T) -> _T:
        """What process 0 says that ``value`` is; every process must call this.

        Raises:
            FgvrError: Another process has ended.
        """
        if self.group is None:
            return value
        said = [value]
        with _others():
            dist.broadcast_object_list(said, src=0, group=self.group)
        return said[0]

    def wait(self) -> None:
        """Return when every process has called this.

        Raises:
            FgvrError: Another process has ended.
        """
        if self.group is not None:
            with _others():
                dist.barrier(self.group)


@contextmanager
def _others() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:  # of gloo, whose connection is closed
        raise FgvrError("Another process of this job has ended; what it printed says why.") from error


ALONE = Processes()


def together(machines: int = 1) -> Processes:
    """The processes of the job that this one belongs to; all of them must call this.

    They wait over a group of their own, over gloo, which is made once and kept: collectives of the job's group give up
    after half an hour, and those of NCCL keep the GPU busy. They meet in the job's group first, which does give up
    where one never comes. A process that fails must end: the others hear of it by that.

    Args:
        machines: Over which they are spread evenly.
    """
    if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
        return ALONE
    count = dist.get_world_size()
    return Processes(dist.get_rank(), count, max(1, count // machines), _group_of(dist.group.WORLD))


@lru_cache(maxsize=1)
def _group_of(job: "dist.ProcessGroup | None") -> "dist.ProcessGroup":
    """The group in which the processes of a job wait."""
    # gloo's threads must end before Python does: one that lets go of a tensor after that aborts the process. Lightning
    # sees to it for NCCL alone
    atexit.register(lambda: dist.destroy_process_group() if dist.is_initialized() else None)
    dist.barrier()
    group = dist.new_group(backend="gloo", timeout=_FOREVER)
    assert not isinstance(group, int), "a process that is no member gets a number"
    return group
