"""No further joins: the vocabulary as ``build.py`` makes it."""

from fgvr.records import Join, Vocabulary
from fgvr.vocabulary.base import GivenNames, VocabularyStrategy


class SpellingVocabulary(VocabularyStrategy):
    """Joins nothing further: what folds to one spelling, or has one scientific name, is one class."""

    def joins(self, vocabulary: Vocabulary, given: GivenNames) -> list[Join]:
        """None."""
        return []
