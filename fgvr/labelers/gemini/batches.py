"""The Gemini API's batches."""

import json
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from fgvr.errors import FgvrError
from fgvr.labelers.asking.sender import AttemptFailedError
from fgvr.labelers.batch import BatchStatus
from fgvr.labelers.gemini.errors import raise_for
from fgvr.labelers.hosts.hosted import Connection, HostedLabeler
from fgvr.labelers.hosts.json_values import get
from fgvr.labelers.hosts.server_errors import plain, transport_failure
from fgvr.records import LabelRequest, Reply

_ENDED = {"SUCCEEDED", "PARTIALLY_SUCCEEDED", "CANCELLED", "EXPIRED"}


async def upload(labeler: HostedLabeler, client: Connection, file: BinaryIO, nonce: str) -> str:
    """The name of the uploaded file."""
    with _explained(labeler, client):
        answer = await client.sdk.files.upload(file=file, config={"display_name": nonce, "mime_type": "jsonl"})
    return _name(answer)


async def create(labeler: HostedLabeler, client: Connection, file_name: str, nonce: str) -> str:
    """The name of the new batch."""
    with _explained(labeler, client):
        answer = await client.sdk.batches.create(model=labeler.model, src=file_name, config={"display_name": nonce})
    return _name(answer)


async def find(labeler: HostedLabeler, client: Connection, nonce: str) -> str | None:
    """The name of the batch with this nonce."""
    with _explained(labeler, client):
        async for batch in await client.sdk.batches.list(config={"page_size": 100}):
            if batch.display_name == nonce:
                return _name(batch)
    return None


async def status(labeler: HostedLabeler, client: Connection, remote_id: str) -> BatchStatus:
    """How far the batch is."""
    batch = await _get(labeler, client, remote_id)
    if batch is None:
        return BatchStatus("unknown")
    state = batch.state.name.partition("_STATE_")[2] if batch.state else ""
    counts = batch.completion_stats
    done = ((counts.successful_count or 0) + (counts.failed_count or 0)) if counts else 0
    said = plain(batch.error.message, client.key) if batch.error and batch.error.message else ""
    if state in _ENDED:
        return BatchStatus("ended", done, "" if state == "SUCCEEDED" else said or state.lower())
    if state == "FAILED":
        return BatchStatus("failed", done, said or "no reason given")
    return BatchStatus("running", done)


async def collect(
    labeler: HostedLabeler, client: Connection, remote_id: str, requests: Mapping[str, LabelRequest]
) -> AsyncIterator[Reply]:
    """The replies of an ended batch."""
    batch = await _get(labeler, client, remote_id)
    file_name = batch.dest.file_name if batch is not None and batch.dest else None
    if not file_name:
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "replies.jsonl"
        with _explained(labeler, client):
            await client.sdk.files.download(file=file_name, destination=path)
        with path.open("rb") as lines:  # as text, some characters of a reply would end a line
            for line in lines:
                reply = _reply(labeler, client, line, requests)
                if reply is not None:
                    yield reply


async def files(labeler: HostedLabeler, client: Connection, remote_id: str) -> list[str]:
    """What was sent, which is found by the label, and the replies."""
    batch = await _get(labeler, client, remote_id)
    if batch is None:
        return []
    found = [batch.dest.file_name] if batch.dest and batch.dest.file_name else []
    if batch.display_name:
        with _explained(labeler, client):
            async for file in await client.sdk.files.list(config={"page_size": 100}):
                if file.display_name == batch.display_name:
                    found.append(_name(file))
    return found


async def delete(labeler: HostedLabeler, client: Connection, file_name: str) -> None:
    """Delete a file."""
    with _explained(labeler, client):
        await client.sdk.files.delete(name=file_name)


def _reply(
    labeler: HostedLabeler, client: Connection, line: bytes, requests: Mapping[str, LabelRequest]
) -> Reply | None:
    """The reply of a line; ``None`` for a line that is none."""
    try:
        entry = json.loads(line)
        request = requests[entry["key"]]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    if get(entry, "response") is None:
        error = entry.get("error") or entry.get("status") or "no reply"
        return Reply(request, error=plain(get(error, "message") or error, client.key))
    try:
        return labeler.reply(request, entry["response"])
    except AttemptFailedError as failure:
        usage = {"unpriced": True} if failure.cost_usd is None else None
        return Reply(request, error=str(failure), cost_usd=failure.cost_usd or 0.0, usage=usage)


async def _get(labeler: HostedLabeler, client: Connection, remote_id: str) -> Any:
    """The batch; ``None`` if the server does not know it."""
    from google.genai import errors

    with _explained(labeler, client):
        try:
            return await client.sdk.batches.get(name=remote_id)
        except errors.APIError as error:
            if error.code != 404:
                raise
    return None


@contextmanager
def _explained(labeler: HostedLabeler, client: Connection) -> Iterator[None]:
    """Make the SDK's errors those of ``RemoteLabeler.send``."""
    from google.genai import errors

    try:
        yield
    except errors.APIError as error:
        said = raise_for(error, labeler.server, client)
        raise FgvrError(f"{labeler.server} refuses the batch: {said}") from None
    except (FgvrError, KeyError, ValueError) as error:
        if isinstance(error, FgvrError):
            raise
        # what the SDK raises where an answer is not what it expects, such as one without an address for the upload
        raise AttemptFailedError(f"the server's answer makes no sense ({type(error).__name__})") from None
    except Exception as error:
        failure = transport_failure(error)
        if failure is None:
            raise
        raise failure from None


def _name(answer: Any) -> str:
    if not answer.name:
        raise FgvrError("The server has no batch API: label without the option batch.")
    return str(answer.name)
