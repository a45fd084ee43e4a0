"""OpenAI's Batch API."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

from fgvr.errors import FgvrError
from fgvr.labelers.asking.sender import AttemptFailedError
from fgvr.labelers.batch import BatchStatus
from fgvr.labelers.hosts.hosted import Connection, HostedLabeler
from fgvr.labelers.hosts.json_values import get_path, get_text
from fgvr.labelers.hosts.server_errors import redacted, transport_failure
from fgvr.labelers.openai.errors import error_text, raise_for
from fgvr.records import LabelRequest, Reply

ENDPOINT = "/v1/chat/completions"
_NONCE = "fgvr_batch"
_NO_BATCHES = "The server has no Batch API: label without the option batch."
_ENDED = {"completed", "expired", "cancelled"}
_UNPROCESSED = {"batch_expired", "batch_cancelled"}


class OpenAIBatches(HostedLabeler):
    """What ``OpenAILabeler`` does with batches."""

    key_field: ClassVar[str] = "custom_id"

    async def upload_batch(self, client: Connection, file: BinaryIO, nonce: str) -> str:
        """See the base class."""
        with self._explained(client):
            # an open file is sent piece by piece; of a path, the SDK reads all
            answer = await client.sdk.files.create(file=(f"{nonce}.jsonl", file), purpose="batch")
        return _id(answer)

    async def create_batch(self, client: Connection, upload: str, nonce: str) -> str:
        """See the base class."""
        with self._explained(client):
            answer = await client.sdk.batches.create(
                input_file_id=upload, endpoint=ENDPOINT, completion_window="24h", metadata={_NONCE: nonce}
            )
        return _id(answer)

    async def find_batch(self, client: Connection, nonce: str) -> str | None:
        """See the base class."""
        with self._explained(client):
            async for batch in client.sdk.batches.list(limit=100):
                if (batch.metadata or {}).get(_NONCE) == nonce:
                    return str(batch.id)
        return None

    async def batch_status(self, client: Connection, remote_id: str) -> BatchStatus:
        """Expired and cancelled ones have ended: with the replies that there are."""
        import openai

        with self._explained(client):
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
            return BatchStatus("failed", done, redacted(said, client.key) or "no reason given")
        return BatchStatus("running", done)

    async def reply_files(self, client: Connection, remote_id: str) -> list[str]:
        """The replies, and the errors."""
        with self._explained(client):
            batch = await client.sdk.batches.retrieve(remote_id)
        return [file_id for file_id in (batch.output_file_id, batch.error_file_id) if file_id]

    async def download(self, client: Connection, file: str, path: Path) -> None:
        """See the base class."""
        with self._explained(client):
            async with client.sdk.files.with_streaming_response.content(file) as content:
                await content.stream_to_file(path)

    def reply_of_entry(self, client: Connection, request: LabelRequest, entry: dict[str, Any]) -> Reply | None:
        """See the base class."""
        status_code, body = get_path(entry, "response", "status_code"), get_path(entry, "response", "body")
        if status_code == 200:
            reply = self.reply(request, body)
            return reply or Reply(request, error="the reply has no message", usage={"unpriced": True})
        error = get_path(entry, "error") or get_path(body, "error")
        code, said = (get_text(error, "code"), get_path(error, "message")) if isinstance(error, dict) else (None, error)
        if code in _UNPROCESSED:
            return None
        said = redacted(f"{status_code or ''} {code or ''} {said or ''}", client.key)
        return Reply(request, error=said or "the batch's line makes no sense")

    async def batch_files(self, client: Connection, remote_id: str) -> list[str]:
        """What was sent, the replies, and the errors."""
        with self._explained(client):
            batch = await client.sdk.batches.retrieve(remote_id)
        return [file_id for file_id in (batch.input_file_id, batch.output_file_id, batch.error_file_id) if file_id]

    async def delete_file(self, client: Connection, file: str) -> None:
        """Delete a file; one that the server does not have is no error."""
        import openai

        with self._explained(client), suppress(openai.NotFoundError):
            await client.sdk.files.delete(file)

    @contextmanager
    def _explained(self, client: Connection) -> Iterator[None]:
        """Make the SDK's errors those of ``RemoteLabeler.send``."""
        import openai

        try:
            yield
        except openai.APIStatusError as error:
            if self.base_url is not None and error.status_code in (404, 405, 501):
                raise FgvrError(_NO_BATCHES) from None
            raise_for(error, self.server, client)
            raise FgvrError(f"{self.server} refuses the batch: {error_text(error, client.key)}") from None
        except openai.APIConnectionError as error:
            raise transport_failure(error) or AttemptFailedError(redacted(error, client.key), None) from None


def _id(answer: Any) -> str:
    """The id of what was made; a server without this API may answer with a page of text."""
    found = getattr(answer, "id", None)
    if not isinstance(found, str) or not found:
        raise FgvrError(_NO_BATCHES)
    return found
