"""Section "Support photos and their candidates": the candidate sets, and a card for each support photo.

Both are here because a card shows its photo's set. Photos that were evaluated have cards of their own, in
``worst_images.py``.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property

from fgvr.candidates.neighbours import MAX_IMAGES, spread
from fgvr.candidates.quality import CandidateQuality, measure
from fgvr.reports import plots
from fgvr.reports.sections.reported_run import ReportedRun
from fgvr.reports.sections.sortable_table import Column, Table, table
from fgvr.reports.sections.vocabulary import ReportedVocabulary
from fgvr.text import verb
from fgvr.vocabulary.build import fold_name

MOST_CARDS = MAX_IMAGES


@dataclass(frozen=True)
class Candidate:
    """A name in a candidate set; ``true`` says whether it is the true one, ``None`` where that is unknown."""

    name: str
    weight: float
    true: bool | None


@dataclass(frozen=True)
class NeighbourOf:
    """A photo that looks like another one, with the name that the labeler gave it."""

    sample_id: str
    name: str
    similarity: float


@dataclass(frozen=True)
class SupportCard:
    """A support photo and what is known of it.

    Attributes:
        sample_id: The photo.
        names: What the labeler called it, best first.
        flag: Why the reply gave no name; ``""`` for a usable reply.
        raw: The reply.
        true_name: The true name, where known.
        right: Whether the first name is the true one; ``None`` where that is unknown.
        candidates: Its candidate set; empty where it has none.
        covered: Whether the set holds the true name; ``None`` where that is unknown.
        neighbours: The photos that look most like it.
    """

    sample_id: str
    names: tuple[str, ...]
    flag: str
    raw: str
    true_name: str | None
    right: bool | None
    candidates: tuple[Candidate, ...]
    covered: bool | None
    neighbours: tuple[NeighbourOf, ...]

    @property
    def kinds(self) -> str:
        """What a reader can choose cards by."""
        kinds = {"unusable": bool(self.flag), "wrong": self.right is False, "missing": self.covered is False}
        return " ".join(kind for kind, holds in kinds.items() if holds)


@dataclass(frozen=True)
class Candidates:
    """The support photos and their candidate sets.

    Attributes:
        run: The run.
        vocabulary: The section on its classes.
    """

    run: ReportedRun
    vocabulary: ReportedVocabulary

    @cached_property
    def quality(self) -> CandidateQuality | None:
        """What the candidate sets are worth."""
        sets, vocabulary = self.run.files.candidates, self.run.files.vocabulary
        if not sets or vocabulary is None:
            return None
        return measure(sets, vocabulary, self.run.images.truth)

    @cached_property
    def _sets(self) -> dict[str, tuple[Candidate, ...]]:
        """Sample id -> candidate set, the heaviest names first."""
        sets, vocabulary = self.run.files.candidates, self.run.files.vocabulary
        if sets is None or vocabulary is None:
            return {}
        found = {}
        for sample_id, (indices, weights) in zip(sets.sample_ids, sets, strict=True):
            true = self.run.images.truth.get(sample_id)
            index = self.vocabulary.class_of.get(fold_name(true)) if true is not None else None
            found[sample_id] = tuple(
                Candidate(vocabulary.names[i], float(weight), None if true is None else i == index)
                for i, weight in sorted(zip(indices.tolist(), weights.tolist(), strict=True), key=lambda pair: -pair[1])
            )
        return found

    @cached_property
    def relabelled(self) -> str:
        """A sentence on relabelling; ``""`` in a run without."""
        found = self.run.files.relabelling
        if found is None:
            return ""
        by = f"by what photos look like ({found.name}): {found.verdict.reason}."
        if not found.verdict.applied:
            return f"Names were not said anew {by}"
        new = sum(not before for before, _ in found.changed.values())
        return (
            f"Names were said anew {by} Of {found.images:,} {verb(found.images, 'photo', 'photos')} "
            f"{len(found.changed) - new:,} have another first name than before, and {new:,} that had none have one."
        )

    @cached_property
    def relabelled_table(self) -> Table | None:
        """The photos whose first name is another one."""
        found = self.run.files.relabelling
        if found is None or not found.changed:
            return None
        truth = self.run.images.truth
        rows = [
            (sample_id, before, after, *([truth.get(sample_id, "")] if truth else []))
            for sample_id, (before, after) in found.changed.items()
        ]
        columns = [Column("photo"), Column("before"), Column("after"), *([Column("true name")] if truth else [])]
        return table("Names that were said anew", columns, rows)

    @cached_property
    def size_plot(self) -> str:
        """Sizes of the candidate sets."""
        if not self._sets:
            return ""
        sets = list(self._sets.values())
        return plots.set_size_plot(
            [len(chosen) for chosen in sets], [_covered(chosen) for chosen in sets], self.run.note()
        )

    @cached_property
    def _support_ids(self) -> list[str]:
        """The support photos that anything is known of."""
        ids = [label.sample_id for label in self.run.files.labels]
        sets = self.run.files.candidates
        return list(dict.fromkeys([*ids, *(sets.sample_ids if sets else ())]))

    @property
    def support_images(self) -> int:
        """How many there are."""
        return len(self._support_ids)

    @property
    def wanted(self) -> list[str]:
        """The support photos to show, evenly spread, in an order in which every beginning is spread too."""
        return [self._support_ids[number] for number in spread(len(self._support_ids), MOST_CARDS)]

    def support_cards(self, thumbnails: Collection[str], full: bool) -> list[SupportCard]:
        """Support photos, evenly spread where there are too many to show.

        Args:
            thumbnails: The photos that the page carries.
            full: Whether it has room for no more of them.
        """
        chosen = [self._support_ids[number] for number in sorted(spread(len(self._support_ids), MOST_CARDS))]
        if thumbnails:
            shown = [sample_id for sample_id in chosen if sample_id in thumbnails]
            # a photo that cannot be read is shown without; one that did not fit is not shown
            chosen = shown if len(thumbnails) < len(chosen) and full else chosen
        labels = {label.sample_id: label for label in self.run.files.labels}
        cards = []
        for sample_id in chosen:
            label = labels.get(sample_id)
            true = self.run.images.truth.get(sample_id)
            names = label.names if label else ()
            candidates = self._sets.get(sample_id, ())
            near = self.run.files.neighbours.get(sample_id)
            cards.append(
                SupportCard(
                    sample_id=sample_id,
                    names=names,
                    flag=label.flag if label else "",
                    raw=label.raw if label else "",
                    true_name=true,
                    right=None if true is None or not names else self._same_class(names[0], true),
                    candidates=candidates,
                    covered=_covered(candidates),
                    neighbours=tuple(
                        NeighbourOf(other, ", ".join(labels[other].names[:1]) if other in labels else "", similarity)
                        for other, similarity in zip(near.neighbours, near.similarity, strict=True)
                    )
                    if near
                    else (),
                )
            )
        return cards

    def _same_class(self, name: str, true: str) -> bool:
        keys = fold_name(name), fold_name(true)
        said, is_ = (self.vocabulary.class_of.get(key, key) for key in keys)
        return said == is_


def _covered(candidates: Sequence[Candidate]) -> bool | None:
    if not candidates or candidates[0].true is None:
        return None
    return any(candidate.true for candidate in candidates)
