"""A labeler for tests: replies from memory."""

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from fgvr.labelers.base import Labeler
from fgvr.labelers.tasks.wording import PAPER_PROMPT
from fgvr.records import LabelRequest, Reply


class TinyLabeler(Labeler):
    """Replies from a mapping, the same every time; what it was asked is in ``asked``.

    Args:
        replies: ``sample_id`` to the raw reply, or to one raw reply an answer. A photo that is not here fails.
        failing: ``sample_id`` of photos that fail though they have a reply. The caller may change it between runs.
        price_usd: Cost of each request, failed ones included.
        estimated_price_usd: What ``estimate_usd`` says a request costs; ``None`` for ``price_usd``.
        prompt: What is asked of each photo.
        answers: How many answers are wanted for a photo.

    Attributes:
        asked: Every request so far.

    Example:
        >>> from pathlib import Path
        >>> from fgvr.records import ImageRecord
        >>> labeler = TinyLabeler({"a.jpg": "A beagle."})
        >>> request = LabelRequest(ImageRecord(sample_id="a.jpg", path=Path("a.jpg"), split="support"), labeler.prompt)
        >>> next(labeler.ask([request])).raw
        'A beagle.'
        >>> len(labeler.asked)
        1
    """

    def __init__(
        self,
        replies: Mapping[str, str | Sequence[str]],
        failing: Collection[str] = (),
        price_usd: float = 0.0,
        estimated_price_usd: float | None = None,
        prompt: str = PAPER_PROMPT,
        answers: int = 1,
    ) -> None:
        super().__init__(prompt, answers)
        self.replies = replies
        self.failing = failing
        self.price_usd = price_usd
        self.estimated_price_usd = price_usd if estimated_price_usd is None else estimated_price_usd
        self.asked: list[LabelRequest] = []

    def identity(self) -> dict[str, Any]:
        """The digest of the replies."""
        content = json.dumps(dict(self.replies), sort_keys=True)
        return {"labeler": "tiny", "replies_sha256": hashlib.sha256(content.encode()).hexdigest()}

    def ask(self, requests: Sequence[LabelRequest]) -> Iterator[Reply]:
        """Yield the replies in the order of ``requests``."""
        for request in requests:
            self.asked.append(request)
            sample_id = request.image.sample_id
            if sample_id in self.failing or sample_id not in self.replies:
                yield Reply(request, error=f"no reply for {sample_id!r}", cost_usd=self.price_usd)
            else:
                reply = self.replies[sample_id]
                raw = reply if isinstance(reply, str) else reply[request.answer]
                yield Reply(request, raw=raw, model="tiny", cost_usd=self.price_usd)

    def estimate_usd(self, requests: Sequence[LabelRequest]) -> float:
        """The estimated price of each request, added up."""
        return self.estimated_price_usd * len(requests)
