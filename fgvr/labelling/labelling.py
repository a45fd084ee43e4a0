"""The labelling run: what is missing, asking for it within a budget, and reading the labels back."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fgvr.errors import FgvrError
from fgvr.labelers.asking.budget import Budget
from fgvr.labelers.base import Labeler
from fgvr.labelers.combined import CombinedLabeler
from fgvr.labelers.model import ModelLabeler
from fgvr.labelling.plan import LabelPlan, LabelRun, add_dollars, add_plans
from fgvr.labelling.requests import (
    Asker,
    ask_requests,
    plan_requests,
    requests_about,
    requests_for,
    without_truth,
)
from fgvr.labelling.store.corrections import correct
from fgvr.labelling.store.keys import canonical
from fgvr.labelling.store.label_store import LabelStore
from fgvr.labelling.stored_replies import stored_replies
from fgvr.records import ImageRecord, LabelRecord, LabelRequest, Reply, Space
from fgvr.registry import LABELERS
from fgvr.text import counted, none_of

Features = Callable[[Sequence[ImageRecord], Space], NDArray[np.float32]]
"""L2-normalised image features of photos in a space, shape ``(N, D)``, for labelers that look at neighbours."""


def plan(
    labeler: Labeler, images: Sequence[ImageRecord], store: LabelStore, features: Features | None = None
) -> LabelPlan:
    """Count what is stored and what is missing. Nothing is asked.

    Args:
        labeler: Who is to name the photos.
        images: Photos with digests.
        store: Where replies are kept.
        features: Image features, for labelers that look at neighbours.

    Raises:
        FgvrError: The labeler cannot label these photos, or the store cannot be read.
    """
    labeler.check_images([without_truth(image) for image in images])
    return _plan(labeler, images, store, features)


@dataclass(frozen=True)
class NeededRequests:
    """What one labeler is to be asked, whether its replies are stored or not.

    Attributes:
        labeler: No combined one.
        requests: Each once.
        follow_ups: Whether it depends on replies that are missing which of them will be asked.
    """

    labeler: Labeler
    requests: tuple[LabelRequest, ...]
    follow_ups: bool = False


def needed_requests(
    labeler: Labeler, images: Sequence[ImageRecord], store: LabelStore, features: Features | None = None
) -> list[NeededRequests]:
    """What the labels of ``images`` need; nothing is asked.

    Args:
        labeler: Who is to name the photos.
        images: Photos with digests.
        store: Where replies are kept.
        features: Image features, for labelers that look at neighbours.

    Returns:
        One entry a part of a combined labeler.

    Raises:
        FgvrError: The labeler cannot label these photos, or the store cannot be read.
    """
    labeler.check_images([without_truth(image) for image in images])
    return _needed(labeler, images, store, features)


def label(
    labeler: Labeler,
    images: Sequence[ImageRecord],
    store: LabelStore,
    max_cost_usd: float | None = None,
    progress: bool = True,
    features: Features | None = None,
    asker: Asker | None = None,
) -> LabelRun:
    """Ask for what is missing, failures of earlier runs included, and store every reply as it comes.

    Args:
        labeler: Who is to name the photos.
        images: Photos with digests.
        store: Where replies are kept.
        max_cost_usd: US dollars that this run may spend, what earlier runs spent not counted; ``None`` for no limit.
            With a remote labeler a hard cap; with others it holds as long as no reply costs more than the labeler's
            estimate and than all replies before. An ``asker`` is asked for no more once the next reply would pass it.
        progress: Show a progress bar on stderr.
        features: Image features, for labelers that look at neighbours.
        asker: Asks in another way than the labeler's own.

    Raises:
        FgvrError: The next request would pass ``max_cost_usd``, the labeler cannot go on, or no photo has a reply.
            Replies that came before are in the store.
    """
    labeler.check_images([without_truth(image) for image in images])
    run = _label(labeler, images, store, Budget(max_cost_usd), progress, features, asker)
    if images and run.failed == run.asked and not (now := _plan(labeler, images, store, None)).stored:
        exhausted = now.exhausted
        why = f" The first failure is {run.first_error.rstrip('.')}." if run.failed else ""
        again = (
            f" {counted(exhausted, 'request was', 'requests were')} given up: let them be asked again with `fgvr "
            "store retry-failed`."
            if exhausted
            else ""
        )
        raise FgvrError(
            f"{none_of(len(images), 'photo')} has a reply of {LABELERS.short_name(type(labeler))}.{why}{again} When "
            "what is wrong is mended, label with the same options again."
        )
    return run


def read_labels(
    labeler: Labeler, images: Sequence[ImageRecord], store: LabelStore, features: Features | None = None
) -> list[LabelRecord]:
    """The stored labels of ``images``, in their order; raw replies are parsed now, and a person's corrections applied.

    Several answers of one photo become one label: the names of all answers in their order, each once (letter case
    aside); cost and seconds are added up. A photo without any reply has the flag ``"failed"``. Of photos with equal
    bytes, and of those with equal texts, which are asked once, the first one carries the requests, their cost and their
    time.

    Args:
        labeler: Who has named the photos.
        images: Photos with digests.
        store: Where replies are kept.
        features: Image features, for labelers that look at neighbours.
    """
    if isinstance(labeler, CombinedLabeler):
        columns: list[list[LabelRecord | None]] = []
        for together in labeler.rounds:
            columns += _read(_round(labeler, together, columns, images, features), images, store, features)
        combined = labeler.combine(columns) if images else []
        chosen = _follows_up(labeler) and labeler.asks_again
        return [
            _with_requests(_as_corrected(record, [parts[number] for number in labeler.naming]), parts, chosen)
            for record, *parts in zip(combined, *columns, strict=True)
        ]
    requests = [request for image in images for request in requests_about(labeler, image)]
    firsts = requests[:: labeler.answers]
    found, keys = stored_replies(labeler, requests, store)
    replies = iter(found)
    labels: list[LabelRecord] = []
    charged: set[str] = set()
    for request in firsts:
        asked = request.image
        record = _label_record(labeler, asked.sample_id, [next(replies) for _ in range(labeler.answers)])
        if asked.digest in charged:
            record = replace(record, cost_usd=0.0, seconds=0.0, requests=0)
        charged.add(asked.digest)
        labels.append(record)
    return correct(labels, keys[:: labeler.answers], store)


def _plan(labeler: Labeler, images: Sequence[ImageRecord], store: LabelStore, features: Features | None) -> LabelPlan:
    if isinstance(labeler, CombinedLabeler):
        return _plan_parts(labeler, images, store, features)
    return plan_requests(labeler, requests_for(labeler, images), store, len(images))


def _needed(
    labeler: Labeler, images: Sequence[ImageRecord], store: LabelStore, features: Features | None
) -> list[NeededRequests]:
    if not isinstance(labeler, CombinedLabeler):
        return [NeededRequests(labeler, tuple(requests_for(labeler, images)))]
    needed: list[NeededRequests] = []
    columns: list[list[LabelRecord | None]] = []
    for together in labeler.rounds:
        if _follows_up(labeler) and any(plan_requests(p.labeler, p.requests, store, 0).unasked for p in needed):
            parts = (labeler.part(each, columns) for each in range(together.start, len(labeler.parts)))
            later = [each for part in parts for each in _needed(part, images, store, features)]
            return [*needed, *(replace(each, follow_ups=True) for each in later)]
        asked = _round(labeler, together, columns, images, features)
        needed += [each for one in asked for each in _needed(one.labeler, one.images(images), store, features)]
        columns += _read(asked, images, store, features)
    return needed


def _label(
    labeler: Labeler,
    images: Sequence[ImageRecord],
    store: LabelStore,
    budget: Budget,
    progress: bool,
    features: Features | None,
    asker: Asker | None,
) -> LabelRun:
    if not isinstance(labeler, CombinedLabeler):
        return ask_requests(labeler, requests_for(labeler, images), store, budget, progress, asker)
    runs: list[LabelRun] = []
    columns: list[list[LabelRecord | None]] = []
    for together in labeler.rounds:
        asked = _round(labeler, together, columns, images, features)
        for alike in _asked_alike(asked):
            if len(alike) == 1:
                part, mine = alike[0].labeler, alike[0].images(images)
                runs.append(_label(part, mine, store, budget, progress, features, asker))
                continue
            requests = (request for one in alike for request in requests_for(one.labeler, one.images(images)))
            distinct = {(each.image.digest, each.prompt, each.answer): each for each in requests}
            runs.append(ask_requests(alike[0].labeler, [*distinct.values()], store, budget, progress, asker))
        columns += _read(asked, images, store, features)
    return LabelRun(
        asked=sum(run.asked for run in runs),
        failed=sum(run.failed for run in runs),
        cost_usd=sum(run.cost_usd for run in runs),
        first_error=next((run.first_error for run in runs if run.first_error), ""),
    )


def _plan_parts(
    labeler: CombinedLabeler, images: Sequence[ImageRecord], store: LabelStore, features: Features | None
) -> LabelPlan:
    """The plans of the parts, added up.

    Which photos a later part is asked about can be told once the earlier ones have replied to all; before that, all
    photos that it may concern are counted apart.
    """
    plans: list[LabelPlan] = []
    columns: list[list[LabelRecord | None]] = []
    for together in labeler.rounds:
        if any(earlier.unasked for earlier in plans) and _follows_up(labeler):
            parts = (labeler.part(each, columns) for each in range(together.start, len(labeler.parts)))
            later = [_plan(part, images, store, features) for part in parts]
            follow_ups = sum(each.missing for each in later)
            return replace(
                add_plans(plans, len(images)),
                follow_ups=follow_ups,
                follow_ups_usd=add_dollars(p.estimate_usd for p in later),
            )
        asked = _round(labeler, together, columns, images, features)
        plans += [_plan(one.labeler, one.images(images), store, features) for one in asked]
        columns += _read(asked, images, store, features)
    return add_plans(plans, len(images))


@dataclass(frozen=True)
class _Asked:
    """A part of a combined labeler, and the numbers of the photos that it is asked about."""

    labeler: Labeler
    rows: Sequence[int]

    def images(self, images: Sequence[ImageRecord]) -> list[ImageRecord]:
        return [images[row] for row in self.rows]


def _round(
    labeler: CombinedLabeler,
    together: Sequence[int],
    columns: Sequence[Sequence[LabelRecord | None]],
    images: Sequence[ImageRecord],
    features: Features | None,
) -> list[_Asked]:
    """The parts of a round, given what those of earlier rounds said."""
    return [
        _Asked(labeler.part(number, columns), _wanted_rows(labeler, number, columns, images, features))
        for number in together
    ]


def _read(
    asked: Sequence[_Asked], images: Sequence[ImageRecord], store: LabelStore, features: Features | None
) -> list[list[LabelRecord | None]]:
    """What the parts of a round have said: a column for each."""
    return [_column(one.rows, read_labels(one.labeler, one.images(images), store, features), images) for one in asked]


def _asked_alike(asked: Sequence[_Asked]) -> list[list[_Asked]]:
    """The parts of a round, those together that differ in the prompt alone: one run asks them, loads weights once.

    Only of models, which see nothing but the request.
    """
    alike: dict[str, list[_Asked]] = {}
    for number, one in enumerate(asked):
        by_prompt = isinstance(one.labeler, ModelLabeler) and len(asked) > 1
        alike.setdefault(canonical(one.labeler.identity()) if by_prompt else str(number), []).append(one)
    return list(alike.values())


def _follows_up(labeler: CombinedLabeler) -> bool:
    """Whether what earlier parts reply says which photos later ones are asked about."""
    return type(labeler).wanted is not CombinedLabeler.wanted


def _wanted_rows(
    labeler: CombinedLabeler,
    number: int,
    columns: Sequence[Sequence[LabelRecord | None]],
    images: Sequence[ImageRecord],
    features: Features | None,
) -> list[int]:
    """Numbers of the photos that a part is asked about."""
    if not columns or not images:
        return list(range(len(images)))
    vectors = features(images, labeler.space) if features is not None and labeler.needs_features else None
    return [row for row, wanted in enumerate(labeler.wanted(number, columns, vectors)) if wanted]


def _column(
    rows: Sequence[int], labels: Sequence[LabelRecord], images: Sequence[ImageRecord]
) -> list[LabelRecord | None]:
    """One entry per photo: the label of those that a part was asked about."""
    column: list[LabelRecord | None] = [None] * len(images)
    for row, record in zip(rows, labels, strict=True):
        column[row] = record
    return column


def _as_corrected(combined: LabelRecord, parts: Sequence[LabelRecord | None]) -> LabelRecord:
    """The combined label, or what a person said of a part's reply: that is not put to the vote."""
    person = next((part for part in parts if part is not None and part.corrected), None)
    return combined if person is None else replace(person, cost_usd=combined.cost_usd, seconds=combined.seconds)


