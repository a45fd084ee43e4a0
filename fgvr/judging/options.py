"""What is judged, and in which requests."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from fgvr.errors import FgvrError

Order = Literal["shuffled", "sorted"]
Empty = Literal["correct", "skip"]


@dataclass(frozen=True)
class JudgeOptions:
    """What is judged, and in which requests.

    Args:
        split: Split of the photos; the one that a test evaluates if not given. Of ``support``, those that
            ``data.shots`` or ``data.support_size`` draw.
        photos: Judge so many photos, drawn by ``seed``; all if not given.
        photos_per_request: How many photos are shown in a request. Some models answer worse about later ones.
        order: ``shuffled`` by ``seed``, as the protocols want it; ``sorted`` puts photos of one class together, which
            inflates the accuracy of requests with several photos: to measure that effect, and marked in the result.
        seed: Of the order of photos and of what a protocol draws. Another one asks other requests.
        repeats: How often each photo is asked about, each time in another order and with other draws.
        truth: Table of labels, where photos have several or none: a CSV with the columns ``sample_id`` and
            ``class_name``, a row for each label of a photo, an empty name for a photo without any. The data set's names
            if not given.
        equivalents: Pairs of classes of which each is right for the other: a CSV with the columns ``name`` and
            ``equivalent``.
        empty: Photos without any label: ``correct`` whatever is answered (ReGT), or ``skip`` them (ReaL).

    Raises:
        FgvrError: A value is out of range.
    """

    split: str | None = None
    photos: int | None = None
    photos_per_request: int = 1
    order: Order = "shuffled"
    seed: int = 0
    repeats: int = 1
    truth: Path | None = None
    equivalents: Path | None = None
    empty: Empty = "correct"

    def __post_init__(self) -> None:
        for key in ("photos", "photos_per_request", "repeats"):
            if (value := getattr(self, key)) is not None and value < 1:
                raise FgvrError(f"judge.{key} is {value}; expected 1 or more.")
        for key, known in (("order", Order), ("empty", Empty)):
            if (value := getattr(self, key)) not in get_args(known):
                raise FgvrError(f"judge.{key} is {value!r}; expected one of {', '.join(get_args(known))}.")
