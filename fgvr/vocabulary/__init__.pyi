from fgvr.vocabulary.base import VocabularyStrategy as VocabularyStrategy
from fgvr.vocabulary.granularity import GranularityVocabulary as GranularityVocabulary
from fgvr.vocabulary.looks import LooksVocabulary as LooksVocabulary
from fgvr.vocabulary.spelling import SpellingVocabulary as SpellingVocabulary
