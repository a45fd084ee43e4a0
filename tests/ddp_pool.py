"""A pool of gloo processes, started once a session: starting them costs more than most of what they test."""

import os
import pickle
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from datetime import timedelta
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import pytest
import torch.distributed as dist
from torch import multiprocessing


class DDPPool:
    """Processes of one process group, which wait for functions to run.

    They start at the first ``run``. When a function fails or takes too long, the processes are killed (the others may
    be waiting for the failed one in a collective) and the next ``run`` starts new ones.

    Args:
        world_size: How many processes.
    """

    def __init__(self, world_size: int = 2) -> None:
        self.world_size = world_size
        self._processes: list[Any] = []
        self._connections: list[Connection] = []

    def run(self, fn: Callable[..., Any], *args: Any, timeout: float = 120.0) -> list[Any]:
        """Results of ``fn(rank, world_size, *args)``, one a process, in the order of ranks.

        Args:
            fn: Function that pickle can name, so on the top level of a module.
            args: What pickle can hold.
            timeout: Seconds after which the run counts as failed, the start of the processes included.

        Raises:
            RuntimeError: A process failed; the message has its traceback.
            TimeoutError: Not all were done in time.
        """
        task = pickle.dumps((fn, args))
        deadline = time.monotonic() + timeout
        if not self._processes:
            self._start()
        results: dict[int, Any] = {}
        try:
            for connection in self._connections:
                connection.send_bytes(task)
            while len(results) < self.world_size:
                waiting = [link for rank, link in enumerate(self._connections) if rank not in results]
                ready = wait(waiting, timeout=max(0.0, deadline - time.monotonic()))
                if not ready:
                    raise TimeoutError(
                        f"{fn.__qualname__}: {len(results)} of {self.world_size} done in {timeout:.0f} s."
                    )
                for link in ready:
                    rank = self._connections.index(link)
                    results[rank] = self._receive(rank, fn)
        except BaseException:
            self.close()
            raise
        return [results[rank] for rank in range(self.world_size)]

    def close(self) -> None:
        """Ends the processes."""
        for process in self._processes:
            process.kill()
            process.join()
            process.close()
        for connection in self._connections:
            connection.close()
        self._processes, self._connections = [], []

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        store = Path(tempfile.mkdtemp(prefix="fgvr_ddp_")) / "store"
        for rank in range(self.world_size):
            ours, theirs = context.Pipe()
            process = context.Process(target=_serve, args=(rank, self.world_size, store, theirs), daemon=True)
            process.start()
            theirs.close()  # so that a dead process reads as the end of its stream
            self._processes.append(process)
            self._connections.append(ours)

    def _receive(self, rank: int, fn: Callable[..., Any]) -> Any:
        try:
            failed, result = pickle.loads(self._connections[rank].recv_bytes())
        except (EOFError, ConnectionError):
            raise RuntimeError(f"{fn.__qualname__}: process {rank} died.") from None
        if failed:
            raise RuntimeError(f"{fn.__qualname__}: process {rank} failed:\n{result}")
        return result


def _serve(rank: int, world_size: int, store: Path, connection: Connection) -> None:
    # a function of a test module is pickled as tests.<folder>.<module>
    sys.path.append(str(Path(__file__).parents[1]))
    if sys.platform == "linux":
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")  # the host's name need not resolve
    dist.init_process_group(
        "gloo", init_method=f"file://{store}", rank=rank, world_size=world_size, timeout=timedelta(seconds=60)
    )
    while True:
        try:
            task = connection.recv_bytes()
        except EOFError:  # the session is over
            return
        try:
            fn, args = pickle.loads(task)
            # plain pickle: connection.send would pass tensors as handles of shared memory
            answer = pickle.dumps((False, fn(rank, world_size, *args)))
        except BaseException:
            answer = pickle.dumps((True, traceback.format_exc()))
        connection.send_bytes(answer)


@pytest.fixture(scope="session")
def ddp_pool() -> Iterator[DDPPool]:
    """Two gloo processes for the whole session."""
    pool = DDPPool(world_size=2)
    yield pool
    pool.close()
