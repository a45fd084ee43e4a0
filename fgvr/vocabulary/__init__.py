"""From the names that a labeler gave to the vocabulary that a model is trained on."""

from fgvr.registry import VOCABULARIES, lazy_exports

__getattr__, __all__ = lazy_exports("fgvr.vocabulary", VOCABULARIES, "fgvr.vocabulary.base.VocabularyStrategy")
