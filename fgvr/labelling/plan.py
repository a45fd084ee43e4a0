"""A labelling run in a few numbers: what it would do, what it did, and what came out."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fgvr.records import LabelRecord
from fgvr.text import counted, verb
from fgvr.vocabulary.build import fold_name

_SIMULATED = " (simulated)"


@dataclass(frozen=True)
class LabelPlan:
    """What a labelling run would do.

    Attributes:
        images: Photos given.
        requests: Questions that they need: one for each answer of each photo, equal photos once.
        stored: Requests whose reply is in the store.
        failed_before: Requests that failed in earlier runs, and no run succeeded; they are among ``missing``.
        missing: Requests to be asked.
        estimate_usd: What the missing ones are expected to cost; ``None`` where the labeler does not know.
        simulated: Whether the replies and the dollars are made up.
        exhausted: Requests that failed so often that they are not asked again.
        follow_ups: Further requests that depend on replies which are still missing, at most.
        follow_ups_usd: What those are expected to cost, at most; ``None`` where the labeler does not know.
        waiting: Requests among ``missing`` that were sent by batch, and whose replies are to be collected.
        unit: What they are about, where that is not photos.
    """

    images: int
    requests: int
    stored: int
    failed_before: int
    missing: int
    estimate_usd: float | None
    simulated: bool = False
    exhausted: int = 0
    follow_ups: int = 0
    follow_ups_usd: float | None = 0.0
    waiting: int = 0
    unit: str = "photo"

    @property
    def unasked(self) -> int:
        """Missing requests that no run has tried: those that keep failing must not keep a run from starting."""
        return self.missing - self.failed_before

    def __str__(self) -> str:
        again = f" ({self.failed_before} of them failed before)" if self.failed_before else ""
        never = f", {self.exhausted} given up (to ask again: `fgvr store retry-failed`)" if self.exhausted else ""
        again += f" ({self.waiting} of them sent by batch)" if self.waiting else ""
        follow_ups = f"; then up to {self.follow_ups} more, {_dollars(self.follow_ups_usd)}" if self.follow_ups else ""
        return (
            f"{counted(self.images, self.unit)}, {counted(self.requests, 'request')}: "
            f"{self.stored} stored, {self.missing} to ask{again}{never}, "
            f"{_dollars(self.estimate_usd)}{follow_ups}{_SIMULATED * self.simulated}"
        )


@dataclass(frozen=True)
class LabelRun:
    """What a labelling run did.

    Attributes:
        asked: Requests sent.
        failed: Those among them that got no reply.
        cost_usd: What they cost together.
        first_error: Photo and reason of the first failure; ``""`` where none failed.
    """

    asked: int
    failed: int
    cost_usd: float
    first_error: str


@dataclass(frozen=True)
class FollowUps:
    """What asking again came to.

    Attributes:
        images: Photos that were asked about again.
        requests: Requests that this took.
        cost_usd: What they cost, failures included.
        renamed: Photos that have a new name; those that had none are among them.
        names_before: How many different first names there were before; spellings of one name are one.
        names: How many there are.
    """

    images: int
    requests: int
    cost_usd: float
    renamed: int
    names_before: int
    names: int

    def __str__(self) -> str:
        return (
            f"asked again about {counted(self.images, 'photo')}: {counted(self.requests, 'request')}, "
            f"${self.cost_usd:.4f}; {self.renamed} {verb(self.renamed, 'has', 'have')} a new name, "
            f"{self.names_before} different first names before and {self.names} after"
        )


@dataclass(frozen=True)
class LabelSummary:
    """Labels in a few numbers.

    Attributes:
        flags: Flag -> number of photos, the most frequent first; ``""`` is a usable reply.
        unique_names: Number of different names, as spelled.
        cost_usd: What the labels cost, failures included.
        seconds: Time that the requests took, added up.
        simulated: Whether the replies, the dollars and the seconds are made up.
        follow_ups: What asking again came to; ``None`` where no photo was asked about again.
    """

    flags: dict[str, int]
    unique_names: int
    cost_usd: float
    seconds: float
    simulated: bool = False
    follow_ups: FollowUps | None = None

    def __str__(self) -> str:
        flags = ", ".join(f"{count} {flag or 'usable'}" for flag, count in self.flags.items())
        costs = f"${self.cost_usd:.4f}, {self.seconds:.0f} s"
        again = f"; {self.follow_ups}" if self.follow_ups else ""
        return f"{flags}; {counted(self.unique_names, 'different name')}; {costs}{again}{_SIMULATED * self.simulated}"


def summary(labels: Sequence[LabelRecord], simulated: bool = False) -> LabelSummary:
    """Count labels by flag, and add up what they cost."""
    return LabelSummary(
        flags=dict(Counter(record.flag for record in labels).most_common()),
        unique_names=len({name for record in labels for name in record.names}),
        cost_usd=sum(record.cost_usd for record in labels),
        seconds=sum(record.seconds for record in labels),
        simulated=simulated,
        follow_ups=count_follow_ups(labels),
    )


def count_follow_ups(labels: Sequence[LabelRecord]) -> FollowUps | None:
    """What asking again came to; ``None`` where no photo was asked about again."""
    again = [label for label in labels if label.name_before is not None]
    if not again:
        return None
    now = [fold_name(label.names[0]) if label.names else "" for label in labels]
    before = [
        name if label.name_before is None else fold_name(label.name_before)
        for name, label in zip(now, labels, strict=True)
    ]
    return FollowUps(
        images=len(again),
        requests=sum(label.follow_ups for label in again),
        cost_usd=sum(label.follow_ups_usd for label in again),
        renamed=sum(a != b and not label.corrected for a, b, label in zip(before, now, labels, strict=True)),
        names_before=len({*before} - {""}),
        names=len({*now} - {""}),
    )


def add_plans(plans: Sequence[LabelPlan], images: int) -> LabelPlan:
    """What several plans come to, for ``images`` photos in all."""
    return LabelPlan(
        images=images,
        requests=sum(each.requests for each in plans),
        stored=sum(each.stored for each in plans),
        failed_before=sum(each.failed_before for each in plans),
        missing=sum(each.missing for each in plans),
        estimate_usd=add_dollars(each.estimate_usd for each in plans),
        simulated=any(each.simulated for each in plans),
        exhausted=sum(each.exhausted for each in plans),
        waiting=sum(each.waiting for each in plans),
        follow_ups=sum(each.follow_ups for each in plans),
        follow_ups_usd=add_dollars(each.follow_ups_usd for each in plans),
    )


def add_dollars(estimates: Iterable[float | None]) -> float | None:
    """The sum, ``None`` where one of them is not known."""
    total = 0.0
    for estimate in estimates:
        if estimate is None:
            return None
        total += estimate
    return total


def _dollars(estimate: float | None) -> str:
    return "cost unknown" if estimate is None else f"about ${estimate:.2f}"
