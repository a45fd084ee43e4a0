"""The remote kind: how one request is sent, and what the server's errors mean. The engine does the rest."""

import asyncio
import base64
import json
import os
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

from fgvr.errors import FgvrError
from fgvr.labelers.base import LabelRequest, Reply
from fgvr.labelers.hosts.server_errors import redacted, retry_after
from fgvr.labelers.remote import AttemptFailedError, Question, RemoteLabeler, ServerAbsentError, ServerBusyError

KEY = "NAMERY_API_KEY"
LONGEST = 1_000_000  # bytes of a response


class NameryLabeler(RemoteLabeler):
    """Names from Namery, a made-up multimodal LLM behind a JSON API. The key is in ``$NAMERY_API_KEY``.

    Args:
        model: Model id.
        base_url: The server's address.
        usd_per_request: What Namery bills for a request.
        **kwargs: Arguments of ``RemoteLabeler``.
    """

    def __init__(
        self,
        model: str = "namery-1",
        base_url: str = "https://namery.example",
        usd_per_request: float = 0.001,
        **kwargs: Any,
    ) -> None:
        super().__init__(model, **kwargs)
        self.base_url = base_url
        self.usd_per_request = usd_per_request

    def identity(self) -> dict[str, Any]:
        """Model, task and pictures are there already; neither limits nor prices, on which no reply depends."""
        return {**super().identity(), "provider": "namery", "base_url": self.base_url}

    @property
    def server(self) -> str:
        """Namery counts requests per day for each model."""
        return f"{urlsplit(self.base_url).netloc} {self.model}"

    def estimate_usd(self, requests: Sequence[LabelRequest]) -> float:
        """For a dry run, which asks nothing."""
        return self.usd_per_request * len(requests)

    def worst_usd(self, question: Question) -> float:
        """What is set aside of the budget while the request is in flight."""
        return self.usd_per_request

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[str]:
        """What ``send`` gets: here the key, with an SDK its client. Called when the first photo is asked about."""
        key = os.environ.get(KEY, "").strip()  # a line break behind it would be in the error of the HTTP client
        if not key:
            raise FgvrError(f"{KEY} is not set; expected the key of your Namery account: export {KEY}=...")
        yield key

    async def send(self, client: str, question: Question) -> Reply:
        """Send one request once."""
        body = {
            "model": self.model,
            "question": question.request.prompt,
            "images": [base64.b64encode(picture.data).decode() for picture in question.pictures],
            "schema": self.task.schema(),
            "max_tokens": self.max_output_tokens,
        }
        try:
            # an SDK with an async client needs no thread
            status, headers, content = await asyncio.to_thread(self._post, client, json.dumps(body))
        except (ConnectionRefusedError, socket.gaierror) as error:
            raise ServerAbsentError(f"no connection to {self.base_url}: {error}") from error
        except (OSError, HTTPException) as error:
            # it may have been answered, and billed
            raise AttemptFailedError(f"the connection broke: {error!r}", cost_usd=None) from error
        if status != 200:
            raise failure(status, headers, content, client)
        try:
            answer = json.loads(content)
            return Reply(
                question.request,
                raw=str(answer["text"]),
                model=str(answer["model"]),
                cost_usd=self.usd_per_request,
                usage={"blocked": "filter"} if answer.get("filtered") else {"tokens": int(answer["tokens"])},
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise AttemptFailedError(f"no reply of Namery: {error!r}", cost_usd=self.usd_per_request) from error

    def _post(self, key: str, body: str) -> tuple[int, Mapping[str, str], bytes]:
        url = urlsplit(self.base_url)
        kind = HTTPSConnection if url.scheme == "https" else HTTPConnection
        connection = kind(url.netloc, timeout=self.limits.timeout_seconds)
        try:
            headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
            connection.request("POST", f"{url.path.rstrip('/')}/v1/name", body, headers)
            response = connection.getresponse()
            return response.status, dict(response.headers), response.read(LONGEST)
        finally:
            connection.close()


def failure(status: int, headers: Mapping[str, str], content: bytes, key: str) -> Exception:
    """What an HTTP status means for this request and for all others."""
    said = redacted(content.decode(errors="replace"), key)  # one short line, without the key
    if status in (429, 503):
        return ServerBusyError(said, retry_after(headers))
    if status in (401, 403):
        return FgvrError(f"Namery refuses the key in {KEY} ({status}): {said}")
    if status == 402:
        return FgvrError(f"The Namery account has no credit left: {said}")
    if status == 404:
        return FgvrError(f"Namery does not know the model: {said}. Set data.labeler.model to another one")
    return AttemptFailedError(f"Namery answers {status}: {said}")
