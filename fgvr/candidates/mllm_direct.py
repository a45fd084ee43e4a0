"""The names that the labeler gave to a photo as its candidates: candidate sets asked of the LLM."""

from itertools import compress

from fgvr.candidates.base import CandidateStrategy, NamedImages
from fgvr.candidates.single import own_names
from fgvr.records import CandidateSets


class MllmDirectCandidates(CandidateStrategy):
    """All names that the labeler gave to the photo, with uniform weights; photos without a name are left out.

    The FGVR paper's table 4: ask the LLM for k names at once, instead of the neighbours' names. Every name is in
    the vocabulary then, so that it grows with k.

    Example:
        >>> images = NamedImages(sample_ids=("a.jpg", "b.jpg", "c.jpg"), labels=[(2, 0), (), (1,)], num_classes=3)
        >>> sets = MllmDirectCandidates().build(images)
        >>> sets.sample_ids, [indices.tolist() for indices, weights in sets]
        (('a.jpg', 'c.jpg'), [[2, 0], [1]])
    """

    own_names_alone = True

    def build(self, images: NamedImages) -> CandidateSets:
        """One set for each photo that has a name.

        Raises:
            FgvrError: No photo has a name.
        """
        own_names(images)
        named = [bool(names) for names in images.labels]
        # different spellings that the vocabulary has joined are one candidate
        sets = [list(dict.fromkeys(names)) for names in compress(images.labels, named)]
        return CandidateSets.from_lists(tuple(compress(images.sample_ids, named)), sets)
