"""The processes of one job end together: the end of one is seen by the others at once, and said in one line."""

import os
import signal
import subprocess
import sys
import threading
import time
from typing import Any

import torch.distributed as dist
from lightning.pytorch import Callback, LightningModule, Trainer

from fgvr.errors import FgvrError
from fgvr.pipeline.processes import is_rank_zero

_LOOK_SECONDS = 0.2
_GRACE_SECONDS = 2.0
"""For the main thread, to end by itself and say why."""
_FAILED = 2

_LOST = ("gloo", "Connection closed by peer", "Connection reset by peer", "Broken pipe", "NCCL", "Socket")
"""What is in the messages of PyTorch about a connection to another process that is gone."""

_OTHER_ENDED = "Another process of this job has ended, and so does this one."

_children: list[subprocess.Popen[bytes]] = []
"""The processes that Lightning has started for this job, in the order of their ranks from 1."""
_several = threading.Event()
"""Set in a job of several processes."""
_ending = threading.Event()
"""Set when this process ends by itself and says why."""


class LostProcessError(FgvrError):
    """Another process of the job has ended before this one."""


class ProcessWatch(Callback):
    """Ends process 0 with the processes that Lightning has started for it, and keeps SIGTERM as it was.

    Lightning looks every five seconds and then kills process 0, which can say nothing; meanwhile, that waits for the
    dead one. Its handler of SIGTERM notes the signal, which a test does not look at, and waits for the other processes.
    """

    def __init__(self) -> None:
        self._handler: Any = None
        self._thread: threading.Thread | None = None

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Remember who handles SIGTERM; Lightning has not taken it yet."""
        self._handler = signal.getsignal(signal.SIGTERM)
        _ending.clear()
        if trainer.world_size > 1:
            _several.set()
        children = getattr(trainer.strategy.launcher, "procs", None)
        if children and self._thread is None:
            _children[:] = children
            for thread in threading.enumerate():
                if thread.name == "child-process-observer":
                    thread._child_processes = []  # type: ignore[attr-defined]  # it would kill this process
            self._thread = threading.Thread(target=_end_with_children, name="fgvr-processes", daemon=True)
            self._thread.start()

    def on_sanity_check_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take SIGTERM back from Lightning."""
        self._take_back()

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take SIGTERM back from Lightning."""
        self._take_back()

    def on_validation_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take SIGTERM back from Lightning."""
        self._take_back()

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take SIGTERM back from Lightning."""
        self._take_back()

    def on_predict_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take SIGTERM back from Lightning."""
        self._take_back()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """This process ends by itself."""
        _ending.set()

    def _take_back(self) -> None:
        # the default one would end the process, as it does before Lightning has taken the signal, and say nothing
        if callable(self._handler) and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, self._handler)


def lost_process(error: RuntimeError) -> LostProcessError | None:
    """What a user is told of an error that another process of the job has caused by its end; ``None`` for others.

    Args:
        error: What PyTorch has raised in a job of several processes.
    """
    connection = isinstance(error, dist.DistError) or any(word in str(error) for word in _LOST)
    if not connection or not _several.is_set():
        return None
    _ending.set()
    if _children:
        return LostProcessError(_said_of_children(_GRACE_SECONDS) or _OTHER_ENDED)
    if not is_rank_zero():
        # process 0 knows which one it was, and ends the others; where it is that one, this ends with it
        time.sleep(2 * _GRACE_SECONDS)
    return LostProcessError(_OTHER_ENDED)


def end_children() -> None:
    """End the processes that Lightning has started: this one has failed, and says why."""
    for child in _children:
        if child.poll() is None:
            child.kill()


def _end_with_children() -> None:
    """A thread's work: wait for a process that fails, and end all."""
    while any(child.poll() is None for child in _children) and not _said_of_children():
        time.sleep(_LOOK_SECONDS)
    if not (said := _said_of_children()) or _ending.wait(_GRACE_SECONDS):
        return
    sys.stderr.write(f"fgvr: error: {said}\n")
    sys.stderr.flush()
    end_children()
    os._exit(_FAILED)


def _said_of_children(patience: float = 0.0) -> str:
    """Which process has failed, and how; ``""`` where none has."""
    deadline = time.monotonic() + patience
    while True:
        for rank, child in enumerate(_children, start=1):
            if code := child.poll():
                # a process that a signal has stopped says so in its exit code
                by = -code if code < 0 else code - 128
                how = f"failed with exit code {code}; what it printed says why"
                if by in signal.valid_signals():  # sys.exit(-1) makes 255
                    memory = " (for lack of memory?)" * (by == signal.SIGKILL)
                    how = f"was ended by {signal.Signals(by).name}{memory}"
                return f"Process {rank} of this job {how}, and so the others end, too."
        if not _children or time.monotonic() >= deadline:
            return ""
        time.sleep(_LOOK_SECONDS / 4)
