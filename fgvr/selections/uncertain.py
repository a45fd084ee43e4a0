"""The photos that a finished run doubts most."""

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from fgvr.errors import FgvrError
from fgvr.runs import find_run
from fgvr.selections.base import Selection
from fgvr.selections.doubt_table import Asked, DoubtfulPhoto, read_doubt_table
from fgvr.selections.order import draw_order
from fgvr.text import visible

_TURNS: tuple[Asked, ...] = ("unasked", "nameless", "named")
"""Whose turn it is first; a photo whose name was given by a person, or in a table of names, is never asked about."""


class UncertainSelection(Selection):
    r"""Asks next about what a run doubts most, spread over the classes that it predicts.

    Of n questions, :math:`\lfloor n / C \rfloor` go to the most doubtful photos of each of the C predicted classes, and
    what is left to the most doubtful photos of all: the rule of dual-prompt active CLIP, arXiv 2602.04340. What doubt
    is, the run's method says: its filter for a method with pseudo-labels, otherwise how low the log-odds of the name
    are that the run's own row gives.

    Derived: photos that nobody was asked about come first, then those that were given no usable name, then those that
    a model has named, each by the rule with the questions that are left; C counts the classes predicted among them.
    Photos that were given their name by a person or in a table (labeler ``fixed``) are not chosen, so that fewer than
    n may be. No true name is looked at.

    The doubts are those of ``doubt.parquet`` in the run folder, which the label stage of the command line computes
    where it is missing. Choices are not nested, but a photo keeps its place among those of its class.

    Args:
        n: Photos to ask about.
        seed: Decides among photos that are equally doubtful; the choice is the same otherwise.
        run: ``runs/NAME`` for the newest version of a trained run, or ``runs/NAME/VERSION``.
        keep: Choose what the run had asked about, too, beside the n: for a ``fit`` that learns from old and new names.
    """

    needs_features: ClassVar[bool] = False

    def __init__(self, n: int, seed: int = 0, *, run: Path, keep: bool = False) -> None:
        super().__init__(n, seed)
        self.run = Path(run)
        self.keep = keep
        self.named_since: frozenset[str] = frozenset()
        """Photos that were given a name after the run: those among the chosen are not asked about."""

    def choose(self, sample_ids: Sequence[str], features: NDArray[np.float32]) -> NDArray[np.intp]:
        """See the base class; ``features`` are not looked at.

        Raises:
            FgvrError: There is no such run, it has no ``doubt.parquet``, or one without some of the photos.
        """
        found = self.photos(sample_ids)
        chosen = self.next(sample_ids, found)
        chosen = chosen[[sample_ids[number] not in self.named_since for number in chosen]]
        if self.keep:
            kept = [number for number, photo in enumerate(found) if photo.asked != "unasked"]
            chosen = np.union1d(chosen, np.array(kept, dtype=np.intp))
        return chosen

    def photos(self, sample_ids: Sequence[str]) -> list[DoubtfulPhoto]:
        """What the run finds of each photo.

        Args:
            sample_ids: The photos.

        Raises:
            FgvrError: As for ``choose``.
        """
        path = find_run(self.run, trained=True).doubt
        known = {photo.sample_id: photo for photo in read_doubt_table(path)}
        if (lacking := next((each for each in sample_ids if each not in known), None)) is not None:
            raise FgvrError(
                f"{path} has no row for the photo {visible(lacking, 100)!r}: it was made of other support photos. "
                "To make it of these, run the label stage with the same options."
            )
        return [known[sample_id] for sample_id in sample_ids]

    def next(self, sample_ids: Sequence[str], found: Sequence[DoubtfulPhoto]) -> NDArray[np.intp]:
        """Numbers of the photos to ask about next, rising; of the photos that ``keep`` adds, none.

        Args:
            sample_ids: The photos.
            found: What the run finds of each.
        """
        order = draw_order(sample_ids, self.seed)
        doubt = np.array([found[number].doubt for number in order], dtype=np.float32)
        order = order[np.argsort(-doubt, kind="stable")]
        _, classes = np.unique([photo.name for photo in found], return_inverse=True)
        asked = np.array([photo.asked for photo in found])
        chosen = np.zeros(0, dtype=np.intp)
        for turn in _TURNS:
            waiting = order[asked[order] == turn]
            chosen = np.concatenate([chosen, waiting[_spread(classes[waiting], self.n - len(chosen))]])
        return np.sort(chosen)


def _spread(classes: NDArray[np.intp], n: int) -> NDArray[np.intp]:
    """Places of n photos, the most doubtful of each class and of all; of as many as there are, if fewer.

    Args:
        classes: Predicted class of each photo, the most doubtful first.
        n: At least 0.
    """
    by_class = np.argsort(classes, kind="stable")
    grouped = classes[by_class]
    rank = np.empty(len(classes), dtype=np.intp)
    rank[by_class] = np.arange(len(classes)) - np.searchsorted(grouped, grouped)
    first = rank < n // max(len(np.unique(classes)), 1)
    # those of the classes stand before all others, and both by doubt
    return np.argsort(~first, kind="stable")[:n]
