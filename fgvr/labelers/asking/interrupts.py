"""The first Control-C of a labelling run, which must not throw away what is paid for."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import current_thread, main_thread

_handling: list[Callable[[], None]] = []
"""What the next interruption calls, where somebody handles the first one; the innermost is last."""


@contextmanager
def first_interrupt(handle: Callable[[], None]) -> Iterator[None]:
    """Call ``handle`` at the first Control-C, and interrupt as always at the second.

    Where Control-C is ignored, as in a program that was started in the background, :func:`interrupt` still does so.
    """
    usual = signal.default_int_handler
    before = signal.getsignal(signal.SIGINT)
    if current_thread() is not main_thread() or before not in (usual, signal.SIG_IGN):
        yield
        return

    def first() -> None:
        _handling.remove(first)
        signal.signal(signal.SIGINT, before)
        handle()

    _handling.append(first)
    if before is usual:
        signal.signal(signal.SIGINT, lambda number, frame: first())
    try:
        yield
    finally:
        with suppress(ValueError):  # it was called
            _handling.remove(first)
        with suppress(ValueError):  # closed in another thread
            signal.signal(signal.SIGINT, before)


def interrupt() -> None:
    """Do what Control-C does, in the main thread, also where Control-C itself is ignored.

    Raises:
        KeyboardInterrupt: Nobody handles it.
    """
    if callable(signal.getsignal(signal.SIGINT)):
        signal.raise_signal(signal.SIGINT)
    elif _handling:
        _handling[-1]()
    else:
        raise KeyboardInterrupt
