"""CaSED: names are words of the captions that are nearest to a photo."""

import math
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from fgvr.backbones.base import Backbone, ImageFeatures
from fgvr.cache import default_cache_dir
from fgvr.captions.build import build_index, index_folder
from fgvr.captions.index import CaptionIndex
from fgvr.captions.sources import wordnet_captions
from fgvr.captions.words import WordnetWords, candidate_words, distinct
from fgvr.data.support_photos import SupportPhotos
from fgvr.data.text_features import stored_text_features
from fgvr.errors import FgvrError
from fgvr.methods.untrained import UntrainedMethod
from fgvr.methods.zero_shot import template_list
from fgvr.records import CandidateSets, Vocabulary
from fgvr.vocabulary.build import fold_name, known_vocabulary

NO_WORD = "object"
"""The name of a photo whose captions leave no word."""


class CasedMethod(UntrainedMethod):
    r"""Names a photo by a word of the captions that are nearest to it: nothing trained, nobody asked.

    CaSED (Conti et al., NeurIPS 2023), the vocabulary-free baseline of table 2 of the FGVR paper. Of the ``captions``
    texts of a large list that are nearest to a photo, near-duplicates are dropped. Of the others' words those are its
    candidates that occur twice and are nouns, adjectives or participles (:mod:`fgvr.captions.words`); a photo without a
    candidate is an "object". Candidate :math:`w` has the score

    .. math:: \alpha\,\mathrm{softmax}_w(s\,x^\top t_w) + (1 - \alpha)\,\mathrm{softmax}_w(s\,\bar{c}^\top t_w)

    with the photo :math:`x`, texts :math:`t` of the candidates, the normalised mean :math:`\bar{c}` of the captions
    that stay, and the backbone's logit scale :math:`s`. Defaults are those of the released code, with ViT-L/14. Names
    are single words, whatever ``data.class_names`` says. Parts of speech are WordNet's here, and in the paper those of
    a tagger.

    The paper's captions (PMD) are not to be had without a network. The command ``cased-index`` makes an index of any
    captions; without one, those are used that stand in an installed WordNet, its glosses, and the index is built on the
    spot and kept in ``data.cache_dir``. Which captions they were is a part of the row's name, ``cased_glosses`` or
    ``cased_FOLDER``, and is said beside it where tables are printed.

    Args:
        backbone: Image and text tower; the index must be one of its texts.
        index: Folder of an index that ``cased-index`` has made; the glosses of WordNet if not given.
        wordnet: Folder of an installed WordNet, as for ``zs_wordnet``; found by itself if not given.
        captions: How many captions are looked at, 1 or more.
        image_weight: What the photo counts beside its captions (:math:`\alpha`), from 0 to 1.
        templates: Text templates with ``{}`` for a candidate; several are averaged, as in UpperCaSED (arXiv
            2404.10864). The word alone if not given.
        least: How often a word must occur in the captions; where none does, as often as the commonest.
        duplicates: Cosine from which two captions are near-duplicates.

    Raises:
        FgvrError: An option is out of its range.
    """

    row = "cased"
    brings_names: ClassVar[bool] = True
    photos_a_step: ClassVar[int | None] = 256

    def __init__(
        self,
        backbone: Backbone,
        index: Path | None = None,
        wordnet: Path | None = None,
        captions: int = 10,
        image_weight: float = 0.7,
        templates: list[str] | str | None = None,
        least: int = 2,
        duplicates: float = 0.94,
    ) -> None:
        super().__init__(backbone)
        if captions < 1 or least < 1:
            name, number = ("captions", captions) if captions < 1 else ("least", least)
            raise FgvrError(f"model.{name} is {number}; expected 1 or more.")
        if not 0 <= image_weight <= 1:
            raise FgvrError(f"model.image_weight is {image_weight}; expected from 0 (captions alone) to 1.")
        if not 0 < duplicates <= 1:
            raise FgvrError(f"model.duplicates is {duplicates}; expected above 0 and at most 1.")
        # a table of other people's may show no more than the row's name
        self.row = f"cased_{'glosses' if index is None else _slug(Path(index).name)}"
        self.index = index
        self.wordnet = wordnet
        self.captions = captions
        self.image_weight = image_weight
        self.templates = template_list(templates)
        self.least = least
        self.duplicates = duplicates
        self._texts: dict[int, Tensor] = {}

    def row_names(self) -> tuple[str, ...]:
        """See the base class."""
        return (self.row,)

    def discover(self, support: SupportPhotos) -> Vocabulary:
        """Every word that the index could name a photo by; the support photos are not looked at.

        Raises:
            FgvrError: There is no index and no WordNet, one of them is damaged, or the index is of other weights.
        """
        index, words = self._open(support.cache_dir)
        names: dict[str, str] = {}
        for word in [*filter(words.keeps, index.words), NO_WORD]:
            names.setdefault(fold_name(word), word)
        return known_vocabulary(list(names.values()))

    def build(self, vocabulary: Vocabulary, candidates: CandidateSets | None) -> None:
        """Open the index, which ``discover`` may have made."""
        start = time.perf_counter()
        self._cache_dir = default_cache_dir() if self._trainer is None else self.data.cache_dir
        self._index, self._words = self._open(self._cache_dir)
        self._names = vocabulary.names
        self._classes = {fold_name(name): number for number, name in enumerate(vocabulary.names)}
        self._texts = {}
        self.selection["captions"] = self._index.captions
        self.classifier_seconds[self.row] = time.perf_counter() - start

    def candidates_of(self, captions: Sequence[str]) -> list[int]:
        """The classes that a photo with these captions may be, without near-duplicates: at least one."""
        words = candidate_words(captions, self._words.keeps, self.least)
        classes = dict.fromkeys(self._classes[key] for word in words if (key := fold_name(word)) in self._classes)
        return list(classes) or [self._classes[fold_name(NO_WORD)]]

    def predict(self, features: ImageFeatures) -> Tensor:
        """Logarithms of the scores of a photo's candidates, -inf for all other words."""
        images = F.normalize(features.joint.float().cpu(), dim=-1)
        rows, _ = self._index.search(images, self.captions)
        captions = self._index.features(rows)
        stays = distinct(captions, self.duplicates)
        centroids = F.normalize((captions * stays[..., None]).sum(1) / stays.sum(1, keepdim=True), dim=-1)
        candidates = [
            self.candidates_of(self._index.texts(photo[kept].tolist()))
            for photo, kept in zip(rows, stays.numpy(), strict=True)
        ]
        classes, texts = self._padded(candidates)
        scores = two_way_scores(images, centroids, texts, classes >= 0, self.backbone.logit_scale, self.image_weight)
        logits = torch.full((len(images), len(self._names) + 1), -math.inf)
        # what pads is written behind the last class, and cut off
        logits.scatter_(1, torch.where(classes >= 0, classes, len(self._names)), scores.log())
        return logits[:, :-1].to(features.joint.device)

    def _open(self, cache_dir: Path) -> tuple[CaptionIndex, WordnetWords]:
        words = WordnetWords(self.wordnet, "model.wordnet")
        if self.index is not None:
            index = CaptionIndex.open(self.index, "model.index")
            index.require_tower(self.backbone)
            return index, words
        captions = wordnet_captions(self.wordnet, "model.wordnet")
        shown = self._trainer is None or self.trainer.is_global_zero
        return build_index(captions, self.backbone, index_folder(captions, self.backbone, cache_dir), shown), words

    def _padded(self, candidates: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
        """Classes as ``(B, W)``, -1 where a photo has fewer, and their text features, ``(B, W, D)``."""
        classes = torch.full((len(candidates), max(map(len, candidates))), -1)
        for row, each in enumerate(candidates):
            classes[row, : len(each)] = torch.tensor(each)
        needed = sorted(classes[classes >= 0].unique().tolist())
        self._encode([number for number in needed if number not in self._texts])
        table = torch.stack([self._texts[number] for number in needed])
        places = torch.searchsorted(torch.tensor(needed), classes.clamp(min=needed[0]))
        return classes, table[places]

    def _encode(self, missing: Sequence[int]) -> None:
        """Text features of further classes under the templates, kept here and in the cache."""
        if not missing:
            return
        texts = [template.replace("{}", self._names[number]) for template in self.templates for number in missing]
        features = stored_text_features(self.backbone, texts, self._cache_dir / "features", progress=False)
        views = F.normalize(features, dim=-1).view(len(self.templates), len(missing), -1)
        self._texts |= dict(zip(missing, F.normalize(views.mean(0), dim=-1), strict=True))


def two_way_scores(
    images: Tensor, centroids: Tensor, texts: Tensor, present: Tensor, scale: float, image_weight: float
) -> Tensor:
    r"""CaSED's scores of candidates: of the photo and of its captions, each a distribution.

    Args:
        images: L2-normalised image features, shape ``(B, D)``.
        centroids: Of each photo's captions, L2-normalised, shape ``(B, D)``.
        texts: Of each photo's candidates, L2-normalised, shape ``(B, W, D)``.
        present: Which of these are candidates, bool, shape ``(B, W)``; at least one of each photo.
        scale: Factor on cosines.
        image_weight: Of the photo (:math:`\alpha`), from 0 to 1.

    Returns:
        float32, shape ``(B, W)``; 0 where there is no candidate, the others of a photo sum to 1.
    """

    def shares(queries: Tensor) -> Tensor:
        logits = scale * torch.einsum("bd,bwd->bw", queries.float(), texts.float())
        return logits.masked_fill(~present, -math.inf).softmax(-1)

    return image_weight * shares(images) + (1 - image_weight) * shares(centroids)


def _slug(name: str) -> str:
    slug = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") or "captions"
    return "folder_glosses" if slug == "glosses" else slug  # cased_glosses are WordNet's
