"""What TFUP and TFUP-T have in common: texts, and a cache of support photos for each class."""

import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor

from fgvr.backbones.base import Backbone
from fgvr.classifiers.base import Classifier
from fgvr.classifiers.feature_cache import FeatureCacheClassifier
from fgvr.errors import FgvrError
from fgvr.methods.base import Method
from fgvr.methods.sentences import check_sentences, class_texts, read_sentences
from fgvr.methods.tfup_selection import photos_a_class, typical_photos
from fgvr.methods.zero_shot import template_list
from fgvr.records import Vocabulary
from fgvr.text import counted

log = logging.getLogger(__name__)

MOST = 16
_SHARE = 0.3
_KEYS = "cache.keys"


class FeatureCacheMethod(Method):
    """Keeps typical support photos of each class, which nobody has named, and names photos by texts and by these.

    Args:
        backbone: Image and text tower.
        templates: Text templates with ``{}`` for the class name; several are averaged. ``a photo of a {}.`` if not
            given.
        sentences: A JSON file of sentences about each name, ``{name: [sentence, ...]}``, which then stand for it, as in
            the paper. A name without sentences is put into the templates.
        floor: Keep at least so many photos a class, from 1 to 16. The paper's is 9. If not given, 9 too, but not more
            than there are photos a class: with 3 photos of each class, 6 of 9 would be other classes'.
        alpha: Weight of the kept photos beside the text, 0 or more.
        beta: How fast a kept photo counts less that is less alike, 0 or more.

    Raises:
        FgvrError: An option is out of its range.
    """

    needs_candidates = False
    looks_at_support = True

    cache: FeatureCacheClassifier

    def __init__(
        self,
        backbone: Backbone,
        templates: list[str] | str | None = None,
        sentences: Path | None = None,
        floor: int | None = None,
        alpha: float = 0.3,
        beta: float = 1.0,
    ) -> None:
        super().__init__(backbone)
        if floor is not None and not 1 <= floor <= MOST:
            raise FgvrError(f"model.floor is {floor}; expected from 1 to {MOST}, or null for at most N / C photos.")
        for name, value in (("alpha", alpha), ("beta", beta)):
            if not value >= 0:
                raise FgvrError(f"model.{name} is {value}; expected 0 or more.")
        self.templates = template_list(templates, ("a photo of a {}.",))
        self.sentences = sentences
        self.floor = floor
        self.alpha = alpha
        self.beta = beta
        self._learned = False

    def build_cache(self, vocabulary: Vocabulary) -> None:
        """Fill the cache where support photos are there to learn from, or make room for a checkpoint's."""
        start = time.perf_counter()
        classes, width = len(vocabulary), self.backbone.embed_dim
        fitting = self._trainer is not None and self.trainer.state.fn == TrainerFn.FITTING
        # Lightning makes a GPU the default device while it configures a model
        with torch.device("cpu"):
            texts, keys = torch.zeros(classes, width), torch.zeros(classes, 1, width)
            if fitting:
                folder = self.data.cache_dir / "features"
                if self.sentences is not None:
                    found = read_sentences(self.sentences, "model.sentences")
                    check_sentences(vocabulary.names, found, "model.sentences")
                texts = class_texts(self.backbone, vocabulary.names, self.templates, self.sentences, folder)
                self.classifier_seconds["zero_shot"] = time.perf_counter() - start
                keys = self._kept(torch.from_numpy(self.data.support_features("joint")), texts)
            self.cache = FeatureCacheClassifier(texts, keys, self.backbone.logit_scale, self.alpha, self.beta)
        self._learned = fitting
        self.classifier_seconds["tfup"] = time.perf_counter() - start

    def _kept(self, images: Tensor, texts: Tensor) -> Tensor:
        size = photos_a_class(len(images), len(texts), _SHARE, self.floor, MOST)
        rows = typical_photos(images, texts, size)
        log.info(
            "Kept for each of %s: %s of %d, %d different ones in all",
            counted(len(texts), "class", "classes"),
            counted(rows.shape[1], "photo"),
            len(images),
            len(rows.unique()),
        )
        return images[rows]

    def classifiers(self) -> Mapping[str, Classifier | Tensor]:
        """The texts alone, and with the cache."""
        return {"zero_shot": self.cache.class_features, "tfup": self.cache}

    def begin_evaluation(self) -> None:
        """See the base class. Photos that are named and kept confirm themselves, which is said."""
        super().begin_evaluation()
        if self._pass == "validate" or self.data.images.evaluated_split != "support":
            return
        images = torch.from_numpy(self.data.evaluated_features("joint", self._pass))
        kept = self.cache.holds(images.to(self.device))
        if kept.any():
            log.warning(
                "%d of the %s that are named are kept in the cache themselves, where each says most for the classes "
                "that it is kept for, right or wrong. zero_shot is without that; so are the other rows where photos to "
                "learn from are other ones (with data.dataset folder, those in 'train' beside those in 'test')",
                *(int(kept.sum()), counted(len(images), "photo")),
            )

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Take a state back, whose cache may be of any size.

        Raises:
            FgvrError: It does not fit, or the run goes on and has other texts or keeps other photos.
        """
        keys = state_dict.get(_KEYS)
        if not isinstance(keys, Tensor) or keys.ndim != 3:
            return super().load_state_dict(state_dict, strict, assign)  # which says that there is no cache
        if not self._learned:
            self.cache.make_room(keys.shape[1])
        elif keys.shape != self.cache.keys.shape or not torch.allclose(
            keys.cpu(), self.cache.keys.cpu(), rtol=1e-3, atol=1e-4
        ):
            raise FgvrError(
                "The checkpoint keeps other photos than this run does now: class names, options under 'model', support "
                "photos or features are not those of then. Go on with the config.yaml of its own run folder, or start "
                "a new run."
            )
        return super().load_state_dict(state_dict, strict, assign)
