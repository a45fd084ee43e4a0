"""ReCLIP (Hu et al. 2024): both towers learn from the names on which their neighbours agree."""

import logging
import math
import time
from typing import Any, ClassVar

import numpy as np
import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from fgvr.backbones.base import Backbone
from fgvr.candidates.search import EXACT_BELOW
from fgvr.data.batches import Batch
from fgvr.errors import FgvrError
from fgvr.methods.base import Method
from fgvr.methods.photo_features import encode_training_photos
from fgvr.methods.reclip_propagation import centroids, projection, propagate
from fgvr.methods.tuned_weights import NORMS, TunedWeights
from fgvr.methods.zero_shot import template_features, template_list
from fgvr.records import CandidateSets, Vocabulary
from fgvr.text import counted

log = logging.getLogger(__name__)


class ReclipMethod(Method):
    r"""Pseudo-labels by label propagation, on which a text and an image branch must agree; no labeler is asked.

    ReCLIP (Hu et al., WACV 2024). The text branch tunes the normalisation layers of the text tower, the image branch
    those of the image tower; everything else stays as it was. At the start of each epoch

    1. all training photos are encoded without augmentation;
    2. class names spread over the graph of nearest texts and photos, in the space of what tells the texts apart
       (``fgvr.methods.reclip_propagation``): once over the text branch's texts and the untuned tower's photos, once
       over the untuned texts and the image branch's photos;
    3. the image branch's classifier becomes the mean of the texts and photos of each of its pseudo-labels.

    The epoch then trains both on the photos :math:`\mathcal{A}` whose two pseudo-labels are the same,

    .. math:: L = \frac{1}{|\mathcal{A}|} \sum_{i \in \mathcal{A}}
              \mathrm{CE}(s f_i t^\top, y_i) + \mathrm{CE}(s f'_i m^\top, y_i)

    with photos f of the untuned and f' of the tuned tower, tuned texts t, means m and the backbone's logit scale s.
    Rows: ``zero_shot`` (untuned), ``reclip_text`` and ``reclip_image`` (each branch alone) and ``reclip``, the mean of
    both branches' logits. The state after the last epoch is evaluated, on photos that took no part in training.

    Defaults are the released code's, at its batch size of 64. It divides the image branch's loss by the batch size once
    more, by mistake it seems; the loss here is as above, and ``image_lr`` is its 0.001 divided by 64. Other than here,
    it trains on the photos that it classifies and reports the best epoch by their true names. What it evaluates last
    was trained for ``int(N / 5000) + 1`` epochs (here: ``trainer.max_epochs``).

    Args:
        backbone: Image and text tower, both with normalisation layers.
        templates: Text templates with ``{}`` for the class name; the name alone if not given. Propagation uses the
            average of all; the text branch is trained and evaluated with the first.
        text_lr: Learning rate of SGD in the text branch.
        image_lr: Learning rate of SGD in the image branch.
        momentum: Of SGD.
        weight_decay: Of SGD.
        k: Neighbours of each text and photo in the graph, at least 1; best not many more than a class has photos.
        alpha: How far names travel through the graph, above 0 and below 1.
        project: Whether the graph lives in the space of what tells the texts apart, or in that of the features.
        cut_dim: Singular directions of the text features that the graph lives in, counted with the first, which is
            dropped; at least 2. All of them if not given, but 250 of more than 500 classes.
        cg_steps: Most steps of conjugate gradients, at least 1.
        exact_below: Most nodes for the exact search of neighbours, whose time grows with their square.

    Raises:
        FgvrError: An option is out of its range.
    """

    row = "reclip"
    needs_pixels: ClassVar[bool] = True
    changes_copies: ClassVar[bool] = True
    needs_candidates = False
    logged: ClassVar[tuple[str, ...] | None] = ("train/loss", "train/agreement")

    image_classes: Tensor

    def __init__(
        self,
        backbone: Backbone,
        templates: list[str] | str | None = None,
        text_lr: float = 1e-3,
        image_lr: float = 1.6e-5,
        momentum: float = 0.9,
        weight_decay: float = 1e-4,
        k: int = 20,
        alpha: float = 0.99,
        project: bool = True,
        cut_dim: int | None = None,
        cg_steps: int = 20,
        exact_below: int = EXACT_BELOW,
    ) -> None:
        super().__init__(backbone)
        for name, rate in (("text_lr", text_lr), ("image_lr", image_lr)):
            if not rate > 0:
                raise FgvrError(f"model.{name} is {rate}; expected above 0, for instance 0.001.")
        for name, number, least in (("k", k, 1), ("cut_dim", cut_dim, 2), ("cg_steps", cg_steps, 1)):
            if number is not None and number < least:
                raise FgvrError(f"model.{name} is {number}; expected {least} or more.")
        if not 0 < alpha < 1:
            raise FgvrError(f"model.alpha is {alpha}; expected above 0 and below 1, for instance 0.99.")
        self.templates = template_list(templates)
        self.text_lr = text_lr
        self.image_lr = image_lr
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.k = k
        self.alpha = alpha
        self.project = project
        self.cut_dim = cut_dim
        self.cg_steps = cg_steps
        self.exact_below = exact_below
        self.pseudo_labels: Tensor | None = None
        self._images: Tensor | None = None

    def build(self, vocabulary: Vocabulary, candidates: CandidateSets | None) -> None:
        """Copy the normalisation layers, and encode the class names with the untuned tower.

        Raises:
            FgvrError: There are no two classes to tell apart, or a tower cannot be tuned.
        """
        start = time.perf_counter()
        self._names = vocabulary.names
        self._prompts = [self.templates[0].replace("{}", name.replace("_", " ")) for name in vocabulary.names]
        self._texts = template_features(self.backbone, vocabulary.names, self.templates)
        if projection(_array(self._texts), self.cut_dim).shape[1] == 0:
            raise FgvrError(
                f"reclip tells classes apart by their text features, and those of {len(self._names)} class(es) are all "
                "the same: check data.class_names and model.templates."
            )
        self.classifier_seconds["zero_shot"] = time.perf_counter() - start
        pixels = self.backbone.transform(Image.new("RGB", (64, 64))).unsqueeze(0).to(self.backbone.device)
        self.text_norms = TunedWeights(
            self.backbone, lambda backbone: backbone.embed_text(self._prompts[:1]), "text", NORMS
        )
        self.image_norms = TunedWeights(self.backbone, lambda backbone: backbone.encode_image(pixels), "image", NORMS)
        self.register_buffer("image_classes", self._texts.clone())

    def on_train_start(self) -> None:
        """Forget the photos of another training."""
        super().on_train_start()
        self._images = self.pseudo_labels = None

    def on_train_epoch_start(self) -> None:
        """Make the epoch's pseudo-labels and the image branch's classifier."""
        self.make_pseudo_labels()

    def make_pseudo_labels(self) -> None:
        """Encode all training photos on all processes, and propagate on process 0.

        ``pseudo_labels`` is then the class on which both branches agree, -1 where they do not, int64, shape ``(N,)``.

        Raises:
            FgvrError: Features are not finite.
        """
        start = time.perf_counter()
        with torch.no_grad(), self.trainer.precision_plugin.forward_context():
            images = self._encode_images()
            texts = self.text_norms(lambda backbone: template_features(backbone, self._names, self.templates))
        if not (images.isfinite().all() and texts.isfinite().all()):
            raise FgvrError(
                f"The features are not finite after {counted(self.current_epoch, 'epoch')}: training diverged. Lower "
                f"model.text_lr ({self.text_lr}) or model.image_lr ({self.image_lr})."
            )
        made: Any = None
        if self.trainer.is_global_zero:
            made = self._propagate(_array(texts), _array(self._untuned), _array(images))
        labels, means = self.trainer.strategy.broadcast(made)
        self.pseudo_labels = torch.from_numpy(labels).to(self.device)
        self.image_classes.copy_(torch.from_numpy(means))
        agreed = (labels >= 0).mean()
        log.info("Pseudo-labels agree on %.1f %% of the photos (%.1f s)", 100 * agreed, time.perf_counter() - start)
        if not agreed:
            log.warning("There is no photo whose two pseudo-labels agree: nothing is learned in this epoch.")
        self.log("train/agreement", float(agreed), on_step=False, on_epoch=True, rank_zero_only=True)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Mean loss over the agreed photos of the global batch."""
        if self.pseudo_labels is None:  # resumed in the middle of an epoch
            self.make_pseudo_labels()
        assert self.pseudo_labels is not None
        labels = self.pseudo_labels[batch.rows]
        agreed = labels >= 0
        count = self.trainer.strategy.reduce(agreed.sum().float(), reduce_op="sum").clamp(min=1)
        # the others need not be encoded, but DDP wants a gradient from every process
        picked = agreed.nonzero().squeeze(1) if agreed.any() else torch.zeros(1, dtype=torch.int64, device=self.device)
        labels = labels[picked]
        texts = self.text_norms(lambda backbone: backbone.embed_text(self._prompts))
        images = self._encode_image(batch.images[picked])
        untuned = self._untuned[batch.rows[picked]]
        with torch.autocast(self.device.type, enabled=False):
            text_loss = self._cross_entropy(untuned, texts.float(), labels)
            image_loss = self._cross_entropy(images.float(), self.image_classes, labels)
        # DDP averages gradients over processes: times their number, the sum over all photos is divided once
        loss: Tensor = (text_loss + image_loss) * self.trainer.world_size / count
        self.log("train/loss", loss.detach(), on_step=False, on_epoch=True, prog_bar=True, sync_dist=True, batch_size=1)
        return loss

    def image_features(self, images: Tensor) -> Tensor:
        """Features of the untuned and of the tuned tower side by side, of length 1, shape ``(B, 2 * embed_dim)``."""
        return torch.cat([self.backbone.encode_image(images), self._encode_image(images)], dim=-1) / math.sqrt(2)

    def row_names(self) -> tuple[str, ...]:
        """See the base class."""
        return ("zero_shot", "reclip_text", "reclip_image", self.row)

    def classifiers(self) -> dict[str, Tensor]:
        """One for the untuned towers, one for each branch, and both side by side, so that their logits are averaged.

        Shape ``(C, 2 * embed_dim)``; see ``image_features``.
        """
        start = time.perf_counter()
        with torch.no_grad():
            texts = self.text_norms(lambda backbone: backbone.embed_text(self._prompts)).float()
        self.classifier_seconds["reclip_text"] = self.classifier_seconds[self.row] = time.perf_counter() - start
        zero_shot, means = self._texts.to(self.device), self.image_classes
        none = torch.zeros_like(texts)
        return {
            "zero_shot": torch.cat([zero_shot, none], dim=-1) * math.sqrt(2),
            "reclip_text": torch.cat([texts, none], dim=-1) * math.sqrt(2),
            "reclip_image": torch.cat([none, means], dim=-1) * math.sqrt(2),
            self.row: torch.cat([texts, means], dim=-1) / math.sqrt(2),
        }

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """SGD at a constant rate, one for each branch."""
        return torch.optim.SGD(
            [
                {"params": list(self.text_norms.parameters()), "lr": self.text_lr},
                {"params": list(self.image_norms.parameters()), "lr": self.image_lr},
            ],
            momentum=self.momentum,
            weight_decay=self.weight_decay,
        )

    def _encode_images(self) -> Tensor:
        """The training photos in the image branch, without augmentation; the first time in the untuned tower too."""

        def encode(pixels: Tensor) -> Tensor:
            towers = [self._encode_image(pixels)]
            if self._images is None:
                towers.append(self.backbone.encode_image(pixels))
            return torch.stack(towers, dim=1).float()

        features = encode_training_photos(self, encode)
        if self._images is None:
            self._images = features[:, 1].contiguous()
        return features[:, 0].contiguous()

    def _propagate(
        self, texts: NDArray[np.float32], untuned: NDArray[np.float32], images: NDArray[np.float32]
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Labels on which both branches agree, shape ``(N,)``, and the image branch's classifier, ``(C, D)``."""
        fixed = _array(self._texts)
        by_text, by_image = (
            propagate(
                nodes,
                features,
                projection(nodes, self.cut_dim) if self.project else None,
                self.k,
                self.alpha,
                self.cg_steps,
                self.exact_below,
            )
            for nodes, features in ((texts, untuned), (fixed, images))
        )
        classes = len(texts)
        labels = np.where(by_text == by_image, by_text, -1)[classes:]
        return labels, centroids(fixed, images, by_image)

    @property
    def _untuned(self) -> Tensor:
        assert self._images is not None, "they are encoded with the first pseudo-labels"
        return self._images

    def _encode_image(self, pixels: Tensor) -> Tensor:
        features: Tensor = self.image_norms(lambda backbone: backbone.encode_image(pixels))
        return features

    def _cross_entropy(self, images: Tensor, classes: Tensor, labels: Tensor) -> Tensor:
        logits = self.backbone.logit_scale * (images @ classes.T)
        return F.cross_entropy(logits, labels, ignore_index=-1, reduction="sum")


def _array(features: Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = features.detach().float().cpu().numpy()
    return array
