"""What the labelers of paid servers have in common: prices, estimates, batches and what is noted of a reply."""

import logging
from abc import abstractmethod
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, ClassVar, Protocol
from urllib.parse import urlsplit

from PIL import Image

from fgvr.labelers.asking.limits import Limits
from fgvr.labelers.asking.sender import Question
from fgvr.labelers.batch import BatchLabeler, BatchStatus
from fgvr.labelers.hosts.model_names import is_same_model
from fgvr.labelers.hosts.prices import PriceList, Tokens
from fgvr.labelers.hosts.server_errors import plain
from fgvr.labelers.tasks.base import Task
from fgvr.labelers.tasks.pictures import PictureOptions
from fgvr.records import LabelRequest, Reply

_SAMPLED = 50
_TYPICAL_OUTPUT = 60  # of a reply that names a class: the median of the recorded ones is shorter, JSON is longer
_OVERHEAD = 100  # what a server puts around a prompt
_THOUGHTS = 1000
_LOG = logging.getLogger(__name__)


class BatchApi(Protocol):
    """A module with the calls of a provider's batch API; ``client`` is what ``connect`` yields."""

    async def upload(self, labeler: Any, client: Any, file: BinaryIO, nonce: str, /) -> str:
        """The server's name for the uploaded file."""

    async def create(self, labeler: Any, client: Any, upload: str, nonce: str, /) -> str:
        """The id of the new batch."""

    async def find(self, labeler: Any, client: Any, nonce: str, /) -> str | None:
        """The id of the batch with this nonce."""

    async def status(self, labeler: Any, client: Any, remote_id: str, /) -> BatchStatus:
        """How far the batch is."""

    def collect(
        self, labeler: Any, client: Any, remote_id: str, requests: Mapping[str, LabelRequest], /
    ) -> AsyncIterator[Reply]:
        """The replies of an ended batch."""

    async def files(self, labeler: Any, client: Any, remote_id: str, /) -> list[str]:
        """The files of a batch: what was sent, and the replies."""

    async def delete(self, labeler: Any, client: Any, file: str, /) -> None:
        """Delete a file."""


@dataclass
class Connection:
    """An open client.

    Attributes:
        sdk: The SDK's client.
        key: What was sent as the key, to be kept out of messages.
        key_variable: Environment variable that the key came from.
        warned: Whether it was said that another model answers.
    """

    sdk: Any
    key: str
    key_variable: str = ""
    warned: bool = False