def _with_requests(label: LabelRecord, parts: Sequence[LabelRecord | None], follows_up: bool) -> LabelRecord:
    """The combined label with the requests of its parts; those of later ones are follow-ups, or one opinion of many."""
    known = [part for part in parts if part is not None]
    again = known[1:] if follows_up else []
    before = known[0].name_before if follows_up else None
    if again and before is None:
        before = next(iter(known[0].names), "")
    others = known[: len(known) - len(again)]
    return replace(
        label,
        requests=sum(part.requests for part in known),
        follow_ups=sum(part.follow_ups for part in others) + sum(part.requests for part in again),
        follow_ups_usd=sum(part.follow_ups_usd for part in others) + sum(part.cost_usd for part in again),
        name_before=before,
    )


def _label_record(labeler: Labeler, sample_id: str, replies: Sequence[Reply | None]) -> LabelRecord:
    """One label of all answers of one photo."""
    known = [reply for reply in replies if reply is not None]
    answers = [reply for reply in known if not reply.error]
    parsed = [labeler.read(reply) for reply in answers]
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
        requests=len(known),
        confidence=next((answer.confidence for answer in parsed if answer.confidence is not None), None),
        alternatives=tuple(dict.fromkeys(name for answer in parsed for name in answer.alternatives)),
        genus=next((answer.genus for answer in parsed if answer.names), None),
        individual=next((answer.individual for answer in parsed if answer.names), ""),
        doubtful=next((answer.doubtful for answer in parsed if answer.names), False),
    )
