"""One run at a time asks one labeler through one store: two would pay for the same photos twice."""

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from filelock import FileLock, Timeout

from fgvr.errors import FgvrError
from fgvr.labelling.store.keys import canonical
from fgvr.labelling.store.label_store import LabelStore

_LOOK_SECONDS = 0.1
_WAITING = "Another run is asking this labeler through the same store; waiting for it to end."


class RunLock:
    """The right to ask a labeler what a store lacks, and to store what it replies.

    A lock of the operating system on a file beside the store, so that it ends with its process, however that ends.
    Waiting for it can be interrupted by Control-C. Whoever has waited must look again at what is missing.

    Args:
        store: Where replies are kept.
        identity: Of the labeler.
        notify: Told, in a line of text, that another run has to end first.
    """

    def __init__(self, store: LabelStore, identity: Mapping[str, Any], notify: Callable[[str], object]) -> None:
        path = store.path.resolve()
        self._folder = path.with_name(f"{path.name}-locks")
        self._file = self._folder / f"{hashlib.sha256(canonical(identity).encode()).hexdigest()[:32]}.lock"
        self._notify = notify

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lock, as soon as nobody else does.

        Raises:
            FgvrError: The lock file cannot be written.
        """
        lock = self._lock()
        if not self._take(lock):
            self._notify(_WAITING)
            while not self._take(lock):
                time.sleep(_LOOK_SECONDS)
        try:
            yield
        finally:
            lock.release()

    @asynccontextmanager
    async def held_async(self) -> AsyncIterator[None]:
        """The same in an event loop, where nothing but a task that sleeps can be interrupted."""
        lock = self._lock()
        if not self._take(lock):
            self._notify(_WAITING)
            while not self._take(lock):
                await asyncio.sleep(_LOOK_SECONDS)
        try:
            yield
        finally:
            lock.release()

    def _lock(self) -> FileLock:
        with self._explained():
            self._folder.mkdir(exist_ok=True)
        return FileLock(self._file)

    def _take(self, lock: FileLock) -> bool:
        with self._explained():
            try:
                lock.acquire(blocking=False)
            except Timeout:
                return False
        return True

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise FgvrError(
                f"{str(self._file)!r}, which keeps two runs from asking the same at once, cannot be locked ({error}): "
                "check the folder's permissions and the space on the disk."
            ) from error
