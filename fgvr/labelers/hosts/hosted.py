"""What the labelers of paid servers have in common: prices, estimates and the checks of their options."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from PIL import Image

from fgvr.errors import FgvrError
from fgvr.labelers.asking.limits import Limits
from fgvr.labelers.base import LabelRequest
from fgvr.labelers.batch import BatchLabeler
from fgvr.labelers.hosts.prices import PriceList, Tokens
from fgvr.labelers.pictures import PictureOptions
from fgvr.labelers.remote import Question
from fgvr.labelers.tasks.base import Task

_SAMPLED = 50
_TYPICAL_OUTPUT = 60  # of a reply that names a class: the median of the recorded ones is shorter, JSON is longer
_OVERHEAD = 100  # what a server puts around a prompt
_THOUGHTS = 1000


class HostedLabeler(BatchLabeler):
    """A labeler whose server bills by tokens.

    Args:
        model: Model id.
        prices: What its tokens cost.
        base_url: The server, where it is not the provider's own.
        task: What is asked; ``name`` with the FGVR paper's prompt if not given.
        prompt: Other words than the task's own.
        answers: How many answers are wanted for a photo.
        pictures: How photos are re-encoded before they are sent.
        max_output_tokens: Longest reply; the task's own number if not given.
        limits: How fast the server may be asked.

    Raises:
        FgvrError: ``base_url`` is no address, or holds a password or a query.
    """

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
        if base_url is not None:
            _check_url(base_url)

    @property
    @abstractmethod
    def thinks(self) -> bool:
        """Whether the model spends hidden tokens before it replies, so that a reply may take all it is allowed."""

    @abstractmethod
    def image_tokens(self, width: int, height: int) -> tuple[float, float]:
        """Expected tokens of a picture, and the most that it may have; width and height in pixels."""

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


def _check_url(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise FgvrError(f"data.labeler.base_url is {url!r}; expected an address such as http://localhost:8000/v1.")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise FgvrError(
            "data.labeler.base_url holds a user name, a password or a query, which would be stored with every reply; "
            "expected scheme, host, port and path alone. Keys come from the environment."
        )
