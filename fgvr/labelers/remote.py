"""The contract of a labeler behind a network: one coroutine that sends one request. The engine does the rest."""

from abc import abstractmethod
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from fgvr.labelers.asking.budget import Budget
from fgvr.labelers.asking.engine import send_all
from fgvr.labelers.asking.limits import Limits
from fgvr.labelers.asking.sender import (
    AttemptFailedError,
    DayOverError,
    Question,
    ServerAbsentError,
    ServerBusyError,
)
from fgvr.labelers.model import ModelLabeler
from fgvr.records import LabelRequest, Reply

__all__ = [
    "AttemptFailedError",
    "DayOverError",
    "Question",
    "RemoteLabeler",
    "ServerAbsentError",
    "ServerBusyError",
]


class RemoteLabeler(ModelLabeler):
    """A labeler behind a network.

    A subclass says how one request is sent. Concurrency, limits, waiting, attempts, the budget and the store are the
    engine's business (``fgvr/labelers/asking/engine.py``), so an SDK's own retries must be switched off.

    Args:
        model: Model id.
        limits: How fast the server may be asked.
        **kwargs: Arguments of ``ModelLabeler``.
    """

    def __init__(self, model: str, *, limits: Limits | None = None, **kwargs: Any) -> None:
        super().__init__(model, **kwargs)
        self.limits = limits or Limits()
        self.max_attempts = self.limits.max_attempts

    @property
    @abstractmethod
    def server(self) -> str:
        """Who is asked, such as ``"api.openai.com gpt-4o"``: requests per day are counted under this name."""

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[Any]:
        """Open what ``send`` needs, once per run: the SDK's client. Reads the key from the environment.

        Raises:
            FgvrError: The SDK is not installed or the key is not set.
        """
        yield None

    @abstractmethod
    async def send(self, client: Any, question: Question) -> Reply:
        """Send one request once, and return its reply with tokens and cost.

        Raises:
            ServerBusyError: To be sent again later, with fewer in flight.
            ServerAbsentError: No connection.
            DayOverError: No more requests today.
            AttemptFailedError: To be sent again, a limited number of times.
            FgvrError: No request can succeed: a bad key, no credit, an unknown model. Everything stops.
        """

    def worst_usd(self, question: Question) -> float | None:
        """The most that ``question`` may cost, in US dollars; ``None`` where no price is known.

        What is in flight is reserved at this price. Free unless overridden.
        """
        return 0.0

    def ask(self, requests: Sequence[LabelRequest]) -> Iterator[Reply]:
        """Yield a reply for each request, as they come."""
        for replies in send_all(self, requests, Budget()):
            yield from replies
