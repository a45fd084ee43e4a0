"""A remote labeler for tests: plain JSON over HTTP, without an SDK."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

from fgvr.errors import FgvrError
from fgvr.labelers.asking.limits import Limits
from fgvr.labelers.asking.sender import AttemptFailedError, DayOverError, Question, ServerAbsentError, ServerBusyError
from fgvr.labelers.remote import RemoteLabeler
from fgvr.labelers.tasks.base import Task
from fgvr.labelers.tasks.pictures import PictureOptions
from fgvr.records import LabelRequest, Reply

_Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class TinyRemoteLabeler(RemoteLabeler):
    """Posts ``{"prompt": ..., "answer": ..., "pictures": [base64, ...]}``, and reads the fields of a JSON reply.

    A body of 200 has ``raw``, and may have ``model``, ``usage`` and ``cost_usd``. Any other status has the error as
    its body: 401 is a bad key, 402 the end of the day, 429 and 503 a busy server, and the others a failed attempt.

    Args:
        base_url: The server, such as ``http://127.0.0.1:8000``.
        price_usd: Cost of a reply that does not say what it cost.
        worst_price_usd: The most that a reply costs; ``price_usd`` if not given, and unknown where that is ``None``.
        model: Model id.
        task: What is asked; ``name`` if not given.
        prompt: Other words than the task's own.
        answers: How many answers are wanted for a photo.
        pictures: How photos are re-encoded.
        limits: How fast the server may be asked.

    Example:
        >>> TinyRemoteLabeler("http://127.0.0.1:8000", price_usd=0.01).server
        '127.0.0.1:8000 tiny'
    """

    of_texts = True

    def __init__(
        self,
        base_url: str,
        price_usd: float | None = 0.0,
        worst_price_usd: float | None = None,
        model: str = "tiny",
        task: Task | None = None,
        prompt: str | None = None,
        answers: int = 1,
        pictures: PictureOptions | None = None,
        limits: Limits | None = None,
    ) -> None:
        super().__init__(model, limits=limits, task=task, prompt=prompt, answers=answers, pictures=pictures)
        self.base_url = base_url
        self.price_usd = price_usd
        self.worst_price_usd = worst_price_usd

    @property
    def server(self) -> str:
        """Host, port and model."""
        return f"{urlsplit(self.base_url).netloc} {self.model}"

    def identity(self) -> dict[str, Any]:
        """As every model labeler's; the address is not part of it, so that a server may have another port next time."""
        return {"labeler": "tiny_remote", **super().identity()}

    def estimate_usd(self, requests: Sequence[LabelRequest]) -> float | None:
        """The price of each request, added up."""
        return None if self.price_usd is None else self.price_usd * len(requests)

    def worst_usd(self, question: Question) -> float | None:
        """The same for every question."""
        return self.price_usd if self.worst_price_usd is None else self.worst_price_usd

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[list[_Connection]]:
        """The connections that are open and idle: none at first."""
        idle: list[_Connection] = []
        try:
            yield idle
        finally:
            for _, writer in idle:
                writer.close()

    async def send(self, client: list[_Connection], question: Question) -> Reply:
        """Post one question."""
        body = {
            "prompt": question.request.prompt,
            "answer": question.request.answer,
            "pictures": [base64.b64encode(picture.data).decode() for picture in question.pictures],
        }
        status, headers, text = await _post(client, self.base_url, json.dumps(body).encode())
        if status in (429, 503):
            retry_after = headers.get("retry-after")
            raise ServerBusyError(f"{status}: {text}", None if retry_after is None else float(retry_after))
        if status == 401:
            raise FgvrError(f"{self.server} refuses the key: {text}")
        if status == 402:
            raise DayOverError(text)
        if status != 200:
            raise AttemptFailedError(f"{status}: {text}")
        try:
            reply = json.loads(text)
            raw = str(reply["raw"])
        except (ValueError, KeyError, TypeError) as error:
            raise AttemptFailedError(f"the reply is not what was expected: {text[:100]!r}", self.price_usd) from error
        return Reply(
            question.request,
            raw=raw,
            model=reply.get("model", self.model),
            cost_usd=reply.get("cost_usd", self.price_usd or 0.0),
            usage=reply.get("usage"),
        )


async def _post(idle: list[_Connection], url: str, body: bytes) -> tuple[int, dict[str, str], str]:
    """Status, headers in lower case, and text of the answer."""
    parts = urlsplit(url)
    try:
        reader, writer = idle.pop() if idle else await asyncio.open_connection(parts.hostname, parts.port or 80)
    except OSError as error:
        raise ServerAbsentError(f"{parts.netloc}: {error.strerror or error}") from error
    try:
        head = (
            f"POST {parts.path or '/'} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode() + body)
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").strip().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines)
        text = await reader.readexactly(int(headers["content-length"]))
    except BaseException as error:
        writer.close()
        if isinstance(error, (OSError, EOFError)):
            raise AttemptFailedError(f"the connection broke: {error}", cost_usd=None) from error
        raise
    idle.append((reader, writer))
    return int(first.split()[1]), headers, text.decode(errors="replace")
