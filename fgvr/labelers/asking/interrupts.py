"""The first Control-C of a labelling run, which must not throw away what is paid for."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import current_thread, main_thread


@contextmanager
def first_interrupt(handle: Callable[[], None]) -> Iterator[None]:
    """Call ``handle`` at the first Control-C, and interrupt as always at the second."""
    usual = signal.default_int_handler
    if current_thread() is not main_thread() or signal.getsignal(signal.SIGINT) is not usual:
        yield
        return

    def first(number: int, frame: object) -> None:
        signal.signal(signal.SIGINT, usual)
        handle()

    signal.signal(signal.SIGINT, first)
    try:
        yield
    finally:
        with suppress(ValueError):  # closed in another thread
            signal.signal(signal.SIGINT, usual)
