"""The candidates of several strategies together."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from fgvr.candidates.base import CandidateStrategy, NamedImages
from fgvr.candidates.features import features_of
from fgvr.errors import FgvrError
from fgvr.records import CandidateSets


class UnionCandidates(CandidateStrategy):
    r"""All candidates of several strategies, each with the mean of its weights.

    :math:`w_c = \frac{1}{|T|} \sum_{s \in T} w^s_c` over the strategies T that have a set for the photo, where a class
    that is not in a set weighs 0 there. The candidates of the first strategy come first, in its order, then what the
    second adds, and so on. A photo is left out where every strategy leaves it out.

    Each strategy takes its own options, so the same one can stand twice, with the neighbours of two backbones:

    .. code-block:: yaml

        candidates:
          class_path: union
          init_args:
            strategies:
              - knn
              - {class_path: knn, init_args: {k: 3, backbone: lite}}
              - mllm_direct

    Args:
        strategies: Two or more.

    Raises:
        FgvrError: There are fewer than two strategies.

    Example:
        >>> from fgvr.candidates.mllm_direct import MllmDirectCandidates
        >>> from fgvr.candidates.single import SingleCandidates
        >>> images = NamedImages(sample_ids=("a.jpg",), labels=[(2, 0)], num_classes=3)
        >>> sets = UnionCandidates([SingleCandidates(), MllmDirectCandidates()]).build(images)
        >>> sets.indices.tolist(), sets.weights.tolist()
        ([2, 0], [0.75, 0.25])
    """

    def __init__(self, strategies: list[CandidateStrategy]) -> None:
        if len(strategies) < 2:
            raise FgvrError(f"candidates.strategies has {len(strategies)}; a union needs 2 or more.")
        self.strategies = strategies
        self.own_names_alone = all(strategy.own_names_alone for strategy in strategies)
        searching = [strategy for strategy in strategies if strategy.needs_features]
        self.needs_features = bool(searching)
        self.space = searching[0].space if searching else "visual"

    def build(self, images: NamedImages) -> CandidateSets:
        """One set for each photo that a strategy has one for.

        Raises:
            FgvrError: As for the strategies.
        """
        number = {sample_id: row for row, sample_id in enumerate(images.sample_ids)}
        parts = [strategy.build(_in_space_of(strategy, images)) for strategy in self.strategies]
        owners = [_owners(sets, number) for sets in parts]
        owner, indices = np.concatenate(owners), np.concatenate([sets.indices for sets in parts])
        weights = np.concatenate([sets.weights for sets in parts]).astype(np.float64)

        # one key for each photo and class; candidates are in the order of the strategies
        keys, first, inverse = np.unique(owner * images.num_classes + indices, return_index=True, return_inverse=True)
        totals = np.bincount(inverse, weights, minlength=len(keys))
        order = np.lexsort((first, owner[first]))
        kept = first[order]
        with_set, sizes = np.unique(owner[kept], return_counts=True)
        offsets = np.concatenate([[0], np.cumsum(sizes)])
        sums = np.add.reduceat(totals[order], offsets[:-1])
        return CandidateSets(
            sample_ids=tuple(images.sample_ids[row] for row in with_set.tolist()),
            offsets=offsets,
            indices=indices[kept],
            weights=(totals[order] / np.repeat(sums, sizes)).astype(np.float32),
        )


def _in_space_of(strategy: CandidateStrategy, images: NamedImages) -> NamedImages:
    """The photos with the features that the strategy asks for."""
    if not strategy.needs_features or images.space in (None, strategy.space):
        return images
    return replace(images, features=features_of(images, space=strategy.space), space=strategy.space)


def _owners(sets: CandidateSets, number: dict[str, int]) -> NDArray[np.int64]:
    """The photo's number for each candidate."""
    rows: Sequence[int] = [number[sample_id] for sample_id in sets.sample_ids]
    return np.repeat(np.array(rows, dtype=np.int64), np.diff(sets.offsets))
