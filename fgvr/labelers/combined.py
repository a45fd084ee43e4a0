"""The contract of a labeler that is made of others."""

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from copy import copy
from dataclasses import replace
from functools import lru_cache
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from fgvr.labelers.base import Labeler
from fgvr.records import ImageRecord, LabelRecord, LabelRequest, Reply, Space
from fgvr.vocabulary.build import build_vocabulary, fold_name, labels_as_indices

TextFeatures = Callable[[tuple[str, ...]], NDArray[np.float32]]
"""L2-normalised features of texts, shape ``(M, D)``."""


class CombinedLabeler(Labeler):
    """A labeler made of others.

    Its own replies are never stored: the parts' are, each under the part's identity, so that what one labeler has
    said is paid for once, whoever it is combined with. Labels are combined anew each time they are read.

    Args:
        parts: The labelers, in the order in which they are asked.
    """

    needs_features: bool = False
    """Whether ``wanted`` looks at image features."""
    space: Space = "visual"
    """Which image features these are."""
    compares_names: bool = False
    """Whether what a part is asked depends on the names of all photos that are asked about together."""
    asks_again: bool = True
    """Whether parts that ``wanted`` chooses photos for give another opinion on these; else they ask something else."""
    text_features: TextFeatures | None = None
    """Gives text features to what is asked of a part; ``None`` where there are none."""

    def __init__(self, parts: Sequence[Labeler]) -> None:
        super().__init__()
        self.parts = tuple(parts)
        # of any other labeler the class says it
        self.simulated = any(part.simulated for part in self.parts)  # type: ignore[misc]

    def identity(self) -> dict[str, Any]:
        """The identities and prompts of the parts; subclasses add how they are combined."""
        return {"parts": [{"prompt": part.prompt, **part.identity()} for part in self.parts]}

    def with_classes(self, names: Callable[[], Sequence[str]]) -> Self:
        """See the base class: of each part."""
        parts = tuple(part.with_classes(names) for part in self.parts)
        if all(part is before for part, before in zip(parts, self.parts, strict=True)):
            return self
        other = copy(self)
        other.parts = parts
        return other

    def with_text_features(self, features: TextFeatures) -> Self:
        """The labeler of a run that has text features: a copy that knows them, as its combined parts do."""
        other = copy(self)
        other.text_features = lru_cache(maxsize=1)(features)  # of the same names each time that labels are read
        other.parts = tuple(
            part.with_text_features(features) if isinstance(part, CombinedLabeler) else part for part in self.parts
        )
        return other

    @property
    def combined(self) -> tuple["CombinedLabeler", ...]:
        """This labeler, and those of its parts, and of their parts, that are made of others."""
        parts = (part for part in self.parts if isinstance(part, CombinedLabeler))
        return (self, *(labeler for part in parts for labeler in part.combined))

    @property
    def rounds(self) -> Sequence[range]:
        """Numbers of the parts that are asked together, because none of them depends on another.

        What the parts of a round are asked depends on earlier rounds alone. Each part is a round of its own, unless
        overridden.
        """
        return [range(number, number + 1) for number in range(len(self.parts))]

    @property
    def naming(self) -> Sequence[int]:
        """Numbers of the parts whose replies are class names: all, unless overridden."""
        return range(len(self.parts))

    def check_images(self, images: Sequence[ImageRecord]) -> None:
        """Each part checks them, because each may be asked about all."""
        for part in self.parts:
            part.check_images(images)

    def estimate_usd(self, requests: Sequence[LabelRequest]) -> float | None:
        """What it costs at most: every part is asked about every photo. ``None`` where a part does not know."""
        total = 0.0
        for part in self.parts:
            asked = [replace(request, prompt=part.prompt) for request in requests]
            estimate = part.estimate_usd(asked)
            if estimate is None:
                return None
            total += estimate
        return total

    def part(self, number: int, labels: Sequence[Sequence[LabelRecord | None]]) -> Labeler:
        """The labeler that is asked as ``self.parts[number]``: that one, unless what it is asked depends on replies.

        Args:
            number: From 0.
            labels: What the parts of earlier rounds said, as for ``wanted``; not yet of all photos, or
                not all of them, while a plan is made.
        """
        return self.parts[number]

    def wanted(
        self,
        part: int,
        labels: Sequence[Sequence[LabelRecord | None]],
        features: NDArray[np.float32] | None = None,
    ) -> list[bool]:
        """Which photos are to be asked of ``self.parts[part]``.

        Args:
            part: Number of the part, from 0.
            labels: What the parts of earlier rounds said: a list for each of them, with one entry per photo, ``None``
                where it was not wanted. For the parts of the first round, which are wanted of all photos, this is not
                called.
            features: L2-normalised image features, shape ``(N, D)``, where they are at hand.

        Returns:
            One entry per photo. All of them unless overridden.
        """
        return [True] * len(labels[0])

    @abstractmethod
    def combine(self, labels: Sequence[Sequence[LabelRecord | None]]) -> list[LabelRecord]:
        """One label per photo.

        Args:
            labels: A list for each part, with one entry per photo, ``None`` where the part was not wanted.

        Returns:
            Cost and seconds are the sums over the parts.
        """

    def ask(self, requests: Sequence[LabelRequest]) -> Iterator[Reply]:
        """Ask the parts in turn, each for one answer, and yield the combined replies; nothing is stored."""
        labels: list[list[LabelRecord | None]] = []
        failures: dict[int, str] = {}
        for together in self.rounds:
            columns = []
            for number in together:
                part = self.part(number, labels)
                wanted = self.wanted(number, labels) if labels else [True] * len(requests)
                rows = [row for row in range(len(requests)) if wanted[row]]
                column: list[LabelRecord | None] = [None] * len(requests)
                for reply, row in _ask_once(part, requests, rows):
                    column[row] = _label_of(part, reply, requests[row].image.sample_id)
                    if reply.error:
                        failures[row] = reply.error
                columns.append(column)
            labels += columns
        for row, (request, label) in enumerate(zip(requests, self.combine(labels) if requests else [], strict=True)):
            yield Reply(
                request,
                raw=label.raw,
                names=label.names,
                error=failures.get(row, "no labeler replied") if label.flag == "failed" else "",
                model=label.model,
                cost_usd=label.cost_usd,
                seconds=label.seconds,
            )