class HostedLabeler(BatchLabeler):
    """A labeler whose server bills by tokens.

    Args:
        model: Model id.
        prices: What its tokens cost.
        base_url: The server, where it is not the provider's own, in the spelling of ``server_url``.
        task: What is asked; ``name`` with the FGVR paper's prompt if not given.
        prompt: Other words than the task's own.
        answers: How many answers are wanted for a photo.
        pictures: How photos are re-encoded before they are sent.
        max_output_tokens: Longest reply; the task's own number if not given.
        limits: How fast the server may be asked.
    """

    own_server: ClassVar[str]
    """Address of the provider's own server."""

    batch_api: ClassVar[BatchApi]
    """The provider's batches."""

    def __init__(
        self,
        model: str,
        prices: PriceList,
        base_url: str | None = None,
        task: Task | None = None,
        prompt: str | None = None,
        answers: int = 1,
        pictures: PictureOptions | None = None,
        max_output_tokens: int | None = None,
        limits: Limits | None = None,
    ) -> None:
        super().__init__(model, task, prompt, answers, pictures, max_output_tokens, limits)
        self.base_url = base_url
        self.prices = prices

    @property
    def server(self) -> str:
        """Host and model."""
        return f"{urlsplit(self.base_url or self.own_server).netloc} {self.model}"

    @property
    @abstractmethod
    def thinks(self) -> bool:
        """Whether the model spends hidden tokens before it replies, so that a reply may take all it is allowed."""

    @abstractmethod
    def image_tokens(self, width: int, height: int) -> tuple[float, float]:
        """Expected tokens of a picture, and the most that it may have; width and height in pixels."""

    @abstractmethod
    def reply(
        self,
        request: LabelRequest,
        content: Any,
        seconds: float = 0.0,
        question: Question | None = None,
        client: Connection | None = None,
    ) -> Reply | None:
        """The reply that a response holds; ``None`` where it holds none. It is untrusted.

        Args:
            request: What was asked.
            content: The response as it came, parsed JSON.
            seconds: How long it took.
            question: What was asked, with its pictures: they bound the cost where the server does not count tokens.
            client: What it came from; ``None`` for a reply of a batch.

        Raises:
            AttemptFailedError: It says that the attempt failed.
        """

    def worst_usd(self, question: Question) -> float | None:
        """The most that ``question`` may cost: the longest reply, and the dearest way to count its pictures."""
        return self.prices.usd(self.model, self._most(question))

    def worst_batch_usd(self, question: Question) -> float | None:
        """The same as a part of a batch."""
        return self.prices.usd(self.model, self._most(question), batch=True)

    def estimate_usd(self, requests: Sequence[LabelRequest]) -> float | None:
        """What ``requests`` are expected to cost: from the sizes of at most 50 of the photos and a typical reply."""
        return self._estimate(requests, batch=False)

    def estimate_batch_usd(self, requests: Sequence[LabelRequest]) -> float | None:
        """The same by batch."""
        return self._estimate(requests, batch=True)

    async def upload_batch(self, client: Any, file: BinaryIO, nonce: str) -> str:
        """To the Files API."""
        return await self.batch_api.upload(self, client, file, nonce)

    async def create_batch(self, client: Any, upload: str, nonce: str) -> str:
        """With the nonce as a label."""
        return await self.batch_api.create(self, client, upload, nonce)

    async def find_batch(self, client: Any, nonce: str) -> str | None:
        """By the label."""
        return await self.batch_api.find(self, client, nonce)

    async def batch_status(self, client: Any, remote_id: str) -> BatchStatus:
        """Expired and cancelled ones have ended: with the replies that there are."""
        return await self.batch_api.status(self, client, remote_id)

    def collect_batch(self, client: Any, remote_id: str, requests: Mapping[str, LabelRequest]) -> AsyncIterator[Reply]:
        """From the files of replies and of errors."""
        return self.batch_api.collect(self, client, remote_id, requests)

    async def delete_batch_files(self, client: Any, remote_id: str) -> None:
        """Delete what was sent and the replies. A warning tells where the server does not: the replies are stored."""
        file = ""
        try:
            for file in await self.batch_api.files(self, client, remote_id):
                await self.batch_api.delete(self, client, file)
        except Exception as error:
            what = plain(file or "its files", client.key)
            _LOG.warning("%s does not delete %s of batch %s.", self.server, what, plain(remote_id, client.key))
            _LOG.debug("It says: %s", plain(error, client.key))

    def _leave_room_for_thoughts(self, max_output_tokens: int | None) -> None:
        """Where no length is given, let a model that thinks do so before it replies; called by constructors."""
        if max_output_tokens is None and self.thinks:
            self.max_output_tokens += _THOUGHTS

    def _estimate(self, requests: Sequence[LabelRequest], batch: bool) -> float | None:
        sample = requests[:: -(-len(requests) // _SAMPLED) or 1]
        output = self.max_output_tokens if self.thinks else min(self.max_output_tokens, _TYPICAL_OUTPUT)
        total = 0.0
        for request in sample:
            # English has about four letters a token
            text = (len(request.prompt) + len(str(self.task.schema() or ""))) / 4
            pictures = sum(self.image_tokens(*size)[0] for size in self._sizes(request))
            usd = self.prices.usd(self.model, Tokens(round(text + pictures), output), batch)
            if usd is None:
                return None
            total += usd
        return total / len(sample) * len(requests) if sample else 0.0

    def _sizes(self, request: LabelRequest) -> list[tuple[int, int]]:
        """Sizes of the pictures as they would be sent, in pixels; photos are not decoded."""
        longest = self.pictures.max_side
        blanks = []
        for image in request.images:
            try:
                with Image.open(image.path) as opened:
                    width, height = opened.size
            except (OSError, ValueError, Image.DecompressionBombError):
                width = height = longest
            scale = min(1.0, longest / max(width, height))
            blanks.append(Image.new("RGB", (max(1, round(width * scale)), max(1, round(height * scale)))))
        pictures = self.task.compose(blanks)
        for picture in pictures:
            picture.thumbnail((longest, longest))
        return [picture.size for picture in pictures]

    def _most(self, question: Question) -> Tokens:
        text = question.request.prompt + str(self.task.schema() or "")
        # no tokeniser makes more tokens than there are bytes
        number = len(text.encode(errors="replace")) + _OVERHEAD
        number += sum(int(self.image_tokens(picture.width, picture.height)[1]) + 1 for picture in question.pictures)
        # writing to a cache is what some models charge most for
        return Tokens(number, self.max_output_tokens, cache_written=number)

    def _usage(self, tokens: Tokens | None, **noted: Any) -> dict[str, Any]:
        """``usage`` of a reply: its tokens, and what else is known."""
        usage = {
            "input_tokens": tokens and tokens.input,
            "output_tokens": tokens and tokens.output,
            "cached_tokens": (tokens and tokens.cached) or None,
            **noted,
        }
        return {name: value for name, value in usage.items() if value is not None}

    def _warn_of_another(self, model: str, client: Connection | None) -> None:
        """Say once that another model answers than the one that was asked."""
        if client is not None and not client.warned and not is_same_model(self.model, model):
            client.warned = True
            _LOG.warning("%s was asked for %s, and %r answers.", self.server, self.model, plain(model))

    def _spent_on_thoughts(self, option: str) -> str:
        """The failure of a reply that has come to its end before it began."""
        return (
            f"The model spent all {self.max_output_tokens} tokens before it replied: raise "
            f"data.labeler.max_output_tokens, or lower data.labeler.{option}."
        )

    def _usd(
        self, question: Question | None, model: str, tokens: Tokens | None, usage: dict[str, Any], batch: bool
    ) -> float:
        """What a reply cost; ``usage`` says where that is not known."""
        usd = None
        if tokens is not None:
            # the model that answered is billed, which need not be the one that was asked
            usd = self.prices.usd(model, tokens, batch) if model else None
            usd = self.prices.usd(self.model, tokens, batch) if usd is None else usd
        elif self.prices.usd(self.model, Tokens(1_000_000, 1_000_000), batch) == 0:
            return 0.0
        elif question is not None and (usd := self.worst_usd(question)) is not None:
            usage["cost_is_upper_bound"] = True
        if usd is None:
            usage["unpriced"] = True
            return 0.0
        return usd
