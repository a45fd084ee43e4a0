"""Agreement between labelers."""

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from fgvr.errors import FgvrError
from fgvr.labelers.base import Labeler
from fgvr.labelers.combined import CombinedLabeler, first_classes
from fgvr.records import LabelRecord

_DIGITS = 9
"""Weights such as 0.1 + 0.2 and 0.3 are equal, whatever binary fractions make of them."""


class VoteLabeler(CombinedLabeler):
    """Several labelers vote: the name that most weight stands for, by the first name of each.

    Names are one where the vocabulary would join them: spellings of one name, and names that share a scientific name.
    Among names of equal weight the one wins that the earlier labeler gave. It is shown as the first labeler that gave
    it spells it. ``confidence`` is the share of the weight that stands for it, ``raw`` has the replies of all.

    Labelers that reply nothing usable vote for no name, and their weight counts against every name.

    Args:
        labelers: Two or more; replies that are stored already are not asked for again.
        weights: One for each labeler, above 0; all alike if not given.
        min_agreement: Share of the weight, in [0, 1], that must stand for a name. Where less does, the photo has no
            name and the flag ``"unsure"``: its candidates are the names of its neighbours.
        keep_all: Keep the names that lost, by falling weight, as further names: they enter the vocabulary and the
            candidate sets of ``mllm_direct``. They are ``alternatives`` otherwise.

    Raises:
        FgvrError: There are fewer than two labelers, not one positive weight for each, or ``min_agreement`` is outside
            [0, 1].

    Example:
        >>> from pathlib import Path
        >>> from fgvr.labelers.fixed import FixedLabeler
        >>> vote = VoteLabeler([FixedLabeler(Path(f"{who}.csv")) for who in ("anna", "ben", "cleo")])
        >>> columns = [[LabelRecord("a.jpg", (name,))] for name in ("Pug", "Boxer", "boxer")]
        >>> vote.combine(columns)[0].names
        ('Boxer',)
    """

    def __init__(
        self,
        labelers: list[Labeler],
        weights: list[float] | None = None,
        min_agreement: float = 0.0,
        keep_all: bool = False,
    ) -> None:
        if len(labelers) < 2:
            raise FgvrError(f"data.labeler.labelers has {len(labelers)}; a vote needs 2 or more.")
        super().__init__(labelers)
        if weights is not None and (len(weights) != len(labelers) or not all(0 < w < math.inf for w in weights)):
            raise FgvrError(
                f"data.labeler.weights is {weights}; expected {len(labelers)} numbers above 0, one a labeler."
            )
        if not 0 <= min_agreement <= 1:
            raise FgvrError(f"data.labeler.min_agreement is {min_agreement}; expected a share, from 0 to 1.")
        self.labelers = labelers
        self.weights = weights
        self.min_agreement = min_agreement
        self.keep_all = keep_all

    def identity(self) -> dict[str, Any]:
        """The parts, and how they vote."""
        return {
            "labeler": "vote",
            **super().identity(),
            "weights": self._shares(),
            "min_agreement": float(self.min_agreement),
            "keep_all": self.keep_all,
        }

    def combine(self, labels: Sequence[Sequence[LabelRecord | None]]) -> list[LabelRecord]:
        """See the base class."""
        classes = first_classes(labels).T.tolist()
        return [self._label(said, numbers) for said, numbers in zip(zip(*labels, strict=True), classes, strict=True)]

    def _label(self, said: Sequence[LabelRecord | None], classes: Sequence[int]) -> LabelRecord:
        """The label of one photo, from what each labeler said and the number of its first name, -1 for none."""
        voters: dict[int, list[LabelRecord]] = defaultdict(list)
        votes: dict[int, float] = defaultdict(float)
        for label, number, share in zip(said, classes, self._shares(), strict=True):
            if label is not None and number >= 0:
                voters[number].append(label)
                votes[number] += share
        # stable, so that among equals the name of the earlier labeler is first
        ranked = sorted(votes, key=lambda number: -round(votes[number], _DIGITS))
        names = tuple(voters[number][0].names[0] for number in ranked)
        latin = tuple(next((s for label in voters[n] for s in label.scientific_names[:1] if s), None) for n in ranked)
        agreement = votes[ranked[0]] if ranked else 0.0
        kept = 0 if agreement < self.min_agreement - 10**-_DIGITS else len(names) if self.keep_all else 1
        known = [(part, label) for part, label in zip(self.parts, said, strict=True) if label is not None]
        replies = [label for _, label in known]
        return LabelRecord(
            sample_id=replies[0].sample_id,
            names=names[:kept],
            scientific_names=latin[:kept],
            flag=_flag(replies) if not names else "" if kept else "unsure",
            raw="\n\n".join(
                f"[{label.model or type(part).__name__}]\n{label.raw}" for part, label in known if label.raw
            ),
            model=", ".join(dict.fromkeys(label.model for label in replies if label.model)),
            cost_usd=sum(label.cost_usd for label in replies),
            seconds=sum(label.seconds for label in replies),
            confidence=min(agreement, 1.0) if names else None,
            alternatives=names[kept:],
            genus=next((label.genus for number in ranked[:kept] for label in voters[number] if label.genus), None),
        )

    def _shares(self) -> list[float]:
        weights = self.weights or [1.0] * len(self.parts)
        return [weight / sum(weights) for weight in weights]


def _flag(labels: Sequence[LabelRecord]) -> str:
    """Why there is no name: what the first labeler that replied at all says."""
    return next((label.flag for label in labels if label.flag not in ("", "failed")), "failed")
