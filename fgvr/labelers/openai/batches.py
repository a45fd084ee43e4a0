"""OpenAI's Batch API."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

from fgvr.errors import FgvrError
from fgvr.labelers.asking.sender import AttemptFailedError, ServerBusyError
from fgvr.labelers.batch import BatchStatus
from fgvr.labelers.hosts.error_bodies import ServerError, server_error, words_of
from fgvr.labelers.hosts.hosted import Connection, HostedLabeler
from fgvr.labelers.hosts.json_values import get_path, get_text
from fgvr.labelers.hosts.server_errors import redacted, transport_failure
from fgvr.labelers.openai.errors import error_inside, error_of, raise_for
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
        return _id(answer, client.key)

    async def create_batch(self, client: Connection, upload: str, nonce: str) -> str:
        """See the base class."""
        with self._explained(client):
            answer = await client.sdk.batches.create(
                input_file_id=upload, endpoint=ENDPOINT, completion_window="24h", metadata={_NONCE: nonce}
            )
        return _id(answer, client.key)

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
        _id(batch, client.key)
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
        status, body = get_path(entry, "response", "status_code"), get_path(entry, "response", "body")
        if get_text(entry, "error", "code") in _UNPROCESSED:
            return None
        if status == 200:
            wrong = error_inside(body, client.key)
        else:
            said = {"error": entry["error"]} if entry.get("error") else body
            wrong = server_error(said, status if isinstance(status, int) else 0, client.key)
        try:
            reply = self.reply(request, body) if wrong is None else self.failed_reply(request, wrong, client)
        except (ServerBusyError, FgvrError) as failure:
            return Reply(request, error=str(failure), attempts=0)  # which is not the photo's fault
        except AttemptFailedError as failure:
            usage = {"unpriced": True} if failure.cost_usd is None else None
            return Reply(request, error=str(failure), cost_usd=failure.cost_usd or 0.0, usage=usage)
        return reply or Reply(request, error="the reply has no message", usage={"unpriced": True})

    def failed_reply(
        self, request: LabelRequest, error: ServerError, client: Connection, seconds: float = 0.0
    ) -> Reply:
        """The reply that an error amounts to: a refusal, or a failure of this request alone.

        Args:
            request: What was asked.
            error: What the server says.
            client: What was asked with.
            seconds: How long it took.

        Raises:
            ServerBusyError: To be sent again later.
            AttemptFailedError: To be sent again.
            FgvrError: No request can succeed.
        """
        if blocked := raise_for(error, self.server, client):
            return Reply(request, model=self.model, usage={"blocked": blocked}, seconds=seconds)
        return Reply(request, error=error.said, seconds=seconds)

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
            wrong = error_of(error, client)
            raise_for(wrong, self.server, client)
            raise FgvrError(f"{self.server} refuses the batch: {wrong.said}") from None
        except openai.APIConnectionError as error:
            raise transport_failure(error) or AttemptFailedError(redacted(error, client.key), None) from None


def _id(answer: Any, key: str) -> str:
    """The id of what was made; a server without this API may answer with a page of text, or with an error."""
    found = getattr(answer, "id", None)
    if not isinstance(found, str) or not found:
        said = redacted(words_of(getattr(answer, "model_extra", None) or answer), key)
        raise FgvrError(f"{_NO_BATCHES} It says: {said}" if said else _NO_BATCHES)
    return found
