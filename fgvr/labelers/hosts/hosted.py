"""What the labelers of paid servers have in common: prices, estimates, batches and what is noted of a reply."""

import json
import logging
import re
import tempfile
from abc import abstractmethod
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

from PIL import Image

from fgvr.errors import FgvrError
from fgvr.labelers.asking.sender import Question
from fgvr.labelers.batch import BatchLabeler
from fgvr.labelers.hosts.addresses import other_origins, server_url
from fgvr.labelers.hosts.error_bodies import ServerError
from fgvr.labelers.hosts.model_names import is_same_model
from fgvr.labelers.hosts.prices import Price, PriceList, Tokens
from fgvr.labelers.hosts.schemas import honours_schemas
from fgvr.labelers.hosts.server_errors import redacted
from fgvr.labelers.tasks.base import Task
from fgvr.records import LabelRequest, Reply

_SAMPLED = 50
_OVERHEAD = 100  # what a server puts around a prompt
_THOUGHTS = 1000
_PIECE = 1_000_000
_STRANGE_LINES = 1000
# "'response_format.type' must be 'text'", "json_schema is unavailable now", "Guided decoding is switched off"
_SCHEMA = re.compile(
    r"response.?(?:format|schema|mime.?type|json)|json.?(?:schema|mode)|structured.?output|guided|grammar|\bschema\b",
    re.IGNORECASE,
)
_LOG = logging.getLogger(__name__)


@dataclass
class Connection:
    """An open client.

    Attributes:
        sdk: The SDK's client.
        key: What was sent as the key, to be kept out of messages.
        key_variable: Environment variable that the key came from.
        warned: Whether it was said that another model answers.
        dropped: Parameters that the server does not take.
    """

    sdk: Any
    key: str
    key_variable: str = ""
    warned: bool = False
    dropped: list[str] = field(default_factory=list)

    def drop_schema(self, error: ServerError, name: str) -> bool:
        """Learn from an error that the server honours no schema; ``False`` if it is about something else.

        Args:
            error: What the server says to a request with a schema.
            name: The parameter that held it.
        """
        text = " ".join((*error.names, error.said))
        if error.kind not in ("request", "again") or not _SCHEMA.search(text):
            return False
        if name not in self.dropped:
            self.dropped.append(name)
            _LOG.warning("The server honours no JSON schema (%s): it is asked for text.", error.said)
        return True


