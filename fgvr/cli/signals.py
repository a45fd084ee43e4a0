"""SIGTERM as Control-C with an exit code of its own: a command ends soon, and keeps what it has."""

import os
import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self

from fgvr.labelers.asking.interrupts import interrupt

_SHELL = 128
"""What shells add to the number of a signal for the exit code."""


class Signals:
    """From ``with`` to its end, SIGTERM interrupts the main thread as Control-C does.

    Under SLURM the signals are left alone: there Lightning handles them, which saves the run and has it started again.

    Attributes:
        exit_code: Of a program that ``KeyboardInterrupt`` has ended: 143 after SIGTERM, else 130.
    """

    def __init__(self) -> None:
        self.exit_code = _SHELL + signal.SIGINT
        self._before: Any = None
        self._process = os.getpid()

    def __enter__(self) -> Self:
        on_its_own = "SLURM_NTASKS" not in os.environ and threading.current_thread() is threading.main_thread()
        if on_its_own and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
            self._before = signal.signal(signal.SIGTERM, self._terminate)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._before is not None:
            signal.signal(signal.SIGTERM, self._before)

    def _terminate(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._process:
            # a process that PyTorch has forked to read photos inherits this
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGTERM)
            return
        self.exit_code = _SHELL + signal.SIGTERM
        interrupt()
