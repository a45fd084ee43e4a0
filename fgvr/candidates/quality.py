"""How good candidate sets are, for evaluation only: nothing in here may feed back into training."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from fgvr.records import CandidateSets, Vocabulary
from fgvr.vocabulary.build import fold_name


@dataclass(frozen=True, slots=True)
class CandidateQuality:
    """What :func:`measure` finds.

    Attributes:
        images: Photos that have a candidate set.
        with_truth: Those of them whose true name is known.
        coverage: Share of the sets that hold the true name, in [0, 1], over the photos ``with_truth``; ``None`` where
            there are none. It bounds what any disambiguation can reach.
        purity: Mean share of a set's weight that lies on the true name, over the same photos.
        mean_size: Mean number of candidates, over all photos.
        singles: Share of the sets that hold one candidate, over all photos.
    """

    images: int
    with_truth: int
    coverage: float | None
    purity: float | None
    mean_size: float
    singles: float

    def __str__(self) -> str:
        sizes = f"{self.images} sets, mean size {self.mean_size:.2f}, {self.singles:.0%} of one name"
        if self.coverage is None or self.purity is None:
            return sizes
        return f"{sizes}, coverage {self.coverage:.1%}, purity {self.purity:.1%}"


def measure(sets: CandidateSets, vocabulary: Vocabulary, truth: Mapping[str, str]) -> CandidateQuality:
    """Compare candidate sets with the true names.

    A true name is a class's where it equals any of the class's spellings, as
    :func:`~fgvr.vocabulary.build.fold_name` compares them: synonyms that the vocabulary has joined are one class.

    Args:
        sets: Candidate sets of at least one photo.
        vocabulary: The class names, in class-index order.
        truth: Sample id -> true name, where known.

    Example:
        >>> sets = CandidateSets.from_lists(["a.jpg", "b.jpg"], [[0, 1], [1]])
        >>> measure(sets, Vocabulary(("Beagle", "Basset Hound")), {"a.jpg": "beagle", "b.jpg": "Beagle"}).coverage
        0.5
    """
    sizes = np.diff(sets.offsets)
    true_names = [truth.get(sample_id) for sample_id in sets.sample_ids]
    known = np.array([name is not None for name in true_names])

    class_of = {fold_name(spelling): index for spelling, index in vocabulary.members.items()}
    class_of |= {fold_name(name): index for index, name in enumerate(vocabulary.names)}
    true_classes = np.array([-1 if name is None else class_of.get(fold_name(name), -1) for name in true_names])
    on_truth = sets.weights * (sets.indices == np.repeat(true_classes, sizes))
    share = np.add.reduceat(on_truth, sets.offsets[:-1])[known]

    return CandidateQuality(
        images=len(sets),
        with_truth=len(share),
        coverage=float((share > 0).mean()) if len(share) else None,
        purity=float(share.mean()) if len(share) else None,
        mean_size=float(sizes.mean()),
        singles=float((sizes == 1).mean()),
    )
