"""Zero-shot classification with the vocabulary's names."""

import time
from pathlib import Path

from torch import Tensor

from fgvr.backbones.base import Backbone
from fgvr.cache import default_cache_dir
from fgvr.methods.sentences import check_sentences, class_texts, read_sentences
from fgvr.methods.templates import template_features, template_list
from fgvr.methods.untrained import UntrainedMethod
from fgvr.records import CandidateSets, Vocabulary

__all__ = ["ZeroShotMethod", "template_features", "template_list"]


class ZeroShotMethod(UntrainedMethod):
    """CLIP's own classifier over the vocabulary, nothing trained (the ZS-CLIP rows of the FGVR paper).

    Args:
        backbone: Image and text tower.
        templates: Text templates with ``{}`` for the class name; several are averaged. The name alone if not given.
        sentences: A JSON file of sentences about each name, ``{name: [sentence, ...]}``, as the stage ``sentences``
            writes it: a class is then the normalised mean of its sentences' features, as in CuPL (arXiv 2209.03320). A
            name without sentences is put into the templates.
    """

    row = "zero_shot"

    def __init__(
        self, backbone: Backbone, templates: list[str] | str | None = None, sentences: Path | None = None
    ) -> None:
        super().__init__(backbone)
        self.templates = template_list(templates)
        self.sentences = sentences

    def build(self, vocabulary: Vocabulary, candidates: CandidateSets | None) -> None:
        """Encode the class names under the templates, or their sentences.

        Raises:
            FgvrError: The file of sentences cannot be used.
        """
        start = time.perf_counter()
        if self.sentences is None:
            self._class_features = template_features(self.backbone, vocabulary.names, self.templates)
        else:
            check_sentences(vocabulary.names, read_sentences(self.sentences, "model.sentences"), "model.sentences")
            folder = default_cache_dir() if self._trainer is None else self.data.cache_dir
            self._class_features = class_texts(
                self.backbone, vocabulary.names, self.templates, self.sentences, folder / "features"
            )
        self.classifier_seconds[self.row] = time.perf_counter() - start

    def classifiers(self) -> dict[str, Tensor]:
        """The class names under the templates, or their sentences."""
        return {self.row: self._class_features.to(self.device)}
