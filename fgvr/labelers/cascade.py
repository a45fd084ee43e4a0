"""A cheap labeler for all photos, and an expensive one where its answer is not to be trusted."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fgvr.errors import FgvrError
from fgvr.labelers.base import Labeler
from fgvr.labelers.combined import CombinedLabeler, first_classes
from fgvr.moved import OldAttribute
from fgvr.records import LabelRecord, Space, check_space

_BLOCK_VALUES = 2**24
"""Feature values that are gathered at a time (float64: 128 MB)."""


class CascadeLabeler(CombinedLabeler):
    """Asks a first labeler about every photo, and a fallback where the first answer is not to be trusted.

    That is where it has no name (failed, refused, error, generic, empty, unparsed), and where its name is not
    confirmed: too few of the photos that look most like this one were given the same name. Names are the same where the
    vocabulary would join them. Photos without a name, and copies of the photo (equal image features), confirm nothing.

    The fallback's label counts where it has a name, the first one's elsewhere. Cost and seconds are the sums of both.

    Args:
        first: Is asked about all photos: a cheap model.
        fallback: Is asked again where the first is not to be trusted: an expensive one.
        neighbours: Nearest named photos that are looked at; all of them where there are fewer. 0 asks the fallback
            only where the first gives no name, and needs no image features.
        min_confirmed: How many of them must have the same name.
        space: Image features in which photos are near: ``visual``, or ``joint``, which images share with texts.

    Raises:
        FgvrError: ``neighbours`` is below 0, or ``min_confirmed`` is not in 1 to ``neighbours``.
    """

    def __init__(
        self,
        first: Labeler,
        fallback: Labeler,
        neighbours: int = 5,
        min_confirmed: int = 1,
        space: Space = "visual",
    ) -> None:
        super().__init__([first, fallback])
        if neighbours < 0:
            raise FgvrError(f"data.labeler.neighbours is {neighbours}; expected 0 or more.")
        if neighbours and not 1 <= min_confirmed <= neighbours:
            raise FgvrError(
                f"data.labeler.min_confirmed is {min_confirmed}; expected 1 to {neighbours}, the number of neighbours."
            )
        self.first = first
        self.fallback = fallback
        self.neighbours = neighbours
        self.min_confirmed = min_confirmed
        self.space = check_space("data.labeler.space", space)
        self.needs_features = neighbours > 0

    cheap = OldAttribute("first")
    dear = OldAttribute("fallback")

    def identity(self) -> dict[str, Any]:
        """The parts, and when the second is asked."""
        rule = {"neighbours": self.neighbours, "min_confirmed": self.min_confirmed, "space": self.space}
        return {"labeler": "cascade", **super().identity(), **rule}

    def wanted(
        self,
        part: int,
        labels: Sequence[Sequence[LabelRecord | None]],
        features: NDArray[np.float32] | None = None,
    ) -> list[bool]:
        """Photos without a usable name of the first labeler and, with features, those whose name is not confirmed."""
        names = first_classes(labels[:1])[0]
        trusted = names >= 0
        if features is not None and self.neighbours:
            named = np.flatnonzero(trusted)
            confirmed = confirmations(features[named], names[named], self.neighbours) >= self.min_confirmed
            trusted[named[~confirmed]] = False
        return [not trust for trust in trusted.tolist()]

    def combine(self, labels: Sequence[Sequence[LabelRecord | None]]) -> list[LabelRecord]:
        """See the base class."""
        return [_chosen(first, fallback) for first, fallback in zip(*labels, strict=True)]


def _chosen(first: LabelRecord | None, fallback: LabelRecord | None) -> LabelRecord:
    known = [label for label in (fallback, first) if label is not None]
    chosen = next(
        (label for label in known if label.names),
        # none has a name: a reply says more than a failure
        next((label for label in known if label.flag != "failed"), known[0]),
    )
    return replace(
        chosen, cost_usd=sum(label.cost_usd for label in known), seconds=sum(label.seconds for label in known)
    )


def confirmations(features: NDArray[np.float32], names: NDArray[np.int64], k: int) -> NDArray[np.intp]:
    """How many of the k nearest photos have the same name as each photo, itself and its copies left out.

    Args:
        features: L2-normalised, shape ``(N, D)``.
        names: Shape ``(N,)``.
        k: How many are looked at.

    Returns:
        Shape ``(N,)``.
    """
    if not len(features):
        return np.zeros(0, dtype=np.intp)
    # copies have equal replies too; their names are numbers below 2**24, which float32 holds
    replies = np.column_stack([features, names.astype(np.float32)])
    _, firsts, copy_of = np.unique(replies, axis=0, return_index=True, return_inverse=True)
    near = _nearest_others(features[firsts], k)
    confirmations: NDArray[np.intp] = (names[firsts][near] == names[firsts][:, None]).sum(axis=1)
    return confirmations[copy_of.reshape(-1)]


def _nearest_others(features: NDArray[np.float32], k: int) -> NDArray[np.int64]:
    """Numbers of the k other photos nearest to each, equally near ones in their order; shape ``(N, min(k, N - 1))``.

    faiss rounds with the batch and the number of threads, so it proposes, and products in float64 decide.
    """
    import faiss  # heavy, and needed here alone

    count, dim = features.shape
    k = min(k, count - 1)
    width = min(2 * k + 1, count)
    index = faiss.IndexFlatIP(dim)
    index.add(features)
    result = np.empty((count, k), dtype=np.int64)
    for rows in np.array_split(np.arange(count), -(-count * width * dim // _BLOCK_VALUES)):
        _, found = index.search(features[rows], width)
        exact = np.einsum("nd,nwd->nw", features[rows].astype(np.float64), features[found].astype(np.float64))
        exact[found == rows[:, None]] = -np.inf
        order = np.lexsort((found, -exact))[:, :k]
        result[rows] = np.take_along_axis(found, order, axis=1)
    return result
