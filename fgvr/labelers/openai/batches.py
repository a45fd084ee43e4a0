"""OpenAI's Batch API."""

import json
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from fgvr.errors import FgvrError
from fgvr.labelers.asking.sender import AttemptFailedError
from fgvr.labelers.batch import BatchStatus
from fgvr.labelers.hosts.hosted import Connection, HostedLabeler
from fgvr.labelers.hosts.json_values import get, word
from fgvr.labelers.hosts.server_errors import plain, transport_failure
from fgvr.labelers.openai.errors import raise_for, words
from fgvr.records import LabelRequest, Reply

ENDPOINT = "/v1/chat/completions"
_NONCE = "fgvr_batch"
_NO_BATCHES = "The server has no Batch API: label without the option batch."
_ENDED = {"completed", "expired", "cancelled"}
_UNPROCESSED = {"batch_expired", "batch_cancelled"}


async def upload(labeler: HostedLabeler, client: Connection, file: BinaryIO, nonce: str) -> str:
    """The id of the uploaded file."""
    with _explained(labeler, client):
        # an open file is sent piece by piece; of a path, the SDK reads all
        answer = await client.sdk.files.create(file=(f"{nonce}.jsonl", file), purpose="batch")
    return _id(answer)


async def create(labeler: HostedLabeler, client: Connection, file_id: str, nonce: str) -> str:
    """The id of the new batch."""
    with _explained(labeler, client):
        answer = await client.sdk.batches.create(
            input_file_id=file_id, endpoint=ENDPOINT, completion_window="24h", metadata={_NONCE: nonce}
        )
    return _id(answer)


async def find(labeler: HostedLabeler, client: Connection, nonce: str) -> str | None:
    """The id of the batch with this nonce."""
    with _explained(labeler, client):
        async for batch in client.sdk.batches.list(limit=100):
            if (batch.metadata or {}).get(_NONCE) == nonce:
                return str(batch.id)
    return None


async def status(labeler: HostedLabeler, client: Connection, remote_id: str) -> BatchStatus:
    """How far the batch is."""
    import openai

    with _explained(labeler, client):
        try:
            batch = await client.sdk.batches.retrieve(remote_id)
        except openai.NotFoundError:
            return BatchStatus("unknown")
    _id(batch)
    counts = batch.request_counts
    done = (counts.completed + counts.failed) if counts else 0
    if batch.status in _ENDED:
        return BatchStatus("ended", done, "" if batch.status == "completed" else batch.status)
    if batch.status == "failed":
        errors = (batch.errors.data if batch.errors else None) or []
        said = "; ".join(f"{error.code}: {error.message}" for error in errors[:3])
        return BatchStatus("failed", done, plain(said, client.key) or "no reason given")
    return BatchStatus("running", done)


async def collect(
    labeler: HostedLabeler, client: Connection, remote_id: str, requests: Mapping[str, LabelRequest]
) -> AsyncIterator[Reply]:
    """The replies of an ended batch."""
    with _explained(labeler, client):
        batch = await client.sdk.batches.retrieve(remote_id)
    for file_id in (batch.output_file_id, batch.error_file_id):
        if not file_id:
            continue
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "replies.jsonl"
            with _explained(labeler, client):
                async with client.sdk.files.with_streaming_response.content(file_id) as content:
                    await content.stream_to_file(path)
            with path.open("rb") as lines:  # as text, some characters of a reply would end a line
                for line in lines:
                    reply = _reply(labeler, client, line, requests)
                    if reply is not None:
                        yield reply


async def files(labeler: HostedLabeler, client: Connection, remote_id: str) -> list[str]:
    """What was sent, the replies, and the errors."""
    with _explained(labeler, client):
        batch = await client.sdk.batches.retrieve(remote_id)
    return [file_id for file_id in (batch.input_file_id, batch.output_file_id, batch.error_file_id) if file_id]


async def delete(labeler: HostedLabeler, client: Connection, file_id: str) -> None:
    """Delete a file; one that the server does not have is no error."""
    import openai

    with _explained(labeler, client), suppress(openai.NotFoundError):
        await client.sdk.files.delete(file_id)


def _reply(
    labeler: HostedLabeler, client: Connection, line: bytes, requests: Mapping[str, LabelRequest]
) -> Reply | None:
    """The reply of a line; ``None`` for a line that is none, or of a request that was not processed."""
    try:
        entry = json.loads(line)
        request = requests[entry["custom_id"]]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    status_code, body = get(entry, "response", "status_code"), get(entry, "response", "body")
    if status_code == 200:
        reply = labeler.reply(request, body)
        return reply or Reply(request, error="the reply has no message", usage={"unpriced": True})
    error = get(entry, "error") or get(body, "error")
    code, said = (word(error, "code"), get(error, "message")) if isinstance(error, dict) else (None, error)
    if code in _UNPROCESSED:
        return None
    said = plain(f"{status_code or ''} {code or ''} {said or ''}", client.key)
    return Reply(request, error=said or "the batch's line makes no sense")


@contextmanager
def _explained(labeler: HostedLabeler, client: Connection) -> Iterator[None]:
    """Make the SDK's errors those of ``RemoteLabeler.send``."""
    import openai

    try:
        yield
    except openai.APIStatusError as error:
        if labeler.base_url is not None and error.status_code in (404, 405, 501):
            raise FgvrError(_NO_BATCHES) from None
        raise_for(error, labeler.server, client)
        raise FgvrError(f"{labeler.server} refuses the batch: {words(error, client.key)}") from None
    except openai.APIConnectionError as error:
        raise transport_failure(error) or AttemptFailedError(plain(error, client.key), None) from None


def _id(answer: Any) -> str:
    """The id of what was made; a server without this API may answer with a page of text."""
    found = getattr(answer, "id", None)
    if not isinstance(found, str) or not found:
        raise FgvrError(_NO_BATCHES)
    return found
