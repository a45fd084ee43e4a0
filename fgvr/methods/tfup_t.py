"""TFUP-T: a small adapter of photos and a residual of texts, learned from what TFUP says of support photos."""

import logging
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.nn import functional as F

from fgvr.backbones.base import Backbone, ImageFeatures
from fgvr.classifiers.base import Classifier
from fgvr.classifiers.feature_cache import kept_photo_scores, log_denominators
from fgvr.data.batches import Batch
from fgvr.errors import FgvrError
from fgvr.methods.contrastive import gather_rows
from fgvr.methods.evaluation import FunctionClassifier
from fgvr.methods.feature_cache import FeatureCacheMethod
from fgvr.methods.tfup_selection import photos_a_class, typical_photos
from fgvr.records import CandidateSets, Vocabulary
from fgvr.text import counted

log = logging.getLogger(__name__)

_REDUCTION = 4
_EPS = 1e-6


@dataclass(frozen=True, eq=False)
class RefinedPhotos:
    """What is known of the N support photos before the training.

    Attributes:
        images: Features of their plain views, L2-normalised, shape ``(N, D)``.
        labels: The class that TFUP gives each, int64, shape ``(N,)``.
        counts: How many classes the refined set has each photo for, float32, shape ``(N,)``; 0 outside it.
    """

    images: Tensor
    labels: Tensor
    counts: Tensor

    def to(self, device: torch.device) -> "RefinedPhotos":
        """The same on another device."""
        return RefinedPhotos(self.images.to(device), self.labels.to(device), self.counts.to(device))


