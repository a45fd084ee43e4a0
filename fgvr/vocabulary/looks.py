"""Classes that neither texts nor photos tell apart are one class."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr

from fgvr.errors import FgvrError
from fgvr.records import Join, Vocabulary
from fgvr.vocabulary.base import GivenNames, VocabularyStrategy
from fgvr.vocabulary.build import labels_as_indices
from fgvr.vocabulary.granularity import GranularityVocabulary, listed
from fgvr.vocabulary.join import join_classes

log = logging.getLogger(__name__)

_LEVEL = 0.1
"""Photos on which a mean rests are not believed against a sign test at this level."""
_NEW = 0.1
"""Share of photos that look less like the others of their name than this one may, for it to be nothing new."""
_BLOCK_VALUES = 2**23


class LooksVocabulary(VocabularyStrategy):
    """Joins names that read alike if their photos look alike too, and names of one photo that looks like another class.

    - *Swap test*, names of two photos or more, each of which is the nearest of the other by text: the photos of each
      look at least as much like the mean of the other name's photos as like the mean of the others of their own name,
      on average, and not less so in clearly most photos (sign test at 0.1).
    - *Rare names*, of one photo: of all names, the photo looks most like one that is among the ``top`` nearest by text;
      as much as nine in ten photos look like the others of their name, for otherwise it may be something new; and its
      text does not single it out, by more than the texts of half the photos do.

    It goes on until nothing is left to join. Where a labeler's names are right, it joins classes that are hard to tell
    apart: docs/results.md says what it was worth.

    Args:
        without: Words that do not count, joined first; see ``granularity``. None if not given.
        top: Names that count as near a rare name by text, at least 1.
        rare: Whether names of one photo are joined.

    Raises:
        FgvrError: ``top`` is below 1, or a list of words is not there.
    """

    def __init__(self, without: Sequence[str | Path] | str = (), top: int = 2, rare: bool = True) -> None:
        if top < 1:
            raise FgvrError(f"data.vocabulary.top is {top}: it must be at least 1.")
        self.without = listed(without)
        self._granularity = GranularityVocabulary(self.without) if self.without else None
        self.top = top
        self.rare = rare

    def joins(self, vocabulary: Vocabulary, given: GivenNames) -> list[Join]:
        """Names that are one class by words, by texts and photos, or as a rare name of another class."""
        found: list[Join] = []
        if len(vocabulary) < 2:
            return found
        texts = dict(zip(vocabulary.names, given.text_features(vocabulary.names), strict=True))
        visual, joint = (given.image_features(space) for space in ("visual", "joint"))
        while True:
            # from the beginning each time, so that what is shown, and read, is what is shown in the end
            joined = join_classes(vocabulary, found)
            new = self._granularity.joins(joined, given) if self._granularity else []
            if not new and len(joined) > 1:
                own = np.array([names[0] if names else -1 for names in labels_as_indices(given.labels, joined)])
                new = self._alike(joined, own, np.stack([texts[name] for name in joined.names]), visual, joint)
            if not new:
                return found
            found += new

    def _alike(
        self,
        vocabulary: Vocabulary,
        own: NDArray[np.int64],
        texts: NDArray[np.float32],
        visual: NDArray[np.float32],
        joint: NDArray[np.float32],
    ) -> list[Join]:
        """One round.

        Args:
            vocabulary: The classes so far.
            own: Class of each photo's first name, -1 for none, shape ``(N,)``.
            texts: Of the classes, shape ``(C, E)``.
            visual: Of the photos, shape ``(N, D)``.
            joint: Of the photos, shape ``(N, E)``.
        """
        near = _nearest(texts.astype(np.float64), self.top)
        named = np.flatnonzero(own >= 0)
        own, read = own[named], joint[named].astype(np.float64)
        images = _unit(visual[named].astype(np.float64) - visual.astype(np.float64).mean(axis=0))
        counts = np.bincount(own, minlength=len(vocabulary))
        sums = np.zeros((len(vocabulary), images.shape[1]))
        np.add.at(sums, own, images)
        means = _unit(sums)
        to_own = np.einsum("nd,nd->n", images, _unit(sums[own] - images))
        several = counts[own] > 1
        nearest = near[:, :1]
        pairs = _swapped(nearest, own, counts, several, _cosines_with(images, means, nearest[own]) - to_own[:, None])
        joins = [
            Join(vocabulary.names[a], vocabulary.names[b], "looks", "neither texts nor photos tell them apart")
            for a, b in pairs
        ]
        if self.rare and several.any():
            least = float(np.quantile(to_own[several], _NEW))
            rare = np.flatnonzero(~several)
            best, cosine = _most_like(images[rare], means, counts, own[rare])
            taken = (near[own[rare]] == best[:, None]).any(axis=1) & (cosine >= least)
            taken &= ~_singled_out(read, texts.astype(np.float64), own)[rare]
            joins += [
                Join(
                    *(vocabulary.names[own[image]], vocabulary.names[other], "rare"),
                    "it was given to one photo, which looks most like the other, and reads like it",
                )
                for image, other in zip(rare[taken], best[taken], strict=True)
            ]
        return joins


def _swapped(
    near: NDArray[np.int64],
    own: NDArray[np.int64],
    counts: NDArray[np.int64],
    several: NDArray[np.bool_],
    gained: NDArray[np.float64],
) -> list[tuple[int, int]]:
    """Pairs of classes that pass the swap test, the lower one second.

    Args:
        near: The nearest classes of each by text, shape ``(C, K)``.
        own: Shape ``(N,)``.
        counts: Photos of each class, shape ``(C,)``.
        several: Whether a photo's class has others, shape ``(N,)``.
        gained: How much more each photo looks like each class near its own than like its own, shape ``(N, K)``.
    """
    sums, wins = np.zeros(near.shape), np.zeros(near.shape)
    np.add.at(sums, own[several], gained[several])
    np.add.at(wins, own[several], gained[several] >= 0)
    enough = counts > 1
    passed = enough[:, None] & enough[near] & (sums >= 0) & (bdtr(wins, counts[:, None], 0.5) >= _LEVEL)
    chosen = {(a, int(near[a, place])) for a, place in zip(*(each.tolist() for each in passed.nonzero()), strict=True)}
    return sorted((a, b) for a, b in chosen if a > b and (b, a) in chosen)


def _nearest(texts: NDArray[np.float64], top: int) -> NDArray[np.int64]:
    """The nearest other classes of each by text, shape ``(C, min(top, C - 1))``."""
    rows = max(_BLOCK_VALUES // len(texts), 1)
    found = []
    for start in range(0, len(texts), rows):
        cosines = texts[start : start + rows] @ texts.T
        np.fill_diagonal(cosines[:, start:], -np.inf)
        found.append(np.argsort(-cosines, axis=1, kind="stable")[:, : min(top, len(texts) - 1)])
    return np.concatenate(found)


def _cosines_with(
    images: NDArray[np.float64], means: NDArray[np.float64], classes: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Cosines of each photo with the means of its own list of classes, of the shape of ``classes``."""
    cosines = np.empty(classes.shape)
    rows = max(_BLOCK_VALUES // max(classes.shape[1] * images.shape[1], 1), 1)
    for start in range(0, len(images), rows):
        part = slice(start, start + rows)
        cosines[part] = np.einsum("nd,nkd->nk", images[part], means[classes[part]])
    return cosines


def _most_like(
    images: NDArray[np.float64], means: NDArray[np.float64], counts: NDArray[np.int64], own: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Of the other classes that have photos, the one that each photo looks most like, and the cosine, both ``(N,)``."""
    best, cosine = np.zeros(len(images), dtype=np.int64), np.full(len(images), -np.inf)
    rows = max(_BLOCK_VALUES // len(means), 1)
    for start in range(0, len(images), rows):
        part = slice(start, start + rows)
        cosines = images[part] @ means.T
        cosines[:, counts == 0] = -np.inf
        cosines[np.arange(len(cosines)), own[part]] = -np.inf
        best[part], cosine[part] = cosines.argmax(axis=1), cosines.max(axis=1)
    return best, cosine


def _singled_out(joint: NDArray[np.float64], texts: NDArray[np.float64], own: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether a photo's own text is nearer than all others by more than in half of the photos, shape ``(N,)``."""
    margins = np.empty(len(joint))
    rows = max(_BLOCK_VALUES // len(texts), 1)
    for start in range(0, len(joint), rows):
        part = slice(start, start + rows)
        cosines = joint[part] @ texts.T
        place = np.arange(len(cosines)), own[part]
        mine = cosines[place].copy()
        cosines[place] = -np.inf
        margins[part] = mine - cosines.max(axis=1)
    single: NDArray[np.bool_] = (margins > 0) & (margins > np.median(margins))
    return single


def _unit(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    found: NDArray[np.float64] = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    return found
