"""Names are one class where they are spelled alike, or are synonyms."""

from fgvr.records import Join, Vocabulary
from fgvr.vocabulary.base import GivenNames, VocabularyStrategy


class SpellingVocabulary(VocabularyStrategy):
    """Joins nothing further: what folds to one spelling, or has one scientific name, is one class."""

    def joins(self, vocabulary: Vocabulary, given: GivenNames) -> list[Join]:
        """None."""
        return []