def first_classes(labels: Sequence[Sequence[LabelRecord | None]]) -> NDArray[np.int64]:
    """Numbers that are equal where first names are the same class, as the vocabulary of these names would have it.

    So spellings of one name are equal, and names that share a scientific name, but not all dogs because of *Canis lupus
    familiaris*; see :func:`~fgvr.vocabulary.build.build_vocabulary`.

    Args:
        labels: A list for each labeler, with one entry per photo.

    Returns:
        Shape ``(labelers, images)``; -1 where there is no name.
    """
    firsts = [[first_name(label) for label in column] for column in labels]
    named = [label for column in firsts for label in column if label is not None]
    numbers = np.full((len(labels), len(labels[0])), -1, dtype=np.int64)
    if named:
        vocabulary = build_vocabulary(named)
        places = [(row, image) for row, column in enumerate(firsts) for image, label in enumerate(column) if label]
        numbers[tuple(np.array(places).T)] = [indices[0] for indices in labels_as_indices(named, vocabulary)]
    return numbers


def first_name(label: LabelRecord | None) -> LabelRecord | None:
    """The label with its first name alone; ``None`` where it has none."""
    if label is None or not label.names or not fold_name(label.names[0]):
        return None
    return replace(label, names=label.names[:1], scientific_names=label.scientific_names[:1])


def _ask_once(part: Labeler, requests: Sequence[LabelRequest], rows: Sequence[int]) -> Iterator[tuple[Reply, int]]:
    """The replies of a part about the photos of ``rows``, and the row of each; equal questions are asked once."""
    asked: dict[tuple[str, str, int], LabelRequest] = {}
    rows_of: dict[LabelRequest, list[int]] = {}
    for row in rows:
        request = part.request_about(requests[row].image, requests[row].answer)
        request = asked.setdefault((request.image.digest, request.prompt, request.answer), request)
        rows_of.setdefault(request, []).append(row)
    for reply in part.ask(list(rows_of)):
        yield reply, rows_of[reply.request][0]
        for row in rows_of[reply.request][1:]:
            yield replace(reply, cost_usd=0.0, seconds=0.0), row


def _label_of(part: Labeler, reply: Reply, sample_id: str) -> LabelRecord:
    label = LabelRecord(
        sample_id=sample_id,
        names=(),
        flag="failed",
        raw=reply.raw,
        model=reply.model,
        cost_usd=reply.cost_usd,
        seconds=reply.seconds,
    )
    if reply.error:
        return label
    parsed = part.read(reply)
    return replace(
        label,
        names=parsed.names,
        scientific_names=parsed.scientific_names,
        flag=parsed.flag,
        confidence=parsed.confidence,
        alternatives=parsed.alternatives,
        genus=parsed.genus,
        individual=parsed.individual,
        doubtful=parsed.doubtful,
    )
