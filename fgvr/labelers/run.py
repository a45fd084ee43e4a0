"""The labelling run: what is missing, asking for it within a budget, and reading the labels back."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from tqdm import tqdm

from fgvr.errors import FgvrError
from fgvr.labelers.base import Labeler, LabelRequest, Reply
from fgvr.labelers.replies import ParsedReply, parse_reply
from fgvr.labelers.store import LabelStore, request_key
from fgvr.records import ImageRecord, LabelRecord

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
    """

    images: int
    requests: int
    stored: int
    failed_before: int
    missing: int
    estimate_usd: float | None
    simulated: bool = False

    @property
    def unasked(self) -> int:
        """Missing requests that no run has tried: those that keep failing must not keep a run from starting."""
        return self.missing - self.failed_before

    def __str__(self) -> str:
        again = f" ({self.failed_before} of them failed before)" if self.failed_before else ""
        cost = "cost unknown" if self.estimate_usd is None else f"about ${self.estimate_usd:.2f}"
        return (
            f"{self.images} photos, {self.requests} requests: {self.stored} stored, {self.missing} to ask{again}, "
            f"{cost}{_SIMULATED * self.simulated}"
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
class LabelSummary:
    """Labels in a few numbers.

    Attributes:
        flags: Flag -> number of photos, the most frequent first; ``""`` is a usable reply.
        unique_names: Number of different names, as spelled.
        cost_usd: What the labels cost, failures included.
        seconds: Time that the requests took, added up.
        simulated: Whether the replies, the dollars and the seconds are made up.
    """

    flags: dict[str, int]
    unique_names: int
    cost_usd: float
    seconds: float
    simulated: bool = False

    def __str__(self) -> str:
        flags = ", ".join(f"{count} {flag or 'usable'}" for flag, count in self.flags.items())
        costs = f"${self.cost_usd:.4f}, {self.seconds:.0f} s{_SIMULATED * self.simulated}"
        return f"{flags}; {self.unique_names} different names; {costs}"


def plan(labeler: Labeler, images: Sequence[ImageRecord], store: LabelStore) -> LabelPlan:
    """Count what is stored and what is missing. Nothing is asked.

    Args:
        labeler: Who is to name the photos.
        images: Photos with digests.
        store: Where replies are kept.

    Raises:
        FgvrError: The labeler cannot label these photos, or the store cannot be read.
    """
    requests, found = _survey(labeler, images, store)
    missing = _missing(requests, found)
    return LabelPlan(
        images=len(images),
        requests=len(requests),
        stored=len(requests) - len(missing),
        failed_before=sum(reply is not None and bool(reply.error) for reply in found),
        missing=len(missing),
        estimate_usd=labeler.estimate_usd(missing) if missing else 0.0,
        simulated=labeler.simulated,
    )


def label(
    labeler: Labeler,
    images: Sequence[ImageRecord],
    store: LabelStore,
    max_cost_usd: float | None = None,
    progress: bool = True,
) -> LabelRun:
    """Ask for what is missing, failures of earlier runs included, and store every reply as it comes.

    Args:
        labeler: Who is to name the photos.
        images: Photos with digests.
        store: Where replies are kept.
        max_cost_usd: US dollars that this run may spend, what earlier runs spent not counted; ``None`` for no limit.
            It holds as long as no reply costs more than the labeler's estimate and than all replies before.
        progress: Show a progress bar on stderr.

    Raises:
        FgvrError: The next request would pass ``max_cost_usd``, the labeler cannot go on, or no photo has a reply.
            Replies that came before are in the store.
    """
    requests, found = _survey(labeler, images, store)
    missing = _missing(requests, found)
    estimate = labeler.estimate_usd(missing) if missing else None
    budget = _Budget(max_cost_usd, estimate / len(missing) if estimate else 0.0)
    identity = labeler.identity()
    asked = failed = 0
    first_error = ""
    with tqdm(total=len(missing), desc="Labelling", unit="photo", disable=not progress) as bar:
        while asked < len(missing):
            size = budget.next_round(len(missing) - asked)
            if size == 0:
                raise FgvrError(
                    f"Labelling stopped before it passes ${max_cost_usd}: this run spent ${budget.spent:.4f}, the next "
                    f"request costs about ${budget.price:.4f}, and {len(missing) - asked} of {len(requests)} requests "
                    "are missing. Every reply is stored and not paid again. To go on, give the same options to: "
                    "fgvr label --data.max_cost_usd DOLLARS"
                )
            for reply in _ask(labeler, missing[asked : asked + size]):
                store.put(identity, reply)
                budget.add(reply.cost_usd)
                if reply.error:
                    failed += 1
                    first_error = first_error or f"{reply.request.image.sample_id}: {reply.error}"
                spent = f"${budget.spent:.4f}{_SIMULATED * labeler.simulated}"
                bar.set_postfix_str(f"{failed} failed, {spent}", refresh=False)
                bar.update()
            asked += size
    if failed == len(requests) > 0:
        raise FgvrError(
            f"None of the {len(images)} photos has a reply of {type(labeler).__name__}. The first failure is "
            f"{first_error}. When that is fixed, run fgvr label with the same options again."
        )
    return LabelRun(asked=asked, failed=failed, cost_usd=budget.spent, first_error=first_error)


def read_labels(labeler: Labeler, images: Sequence[ImageRecord], store: LabelStore) -> list[LabelRecord]:
    """The stored labels of ``images``, in their order; raw replies are parsed now.

    Several answers of one photo become one label: the names of all answers in their order, each once (letter case
    aside); cost and seconds are added up. A photo without any reply has the flag ``"failed"``. Of photos with equal
    bytes, which are asked once, the first one carries the cost and the time.
    """
    requests = [request for image in images for request in _requests_of(labeler, _blind(image))]
    replies = iter(store.get(labeler.identity(), requests))
    labels: list[LabelRecord] = []
    charged: set[str] = set()
    for image in images:
        record = _label_record(image.sample_id, [next(replies) for _ in range(labeler.answers)])
        if image.digest in charged:
            record = replace(record, cost_usd=0.0, seconds=0.0)
        charged.add(image.digest)
        labels.append(record)
    return labels


def summary(labels: Sequence[LabelRecord], simulated: bool = False) -> LabelSummary:
    """Count labels by flag, and add up what they cost."""
    return LabelSummary(
        flags=dict(Counter(record.flag for record in labels).most_common()),
        unique_names=len({name for record in labels for name in record.names}),
        cost_usd=sum(record.cost_usd for record in labels),
        seconds=sum(record.seconds for record in labels),
        simulated=simulated,
    )


class _Budget:
    """Decides how many requests may be sent in one round.

    A labeler may have many requests in flight, and all that were sent are paid for, so the limit must hold before a
    round is sent. Rounds start at one request and double, because an estimate may be too low or missing: the most
    expensive reply so far corrects it. All replies of a round are taken, whatever they cost.
    """

    def __init__(self, limit: float | None, estimate: float) -> None:
        self.limit = limit
        self.price = estimate
        self.spent = 0.0
        self._size = 1

    def next_round(self, missing: int) -> int:
        """Number of requests to send next, 0 when the limit is reached."""
        if self.limit is None:
            return missing
        size = min(self._size, missing)
        self._size *= 2
        if self.price > 0:
            # ten requests of $0.10 fit in $1.00, whatever binary fractions make of it
            size = min(size, max(0, int((self.limit - self.spent) / self.price + 1e-9)))
        return size

    def add(self, cost_usd: float) -> None:
        """Count what one reply cost."""
        self.spent += cost_usd
        self.price = max(self.price, cost_usd)


def _blind(image: ImageRecord) -> ImageRecord:
    return replace(image, true_name=None)


def _requests_of(labeler: Labeler, image: ImageRecord) -> list[LabelRequest]:
    return [LabelRequest(image, labeler.prompt, index) for index in range(labeler.answers)]


def _survey(
    labeler: Labeler, images: Sequence[ImageRecord], store: LabelStore
) -> tuple[list[LabelRequest], list[Reply | None]]:
    """The requests that ``images`` need, equal photos once, and what is stored for each."""
    blind = [_blind(image) for image in images]
    labeler.check_images(blind)
    first_of_digest: dict[str, ImageRecord] = {}
    for image in blind:
        first_of_digest.setdefault(image.digest, image)
    requests = [request for image in first_of_digest.values() for request in _requests_of(labeler, image)]
    return requests, store.get(labeler.identity(), requests)


def _missing(requests: Sequence[LabelRequest], found: Sequence[Reply | None]) -> list[LabelRequest]:
    return [request for request, reply in zip(requests, found, strict=True) if reply is None or reply.error]


def _ask(labeler: Labeler, requests: Sequence[LabelRequest]) -> Iterator[Reply]:
    """The replies of ``labeler``, watched: exactly one for each of ``requests``.

    Raises:
        FgvrError: The labeler breaks its contract.
    """
    open_keys = {request_key({}, request) for request in requests}
    for reply in labeler.ask(requests):
        key = request_key({}, reply.request)
        if key not in open_keys:
            raise FgvrError(
                f"{type(labeler).__name__} replied for {reply.request.image.sample_id!r}, answer "
                f"{reply.request.sample_index}, twice or unasked. Check it with fgvr.testing.labelers.check_labeler."
            )
        open_keys.remove(key)
        yield reply
    if open_keys:
        raise FgvrError(
            f"{type(labeler).__name__} left {len(open_keys)} of {len(requests)} requests without a reply; the others "
            "are stored. Check it with fgvr.testing.labelers.check_labeler."
        )


def _label_record(sample_id: str, replies: Sequence[Reply | None]) -> LabelRecord:
    """One label of all answers of one photo."""
    known = [reply for reply in replies if reply is not None]
    answers = [reply for reply in known if not reply.error]
    parsed = [_parsed(reply) for reply in answers]
    names: dict[str, str] = {}
    scientific_names: dict[str, str | None] = {}
    for answer in parsed:
        for name, scientific_name in zip(answer.names, answer.scientific_names, strict=True):
            key = name.casefold()
            names.setdefault(key, name)
            scientific_names[key] = scientific_names.get(key) or scientific_name
    return LabelRecord(
        sample_id=sample_id,
        names=tuple(names.values()),
        scientific_names=tuple(scientific_names.values()),
        flag="" if names else next((answer.flag for answer in parsed), "failed"),
        raw="\n\n".join(reply.raw for reply in answers),
        model=next((reply.model for reply in answers if reply.model), ""),
        cost_usd=sum(reply.cost_usd for reply in known),
        seconds=sum(reply.seconds for reply in known),
    )


def _parsed(reply: Reply) -> ParsedReply:
    if reply.names is None:
        return parse_reply(reply.raw)
    return ParsedReply(
        names=reply.names, scientific_names=(None,) * len(reply.names), flag="" if reply.names else "empty"
    )
