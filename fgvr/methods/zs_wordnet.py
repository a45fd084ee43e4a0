"""Zero-shot classification with the nouns of WordNet."""

import time
from pathlib import Path
from typing import ClassVar

from torch import Tensor
from torch.nn import functional as F

from fgvr.backbones.base import Backbone
from fgvr.cache import default_cache_dir
from fgvr.data.support_photos import SupportPhotos
from fgvr.data.text_features import stored_text_features
from fgvr.methods.untrained import UntrainedMethod
from fgvr.methods.zero_shot import template_list
from fgvr.records import CandidateSets, Vocabulary
from fgvr.vocabulary.build import fold_name, known_vocabulary
from fgvr.wordnet import read_wordnet


class ZsWordnetMethod(UntrainedMethod):
    """CLIP's classifier over all nouns of WordNet, nothing trained and nothing asked (table 2 of the FGVR paper).

    The vocabulary is the first lemma of every noun synset, whatever ``data.class_names`` says; of lemmas that differ
    in case, spaces, hyphens or apostrophes alone the first one: 67,134 names in WordNet 3.0. The paper says "the label
    set from WordNet" and no more; this is the rule of SCD's released code.

    The text features are computed once for each backbone and template, and kept in ``data.cache_dir``: about six CPU
    minutes with ``lite``.

    Args:
        backbone: Image and text tower.
        wordnet: Folder of an installed WordNet, of NLTK's data or of an unpacked npm package, or NLTK's
            ``wordnet.zip``. If not given, one that is installed is found by itself: Debian's ``wordnet-base`` or NLTK's
            data.
        templates: Text templates with ``{}`` for the class name; several are averaged. The name alone if not given.
    """

    row = "zs_wordnet"
    untrained_rows: ClassVar[tuple[str, ...]] = ("zs_wordnet",)
    brings_names: ClassVar[bool] = True
    photos_a_step: ClassVar[int | None] = 64  # times 67,134 names in float32: 17 MB

    def __init__(
        self, backbone: Backbone, wordnet: Path | None = None, templates: list[str] | str | None = None
    ) -> None:
        super().__init__(backbone)
        self.wordnet = wordnet
        self.templates = template_list(templates)

    def discover(self, support: SupportPhotos) -> Vocabulary:
        """The first lemma of every noun synset, in the order of WordNet's file.

        Raises:
            FgvrError: No WordNet is found, or its files are damaged.
        """
        lemmas: dict[str, str] = {}
        for lemma in read_wordnet(self.wordnet, "model.wordnet").first_lemmas():
            lemmas.setdefault(fold_name(lemma), lemma)
        return known_vocabulary([lemma for key, lemma in lemmas.items() if key])

    def build(self, vocabulary: Vocabulary, candidates: CandidateSets | None) -> None:
        """Encode the names under the templates, or read what was kept."""
        start = time.perf_counter()
        folder = default_cache_dir() if self._trainer is None else self.data.cache_dir
        shown = self._trainer is None or self.trainer.is_global_zero
        summed: Tensor | None = None
        for template in self.templates:
            texts = [template.replace("{}", name) for name in vocabulary.names]
            features = stored_text_features(self.backbone, texts, folder / "features", shown)
            summed = features if summed is None else summed.add_(features)
        assert summed is not None, "there is a template"
        # no buffer: a checkpoint must not hold it
        self._class_features = F.normalize(summed, dim=-1)
        self.classifier_seconds[self.row] = time.perf_counter() - start

    def classifiers(self) -> dict[str, Tensor]:
        """The names under the templates."""
        return {self.row: self._class_features.to(self.device)}
