"""How two models with prompts, and later with image towers of their own, name photos together."""

import re
import time
from collections.abc import Mapping

import torch
from torch import Tensor

from fgvr.backbones.base import ImageFeatures
from fgvr.classifiers.base import Classifier
from fgvr.filters.base import Filter, PseudoLabels
from fgvr.methods.coft_labels import models_labels
from fgvr.methods.coft_model import CoftModel, log_mean_probabilities
from fgvr.methods.doubting import Doubting
from fgvr.methods.evaluation import FunctionClassifier
from fgvr.methods.staged import StagedMethod

MODELS = 2
_TOWER = re.compile(r"both\.\d+\.tower\.")


class TwoModelMethod(Doubting, StagedMethod):
    """The rows of CoFT and CoFT+.

    Attributes:
        models: Both models, after ``build``.
        texts: Class features of zero-shot, a buffer of shape ``(C, embed_dim)``.
        filter: Which labels a model keeps, and so which photos are doubtful.
    """

    models: list[CoftModel]
    texts: Tensor
    filter: Filter

    def keeps(self, key: str) -> bool:
        """Nor the copies of the image tower, as long as they are what the backbone is."""
        return super().keeps(key) and (_TOWER.match(key) is None or bool(self.tuned))

    def row_names(self) -> tuple[str, ...]:
        """See the base class."""
        return ("zero_shot", "coft_prompts", self.row)

    def image_features(self, images: Tensor) -> Tensor:
        """Features of the untuned tower, then of each model with its tokens, then of each tuned tower, side by side.

        Shape ``(B, 5 * embed_dim)``, or 3 without phase 2.
        """
        parts = [self.backbone.encode_image(images), *(model.encode_prompted(images) for model in self.models)]
        if self.models[0].tower is not None:
            parts += [model.encode_tuned(images) for model in self.models]
        return torch.cat(parts, dim=-1)

    def classifiers(self) -> Mapping[str, Classifier | Tensor]:
        """Zero-shot, the mean of both models with prompts, and that of both tuned towers; see ``image_features``.

        As long as no tower is tuned, ``coft`` is ``coft_prompts``.
        """
        start = time.perf_counter()
        prompts = torch.stack([classes[0] for classes in self.class_features()])
        self.classifier_seconds["coft_prompts"] = self.classifier_seconds[self.row] = time.perf_counter() - start
        scale, texts = self.backbone.logit_scale, self.texts.to(self.device)

        def zero_shot(features: ImageFeatures) -> Tensor:
            return scale * self._parts(features)[0] @ texts.T

        def prompted(features: ImageFeatures) -> Tensor:
            own = self._parts(features)[1 : 1 + MODELS]
            return log_mean_probabilities(scale * own @ prompts.mT)

        def tuned(features: ImageFeatures) -> Tensor:
            own = self._parts(features)[1 + MODELS :]
            logits = [model.head_logits(part) for model, part in zip(self.models, own, strict=True)]
            return log_mean_probabilities(torch.stack(logits))

        functions = {"zero_shot": zero_shot, "coft_prompts": prompted, self.row: tuned if self.tuned else prompted}
        return {row: FunctionClassifier(function) for row, function in functions.items()}

    @property
    def doubt_filter(self) -> Filter:
        """The filter of phase 2."""
        return self.filter

    def said_of(self, features: ImageFeatures) -> PseudoLabels:
        """What both models with their prompts say of photos; see ``image_features``."""
        own = self._parts(features)[1 : 1 + MODELS]
        return models_labels(own, None, self.class_features(), self.backbone.logit_scale)

    @torch.no_grad()
    def class_features(self) -> Tensor:
        """Of both models' positive and negative prompts, shape ``(M, 2, C, embed_dim)``."""
        return torch.stack([model.class_features() for model in self.models])

    def _parts(self, features: ImageFeatures) -> Tensor:
        """The towers' features of ``image_features``, shape ``(towers, B, embed_dim)``."""
        parts: Tensor = features.joint.float().unflatten(-1, (-1, self.backbone.embed_dim)).movedim(1, 0)
        return parts