class TfupTMethod(FeatureCacheMethod):
    r"""Trains an adapter and a residual on what TFUP is sure of; no labeler is asked about photos.

    TFUP-T, the trained sibling of :class:`fgvr.methods.tfup.TfupMethod`. Both towers stay frozen. With the two matrices
    A and B of the adapter, without bias, and the residual R, which starts at zero,

    .. math:: f' \sim 0.8\,f + 0.2\,\mathrm{relu}(B\,\mathrm{relu}(A f)), \qquad w'_c \sim 0.5\,l\,w_c + 0.5\,r_c

    are of length 1, and a photo's logits are the backbone's scale times their products. The first ``warmup_epochs``
    lower the cross entropy of the refined set: photos that are chosen for each class like those of the cache, but more,
    with the class that TFUP gives them. After that, TFUP with f' and w' names the plain view of each photo of a batch;
    the cross entropy of those with a probability above ``threshold`` is lowered, and
    :math:`0.3 \sum_k \bar{p}_k \log (\bar{p}_k + 10^{-6})` of the mean of the batch's probabilities, so that all
    classes are used. What is trained on are the views that the data gives (``data.augment``: the paper's are ``coop``).

    Support photos are trained on, without their true names, and evaluated ones never are. The released code trains on
    the photos that it classifies, except on DomainNet, and reports the epoch that is best by their true names; here the
    last epoch is evaluated. Evaluation is without the cache, as there.

    From the released code (d95d4d3): all of the above; AdamW with ``eps`` 0.003; 30 epochs of batches of 256, 5 of
    them warm-up; the rates 0.05 on Office-31 and 0.012 elsewhere.
    Other than there, and assumed:

    - A warm-up epoch passes all support photos, of which those outside the refined set weigh nothing, and one that was
      chosen for two classes weighs twice. There, it passes batches of the refined set. The objective is the same.
    - The rate falls to zero with the last step. There, the cosine is as long as 30 epochs of the refined set, which is
      shorter than the training where that set is smaller than all photos, and the rate rises again at the end.
    - ``text_length``: there, W is as long as CLIP's text features are before they are normalised, about 10 (assumed),
      which makes the rate of R mild beside it; texts here have length 1.
    - Parameters are float32 (there float16); scale, ``floor`` and sentences are those of ``TfupMethod``.

    Rows: ``zero_shot``, ``tfup`` and ``tfup_t``.

    Args:
        backbone: Image and text tower.
        refined_share: Share of N / C that the refined set has for each class, above 0 (the paper: 0.75; on Office-31
            and VisDA-2017 0.5); at least as many as ``floor`` says.
        warmup_epochs: First epochs, on the refined set; 0 or more.
        image_share: Share of the adapter in a photo's feature, from 0 to below 1.
        text_share: Share of the residual in a text, from 0 to below 1.
        text_length: Length l of a text that the residual is added to, above 0.
        threshold: Probability above which TFUP's class is learned after the warm-up, from 0 to below 1.
        balance: Weight of the term that has all classes used, 0 or more.
        lr: Learning rate of AdamW, above 0; a cosine to zero over all steps.
        weight_decay: Of AdamW.
        eps: Of AdamW.
        **kwargs: Arguments of ``FeatureCacheMethod``.

    Raises:
        FgvrError: An option is out of its range.
    """

    row = "tfup_t"
    untrained_rows: ClassVar[tuple[str, ...]] = ("zero_shot", "tfup")
    logged: ClassVar[tuple[str, ...] | None] = ("train/loss", "train/confident")

    def __init__(
        self,
        backbone: Backbone,
        refined_share: float = 0.75,
        warmup_epochs: int = 5,
        image_share: float = 0.2,
        text_share: float = 0.5,
        text_length: float = 10.0,
        threshold: float = 0.9,
        balance: float = 0.3,
        lr: float = 0.012,
        weight_decay: float = 0.1,
        eps: float = 3e-3,
        **kwargs: Any,
    ) -> None:
        super().__init__(backbone, **kwargs)
        above_zero = {"refined_share": refined_share, "text_length": text_length, "lr": lr, "eps": eps}
        from_zero = {"warmup_epochs": warmup_epochs, "balance": balance, "weight_decay": weight_decay}
        shares = {"image_share": image_share, "text_share": text_share, "threshold": threshold}
        for values, fits, expected in (
            (above_zero, lambda value: value > 0, "above 0"),
            (from_zero, lambda value: value >= 0, "0 or more"),
            (shares, lambda value: 0 <= value < 1, "from 0 to below 1"),
        ):
            for name, value in values.items():
                if not fits(value):
                    raise FgvrError(f"model.{name} is {value}; expected {expected}.")
        self.refined_share = refined_share
        self.warmup_epochs = warmup_epochs
        self.image_share = image_share
        self.text_share = text_share
        self.text_length = text_length
        self.threshold = threshold
        self.balance = balance
        self.lr = lr
        self.weight_decay = weight_decay
        self.eps = eps
        self._photos: RefinedPhotos | None = None

    def build(self, vocabulary: Vocabulary, candidates: CandidateSets | None) -> None:
        """Make adapter and residual, and, for a training, what is learned from."""
        self.build_cache(vocabulary)
        width = self.backbone.embed_dim
        inner = max(1, width // _REDUCTION)
        self.down = nn.Linear(width, inner, bias=False)
        self.up = nn.Linear(inner, width, bias=False)
        self.residual = nn.Parameter(torch.zeros(len(vocabulary), width))
        if self._learned:
            start = time.perf_counter()
            with torch.device("cpu"):
                self._photos = self._refined(torch.from_numpy(self.data.support_features("joint")))
            self.classifier_seconds[self.row] = self.classifier_seconds["tfup"] + time.perf_counter() - start

    @torch.no_grad()
    def _refined(self, images: Tensor) -> RefinedPhotos:
        texts = self.cache.class_features
        size = photos_a_class(len(images), len(texts), self.refined_share, self.floor)
        chosen = typical_photos(images, texts, size)
        counts = chosen.flatten().bincount(minlength=len(images)).float()
        log.info("Refined set: %d of %s", int((counts > 0).sum()), counted(len(images), "support photo"))
        return RefinedPhotos(images, self.cache(ImageFeatures(images)).argmax(1), counts)

    def on_train_start(self) -> None:
        """Say what of the recipe is missing."""
        super().on_train_start()
        if self.data.features.augment is None:
            log.warning(
                "tfup_t is to learn from random views what TFUP says of plain ones, and there are none: set "
                "data.augment to coop, and data.views to 8 to have them stored"
            )
        epochs = self.trainer.max_epochs or 0
        if 0 < epochs <= self.warmup_epochs:
            log.warning(
                "All %s are warm-up (model.warmup_epochs is %d), so only the refined set is learned from: raise "
                "trainer.max_epochs; the paper's is 30",
                counted(epochs, "epoch"),
                self.warmup_epochs,
            )

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """The loss over the photos of all processes, which each of them computes."""
        assert self._photos is not None, "it is made when the model is configured"
        if self._photos.images.device != self.device:
            self._photos = self._photos.to(self.device)
        views = self.image_features(batch.images)
        with torch.autocast(self.device.type, enabled=False):
            classes = self.class_features()
            logits = self.backbone.logit_scale * gather_rows(self.adapted(views.float())) @ classes.T
            if self.current_epoch < self.warmup_epochs:
                labels, weights = self._photos.labels[batch.rows], self._photos.counts[batch.rows]
                loss = weighted_cross_entropy(logits, gather_rows(labels), gather_rows(weights))
            else:
                labels, weights = self._confident(self._photos.images[batch.rows], classes)
                weights = gather_rows(weights)
                loss = weighted_cross_entropy(logits, gather_rows(labels), weights)
                loss = loss + self.balance * negative_entropy_of_mean(logits)
                self._log("train/confident", weights.mean())
        self._log("train/loss", loss.detach())
        return loss

    def _log(self, name: str, figure: Tensor) -> None:
        # it is the same on all processes
        self.log(name, figure, on_step=False, on_epoch=True, prog_bar=True, sync_dist=True, batch_size=1)

    @torch.no_grad()
    def _confident(self, plain: Tensor, classes: Tensor) -> tuple[Tensor, Tensor]:
        """What TFUP says of plain views with the adapter and texts of this step, and 1 where it is sure, else 0."""
        images, keys = self.adapted(plain), self.cache.keys
        kept = kept_photo_scores(images, classes, keys, log_denominators(keys.flatten(0, 1), classes), self.beta)
        logits = self.backbone.logit_scale * images @ classes.T + self.alpha * kept
        scores, labels = logits.softmax(1).max(1)
        return labels, (scores > self.threshold).float()

    def adapted(self, images: Tensor) -> Tensor:
        """Features f' of photos: their own and the adapter's, of length 1, shape ``(B, D)``."""
        change = self.up(self.down(images).relu()).relu()
        return F.normalize(self.image_share * change + (1 - self.image_share) * images, dim=-1)

    def class_features(self) -> Tensor:
        """Features w' of the classes: their texts and the residual, of length 1, shape ``(C, D)``."""
        texts = self.text_length * self.cache.class_features
        return F.normalize((1 - self.text_share) * texts + self.text_share * self.residual, dim=-1)

    def predict(self, features: ImageFeatures) -> Tensor:
        """Cosines of adapted photos and texts, times the backbone's scale; the cache has no part in it."""
        images = features.joint.float()
        with torch.autocast(images.device.type, enabled=False):
            logits: Tensor = self.backbone.logit_scale * self.adapted(images) @ self.class_features().T
        return logits

    def classifiers(self) -> Mapping[str, Classifier | Tensor]:
        """The texts, TFUP, and what was learned."""
        return {**super().classifiers(), self.row: FunctionClassifier(self.predict)}

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """AdamW, stepped along a cosine to zero with each batch.

        Raises:
            FgvrError: The number of steps is not known.
        """
        parameters = [self.residual, *self.down.parameters(), *self.up.parameters()]
        optimizer = torch.optim.AdamW(parameters, lr=self.lr, eps=self.eps, weight_decay=self.weight_decay)
        total = self.trainer.estimated_stepping_batches
        if not math.isfinite(total):
            raise FgvrError("The cosine schedule needs trainer.max_epochs or trainer.max_steps: 1 or more.")

        def factor(step: int) -> float:
            return 0.5 * (1 + math.cos(math.pi * min(step / total, 1)))

        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def weighted_cross_entropy(logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """Mean cross entropy by weights; zero, with gradients of zero, where all weights are zero.

    Args:
        logits: Shape ``(B, C)``.
        labels: int64, shape ``(B,)``.
        weights: 0 or more, shape ``(B,)``.

    Example:
        >>> logits = torch.tensor([[0.0, 0.0], [9.0, 0.0]])
        >>> round(weighted_cross_entropy(logits, torch.tensor([0, 1]), torch.tensor([2.0, 0.0])).item(), 4)
        0.6931
    """
    total = weights.sum()
    losses = F.cross_entropy(logits, labels, reduction="none")
    return (losses * weights).sum() / total.masked_fill(total == 0, 1)


def negative_entropy_of_mean(logits: Tensor) -> Tensor:
    r"""The sum :math:`\sum_k \bar{p}_k \log (\bar{p}_k + 10^{-6})` of mean probabilities, lowest where all are equal.

    Args:
        logits: Shape ``(B, C)``.

    Example:
        >>> round(negative_entropy_of_mean(torch.tensor([[9.0, 0.0], [0.0, 9.0]])).item(), 4)
        -0.6931
    """
    mean = logits.softmax(1).mean(0)
    return (mean * (mean + _EPS).log()).sum()
