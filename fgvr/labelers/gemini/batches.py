"""The Gemini API's batches."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, ClassVar

from fgvr.errors import FgvrError
from fgvr.labelers.asking.sender import AttemptFailedError, DayOverError, ServerBusyError
from fgvr.labelers.batch import BatchStatus
from fgvr.labelers.gemini.errors import error_inside, error_of, raise_for
from fgvr.labelers.hosts.hosted import Connection, HostedLabeler
from fgvr.labelers.hosts.server_errors import redacted, transport_failure
from fgvr.records import LabelRequest, Reply

_ENDED = {"SUCCEEDED", "PARTIALLY_SUCCEEDED", "CANCELLED", "EXPIRED"}


class GeminiBatches(HostedLabeler):
    """What ``GeminiLabeler`` does with batches."""

    key_field: ClassVar[str] = "key"

    async def upload_batch(self, client: Connection, file: BinaryIO, nonce: str) -> str:
        """See the base class."""
        with self._explained(client):
            answer = await client.sdk.files.upload(file=file, config={"display_name": nonce, "mime_type": "jsonl"})
        return _name(answer)

    async def create_batch(self, client: Connection, upload: str, nonce: str) -> str:
        """See the base class."""
        with self._explained(client):
            answer = await client.sdk.batches.create(model=self.model, src=upload, config={"display_name": nonce})
        return _name(answer)

    async def find_batch(self, client: Connection, nonce: str) -> str | None:
        """See the base class."""
        with self._explained(client):
            async for batch in await client.sdk.batches.list(config={"page_size": 100}):
                if batch.display_name == nonce:
                    return _name(batch)
        return None

    async def batch_status(self, client: Connection, remote_id: str) -> BatchStatus:
        """Expired and cancelled ones have ended: with the replies that there are."""
        batch = await self._get(client, remote_id)
        if batch is None:
            return BatchStatus("unknown")
        state = batch.state.name.partition("_STATE_")[2] if batch.state else ""
        counts = batch.completion_stats
        done = ((counts.successful_count or 0) + (counts.failed_count or 0)) if counts else 0
        said = redacted(batch.error.message, client.key) if batch.error and batch.error.message else ""
        if state in _ENDED:
            return BatchStatus("ended", done, "" if state == "SUCCEEDED" else said or state.lower())
        if state == "FAILED":
            return BatchStatus("failed", done, said or "no reason given")
        return BatchStatus("running", done)

    async def reply_files(self, client: Connection, remote_id: str) -> list[str]:
        """The one with the replies."""
        batch = await self._get(client, remote_id)
        return [batch.dest.file_name] if batch is not None and batch.dest and batch.dest.file_name else []

    async def download(self, client: Connection, file: str, path: Path) -> None:
        """See the base class."""
        with self._explained(client):
            await client.sdk.files.download(file=file, destination=path)

    def reply_of_entry(self, client: Connection, request: LabelRequest, entry: dict[str, Any]) -> Reply | None:
        """See the base class."""
        response = entry.get("response")
        if response is None:
            response = {"error": entry.get("error") or entry.get("status") or "no reply"}
        try:
            if wrong := error_inside(response, client):
                return Reply(request, error=raise_for(wrong, self.server))
            return self.reply(request, response)
        except (ServerBusyError, DayOverError, FgvrError) as failure:
            return Reply(request, error=str(failure), attempts=0)  # which is not the photo's fault
        except AttemptFailedError as failure:
            usage = {"unpriced": True} if failure.cost_usd is None else None
            return Reply(request, error=str(failure), cost_usd=failure.cost_usd or 0.0, usage=usage)

    async def batch_files(self, client: Connection, remote_id: str) -> list[str]:
        """What was sent, which is found by the label, and the replies."""
        batch = await self._get(client, remote_id)
        if batch is None:
            return []
        found = [batch.dest.file_name] if batch.dest and batch.dest.file_name else []
        if batch.display_name:
            with self._explained(client):
                async for file in await client.sdk.files.list(config={"page_size": 100}):
                    if file.display_name == batch.display_name:
                        found.append(_name(file))
        return found

    async def delete_file(self, client: Connection, file: str) -> None:
        """See the base class."""
        with self._explained(client):
            await client.sdk.files.delete(name=file)

    async def _get(self, client: Connection, remote_id: str) -> Any:
        """The batch; ``None`` if the server does not know it."""
        from google.genai import errors

        with self._explained(client):
            try:
                return await client.sdk.batches.get(name=remote_id)
            except errors.APIError as error:
                if error.code != 404:
                    raise
        return None

    @contextmanager
    def _explained(self, client: Connection) -> Iterator[None]:
        """Make the SDK's errors those of ``RemoteLabeler.send``."""
        from google.genai import errors

        try:
            yield
        except errors.APIError as error:
            said = raise_for(error_of(error, client), self.server)
            raise FgvrError(f"{self.server} refuses the batch: {said}") from None
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
