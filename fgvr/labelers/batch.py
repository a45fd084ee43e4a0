"""The contract of a labeler whose server also answers by batch: within a day, at half the price."""

from abc import abstractmethod
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, ClassVar, Literal

from fgvr.labelers.asking.sender import Question
from fgvr.labelers.remote import RemoteLabeler
from fgvr.records import LabelRequest, Reply


@dataclass(frozen=True, slots=True)
class BatchStatus:
    """How far a batch is.

    Attributes:
        state: ``"running"``; ``"ended"``, with replies to all or some of its requests; ``"failed"``, with none;
            ``"unknown"`` to the server.
        done: Requests that have a reply.
        message: Why it failed, or why it ended early.
    """

    state: Literal["running", "ended", "failed", "unknown"]
    done: int = 0
    message: str = ""


class BatchLabeler(RemoteLabeler):
    """A labeler whose server also takes many requests as one file.

    ``client`` is what ``connect`` yields. The methods raise what ``send`` raises.
    ``fgvr/labelling/batch_run.py`` calls them, and keeps account of what was sent.
    """

    max_batch_requests: ClassVar[int] = 50_000
    """Requests in one file."""

    max_batch_bytes: ClassVar[int] = 100_000_000
    """Bytes of one file."""

    @abstractmethod
    def batch_line(self, key: str, question: Question) -> dict[str, Any]:
        """A line of the file, as JSON values; the server repeats ``key`` beside the reply."""

    @abstractmethod
    async def upload_batch(self, client: Any, file: BinaryIO, nonce: str) -> str:
        """Send the file, and return the server's name for it. Nothing is billed for that."""

    @abstractmethod
    async def create_batch(self, client: Any, upload: str, nonce: str) -> str:
        """Have an uploaded file answered, and return the server's id of the batch, which gets ``nonce`` as a label."""

    @abstractmethod
    async def find_batch(self, client: Any, nonce: str) -> str | None:
        """The id of the batch with this label; ``None`` if the server has none."""

    @abstractmethod
    async def batch_status(self, client: Any, remote_id: str) -> BatchStatus:
        """How far a batch is."""

    @abstractmethod
    def collect_batch(self, client: Any, remote_id: str, requests: Mapping[str, LabelRequest]) -> AsyncIterator[Reply]:
        """Yield the replies of a batch that has ended; nothing for requests that were not processed.

        Args:
            client: What ``connect`` yields.
            remote_id: The batch.
            requests: Key -> request.
        """

    async def delete_batch_files(self, client: Any, remote_id: str) -> None:
        """Delete, at the server, what was sent and what came back, once it is stored; nothing unless overridden.

        Raises nothing: what stays there costs no reply.
        """

    def worst_batch_usd(self, question: Question) -> float | None:
        """The most that ``question`` may cost in a batch; ``None`` where no price is known."""
        usd = self.worst_usd(question)
        return None if usd is None else usd / 2

    def estimate_batch_usd(self, requests: Sequence[LabelRequest]) -> float | None:
        """Expected cost of ``requests`` by batch; ``None`` where it is not known."""
        usd = self.estimate_usd(requests)
        return None if usd is None else usd / 2
