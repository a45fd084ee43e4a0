"""What the engine asks of who is asked: requests that are ready, one coroutine that sends one, and its failures."""

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from fgvr.labelers.asking.limits import Limits
from fgvr.labelers.tasks.base import Task
from fgvr.labelers.tasks.pictures import Picture, PictureOptions
from fgvr.records import LabelRequest, Reply


@dataclass(frozen=True, slots=True)
class Question:
    """A request, ready to be sent.

    Attributes:
        request: What is asked.
        pictures: The photos, re-encoded.
    """

    request: LabelRequest
    pictures: tuple[Picture, ...]


class ServerBusyError(Exception):
    """The server asks to slow down (429), or is overloaded (503 and its like): not the photo's fault.

    Args:
        message: What it said.
        retry_after: Seconds that it asks to wait; ``None`` if it does not say.
    """

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ServerAbsentError(Exception):
    """There is no connection to the server: not the photo's fault either."""


class DayOverError(Exception):
    """The server's quota of requests for this day is used up."""


class AttemptFailedError(Exception):
    """This request failed, and may succeed when it is sent again: a time-out, a 500, a reply that makes no sense.

    Args:
        message: Why.
        cost_usd: What it cost nevertheless; ``None`` if that cannot be known, as after a time-out: a budget then counts
            the most that it may have cost.
    """

    def __init__(self, message: str, cost_usd: float | None = 0.0) -> None:
        super().__init__(message)
        self.cost_usd = cost_usd


class Sender(Protocol):
    """Who is asked; :class:`~fgvr.labelers.remote.RemoteLabeler` says what each part is."""

    model: str
    task: Task
    pictures: PictureOptions
    limits: Limits

    @property
    def server(self) -> str:
        """Who is asked, for counts and messages."""

    def connect(self) -> AbstractAsyncContextManager[Any]:
        """Open what ``send`` needs."""

    async def send(self, client: Any, question: Question) -> Reply:
        """Send one request once."""

    def worst_usd(self, question: Question) -> float | None:
        """The most that a question may cost."""
