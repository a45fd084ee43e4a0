"""The names that the labeler gave to a photo as its candidates: candidate sets asked of the LLM."""

from itertools import compress

from fgvr.candidates.base import CandidateStrategy, NamedPhotos
from fgvr.candidates.single import own_names
from fgvr.records import CandidateSets


class MllmDirectCandidates(CandidateStrategy):
    """All names that the labeler gave to the photo, with uniform weights; photos without a name are left out.

    The FGVR paper's table 4: ask the LLM for k names at once, instead of the neighbours' names. Every name is in
    the vocabulary then, so that it grows with k.

    Example:
        >>> photos = NamedPhotos(sample_ids=("a.jpg", "b.jpg", "c.jpg"), labels=[(2, 0), (), (1,)], num_classes=3)
        >>> sets = MllmDirectCandidates().build(photos)
        >>> sets.sample_ids, [indices.tolist() for indices, weights in sets]
        (('a.jpg', 'c.jpg'), [[2, 0], [1]])
    """

    own_names_alone = True

    def build(self, photos: NamedPhotos) -> CandidateSets:
        """One set for each photo that has a name.

        Raises:
            FgvrError: No photo has a name.
        """
        own_names(photos)
        named = [bool(names) for names in photos.labels]
        # different spellings that the vocabulary has joined are one candidate
        sets = [list(dict.fromkeys(names)) for names in compress(photos.labels, named)]
        return CandidateSets.from_lists(tuple(compress(photos.sample_ids, named)), sets)