class HostedLabeler(BatchLabeler):
    """A labeler whose server bills by tokens.

    Args:
        model: Model id.
        base_url: Address of another server; ``None`` is the provider's own.
        temperature: Sampling temperature; ``None`` leaves it to the server.
        max_output_tokens: Longest reply, hidden thoughts included; if not given the task's number, and 1,000 more
            where the model thinks.
        seed: For reproducible sampling, as far as the server has it; ``None`` is not sent.
        price: What tokens cost, where the built-in list is wrong or lacks the model.
        redirects_to: Other servers that this one may hand requests on to, such as ``https://files.example.org``. They
            get the photos, and never the key. All others are refused.
        **kwargs: Arguments of ``RemoteLabeler``.

    Raises:
        FgvrError: ``base_url`` or one of ``redirects_to`` is no address, or ``answers`` is below 1.
    """

    of_texts: ClassVar[bool] = True

    own_server: ClassVar[str]
    """Address of the provider's own server."""

    key_field: ClassVar[str]
    """Where the key of a request is in a line of a batch's replies."""

    def __init__(
        self,
        model: str,
        *,
        base_url: str | None = None,
        temperature: float | None = None,
        max_output_tokens: int | None = None,
        seed: int | None = None,
        price: Price | None = None,
        redirects_to: Sequence[str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(model, max_output_tokens=max_output_tokens, **kwargs)
        self.base_url = server_url(base_url, own=self.own_server)
        self.temperature = temperature
        self.seed = seed
        self.price = price
        self.redirects_to = other_origins(redirects_to)
        self.task = self._as_asked(self.task)

    @property
    def tries_schema(self) -> bool:
        """Whether a schema is sent though nobody has asked for one, and it is not known if the server honours it."""
        return self._honours_schemas is None and self.task.on_server(False).schema() != self.task.schema()

    @property
    @abstractmethod
    def prices(self) -> PriceList:
        """What the model's tokens cost."""

    def identity(self) -> dict[str, Any]:
        """The server and how it samples; subclasses add the provider, and what else shapes its replies."""
        return {
            "base_url": self.base_url,
            # 0 and 0.0 are one temperature, and must be one key in the label store
            "temperature": None if self.temperature is None else float(self.temperature),
            "seed": self.seed,
            **super().identity(),
        }

    @property
    def server(self) -> str:
        """Host and model."""
        return f"{urlsplit(self.address).netloc} {self.model}"

    @property
    def address(self) -> str:
        """Where requests go."""
        return self.base_url or self.own_server

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
        """The most that ``question`` may cost: the longest reply, and the most expensive way to count its pictures."""
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

    async def collect_batch(
        self, client: Any, remote_id: str, requests: Mapping[str, LabelRequest]
    ) -> AsyncIterator[Reply]:
        """From the files of replies and of errors."""
        for file in await self.reply_files(client, remote_id):
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "replies.jsonl"
                await self._download_bounded(client, file, path)
                for reply in self._replies_of_file(client, path, requests):
                    yield reply

    def _replies_of_file(self, client: Connection, path: Path, requests: Mapping[str, LabelRequest]) -> Iterator[Reply]:
        longest = self.limits.reply_bytes
        strange, most_strange = 0, len(requests) + _STRANGE_LINES
        with path.open("rb") as lines:  # as text, some characters of a reply would end a line
            while (line := lines.readline(longest)) and strange < most_strange:
                if len(line) == longest and not line.endswith(b"\n"):
                    reply = self._too_long(line, requests)
                    while (line := lines.readline(_PIECE)) and not line.endswith(b"\n"):
                        pass
                else:
                    reply = self.reply_of_line(client, line, requests)
                if reply is None:
                    strange += 1
                else:
                    yield reply
        if strange == most_strange:
            _LOG.warning("%s: a file of replies is left after %d lines that are none of ours.", self.server, strange)

    def reply_of_line(self, client: Connection, line: bytes, requests: Mapping[str, LabelRequest]) -> Reply | None:
        """The reply of a line of a batch's file; ``None`` for a line that is none."""
        try:
            entry = json.loads(line)
            request = requests[entry[self.key_field]]
        except (ValueError, KeyError, TypeError, RecursionError):
            return None
        return self.reply_of_entry(client, request, entry)

    async def _download_bounded(self, client: Any, file: str, path: Path) -> None:
        from fgvr.labelers.hosts.http_client import ReplyTooLongError, reading_up_to

        try:
            with reading_up_to(self.limits.batch_file_bytes):
                await self.download(client, file, path)
        except ReplyTooLongError as error:
            raise FgvrError(
                f"{self.server} has a file with the replies of a batch, {redacted(file, client.key)}, and {error}. "
                "Raise data.labeler.limits.max_batch_file_mb, and start the same run again: nothing is paid twice."
            ) from None

    def _too_long(self, line: bytes, requests: Mapping[str, LabelRequest]) -> Reply | None:
        """A failure in the place of a reply that is not read: it is paid for, and must not be asked for for ever."""
        found = re.search(rb'[{,]\s*"%b"\s*:\s*"([^"\\]{1,300})"' % self.key_field.encode(), line)
        request = requests.get(found[1].decode(errors="replace")) if found else None
        if request is None:
            return None
        error = f"the reply is longer than {self.limits.max_reply_mb:g} MB (limits.max_reply_mb)"
        return Reply(request, error=error, usage={"unpriced": True})

    @abstractmethod
    async def reply_files(self, client: Any, remote_id: str) -> list[str]:
        """The files with the replies of an ended batch."""

    @abstractmethod
    async def download(self, client: Any, file: str, path: Path) -> None:
        """Fetch a file from the server."""

    @abstractmethod
    def reply_of_entry(self, client: Connection, request: LabelRequest, entry: dict[str, Any]) -> Reply | None:
        """The reply that a line holds, parsed; ``None`` of a request that was not processed. It is untrusted."""

    @abstractmethod
    async def batch_files(self, client: Any, remote_id: str) -> list[str]:
        """The files of a batch: what was sent, and the replies."""

    @abstractmethod
    async def delete_file(self, client: Any, file: str) -> None:
        """Delete a file at the server."""

    async def delete_batch_files(self, client: Any, remote_id: str) -> None:
        """Delete what was sent and the replies. A warning tells where the server does not: the replies are stored."""
        file = ""
        try:
            for file in await self.batch_files(client, remote_id):
                await self.delete_file(client, file)
        except Exception as error:
            what = redacted(file or "its files", client.key)
            _LOG.warning("%s does not delete %s of batch %s.", self.server, what, redacted(remote_id, client.key))
            _LOG.debug("It says: %s", redacted(error, client.key))

    @property
    def _honours_schemas(self) -> bool | None:
        return honours_schemas(urlsplit(self.address).hostname or "", self.model)

    def _as_asked(self, task: Task) -> Task:
        return task.on_server(self._honours_schemas is not False)

    def _leave_room_for_thoughts(self) -> None:
        """Where no length is given, let a model that thinks do so before it replies; called by constructors."""
        if not self._length_is_given and self.thinks:
            self.max_output_tokens += _THOUGHTS

    def _estimate(self, requests: Sequence[LabelRequest], batch: bool) -> float | None:
        sample = requests[:: -(-len(requests) // _SAMPLED) or 1]
        output = self.max_output_tokens
        if not self.thinks:
            output = min(output, self.task.typical_output_tokens)
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
        if not self.task.shows_photos:
            return []
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
            _LOG.warning("%s was asked for %s, and %r answers.", self.server, self.model, redacted(model))

    def _cut_off(self, raw: str, option: str) -> str:
        """The same as ``cut_off``; of a reply that came to its end before it began, ``option`` is named too."""
        if raw.strip() and ("<think" not in raw or "</think" in raw):
            return self.cut_off(raw)
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
