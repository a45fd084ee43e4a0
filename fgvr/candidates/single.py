"""The photo's own name as its only candidate: no candidate sets."""

import numpy as np
from numpy.typing import NDArray

from fgvr.candidates.base import CandidateStrategy, NamedImages
from fgvr.errors import FgvrError
from fgvr.records import CandidateSets
from fgvr.text import none_of


def own_names(images: NamedImages) -> NDArray[np.int64]:
    """The one label :math:`l_i` of each photo: the first name that the labeler gave it.

    Returns:
        Class indices, shape ``(N,)``; -1 where the labeler gave no name.

    Raises:
        FgvrError: No photo has a name.
    """
    own = np.array([names[0] if names else -1 for names in images.labels], dtype=np.int64)
    if not (own >= 0).any():
        raise FgvrError(
            f"{none_of(len(own), 'support photo')} has a name, so there are no candidates to learn from. Look at the "
            "replies in the run's labels.parquet, and label again with another labeler or prompt."
        )
    return own


class SingleCandidates(CandidateStrategy):
    """The first name that the labeler gave to the photo, alone; photos without a name are left out.

    With ``loss: ce`` it is learning from the labeler's names as they are.

    Example:
        >>> images = NamedImages(sample_ids=("a.jpg", "b.jpg", "c.jpg"), labels=[(2, 0), (), (1,)], num_classes=3)
        >>> sets = SingleCandidates().build(images)
        >>> sets.sample_ids, sets.indices.tolist()
        (('a.jpg', 'c.jpg'), [2, 1])
    """

    own_names_alone = True

    def build(self, images: NamedImages) -> CandidateSets:
        """One candidate for each photo that has a name.

        Raises:
            FgvrError: No photo has a name.
        """
        own = own_names(images)
        named = np.flatnonzero(own >= 0)
        return CandidateSets(
            sample_ids=tuple(images.sample_ids[image] for image in named),
            offsets=np.arange(len(named) + 1),
            indices=own[named],
            weights=np.ones(len(named), dtype=np.float32),
        )
