"""FLYP: the contrastive loss of the pre-training goes on, with names under templates as texts."""

import hashlib
import logging
import time
from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from fgvr.backbones.base import Backbone
from fgvr.data.batches import Batch
from fgvr.data.run_state import run_seed
from fgvr.errors import FgvrError
from fgvr.methods.contrastive import contrastive_loss, gather_rows
from fgvr.methods.fine_tune import FineTuneMethod, nearest_class
from fgvr.methods.zero_shot import template_features
from fgvr.records import CandidateSets, Vocabulary
from fgvr.text import counted

log = logging.getLogger(__name__)

_CHECKPOINT_KEY = "flyp"


class FlypMethod(FineTuneMethod):
    """Fine-tune like you pre-train (Goyal et al. 2023) on pseudo-labels: LatteCLIP's strongest baseline.

    The loss is CLIP's, half of LatteCLIP's equation 3, between each photo and the name of its label under a template,
    drawn anew for each photo and step. Photos with equal texts are each other's negatives, as in FLYP. The learning
    rate is FLYP's; LatteCLIP trains its baseline with 1e-7 (1e-6 on Food101 and SUN397), batches of 512, and at most
    2,000 steps or 50 epochs.

    The classifier of an evaluation is that of ``zero_shot``, through the text tower as it is then.

    Args:
        backbone: Image and text tower.
        labels: ``pseudo``: the model's own, no photo's true name is seen. ``true``: the true names of the support
            photos, which makes the run an **oracle**: what the baseline could reach with human labels.
        refresh: When pseudo-labels are made. ``step``: in every step, by the current model, from the views of the step
            (LatteCLIP's paper; that the views are the augmented ones is assumed). ``epoch``: from plain views at the
            start of every epoch. ``never``: once, before training, zero-shot (LatteCLIP's released code).
        templates: Text templates with ``{}`` for the class name: one is drawn for each text of the loss, all are
            averaged for pseudo-labels and evaluation. ``a photo of a {}.`` if not given.
        warmup_steps: First steps, through which the rate rises linearly; a cosine to zero over all steps follows.
            FLYP: 500.
        **kwargs: Arguments of ``FineTuneMethod``.
    """

    row = "flyp"

    def __init__(
        self,
        backbone: Backbone,
        labels: Literal["pseudo", "true"] = "pseudo",
        refresh: Literal["step", "epoch", "never"] = "step",
        templates: list[str] | str | None = None,
        *,
        warmup_steps: int = 10,
        **kwargs: Any,
    ) -> None:
        super().__init__(backbone, templates, warmup_steps=warmup_steps, **kwargs)
        for key, value, allowed in (
            ("labels", labels, ("pseudo", "true")),
            ("refresh", refresh, ("step", "epoch", "never")),
        ):
            if value not in allowed:
                raise FgvrError(f"model.{key} is {value!r}; expected one of {', '.join(allowed)}.")
        self.labels = labels
        self.refresh = refresh
        self._sample_labels: Tensor | None = None
        if labels == "true":
            self.selection["oracle"] = True

    def build(self, vocabulary: Vocabulary, candidates: CandidateSets | None) -> None:
        """Thaw the towers, and encode the class names by the weights that they have before training."""
        super().build(vocabulary, candidates)
        self._names = vocabulary.names
        self._zero_shot = template_features(self.backbone, self._names, self.templates)
        spoken = [name.replace("_", " ") for name in self._names]
        self._texts = [[template.replace("{}", name) for name in spoken] for template in self.templates]

    def on_fit_start(self) -> None:
        """Find the labels that do not change.

        Raises:
            FgvrError: True names are asked for, and not all are known or in the vocabulary.
        """
        if self.labels == "true":
            self._sample_labels = self._true_labels()
        elif self.refresh == "never" and self._sample_labels is None:  # a resumed run has its own
            self._sample_labels = self.label_support(self._zero_shot.to(self.device))
        if self._sample_labels is not None:
            self._sample_labels = self._sample_labels.to(self.device)

    def on_train_epoch_start(self) -> None:
        """Find the labels of this epoch."""
        if self.labels == "pseudo" and self.refresh == "epoch":
            self._sample_labels = self.label_support(self._class_features())

    def texts_of(self, batch: Batch, image_features: Tensor) -> Sequence[str]:
        """The name of each photo's label, under a template that depends on seed, epoch and photo."""
        if self._sample_labels is None:
            labels = nearest_class(image_features, self._class_features())
        else:
            labels = self._sample_labels[batch.rows]
        generator = torch.Generator("cpu").manual_seed((run_seed() << 24) + self.current_epoch)
        drawn = torch.randint(len(self.templates), (len(self.data.support),), generator=generator, device="cpu")
        templates = drawn[batch.rows.cpu()].tolist()
        return [self._texts[template][label] for template, label in zip(templates, labels.tolist(), strict=True)]

    def loss(self, batch: Batch, image_features: Tensor, text_features: Tensor) -> Tensor:
        """CLIP's loss over the photos of all processes."""
        return contrastive_loss(gather_rows(image_features), gather_rows(text_features), self.scale) / 2

    def classifiers(self) -> dict[str, Tensor]:
        """The class names under the templates, by the current text tower."""
        start = time.perf_counter()
        features = self._class_features()
        self.classifier_seconds[self.row] = time.perf_counter() - start
        return {self.row: features}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the pseudo-labels, which the trained model could not make again."""
        super().on_save_checkpoint(checkpoint)
        if self.labels == "pseudo" and self._sample_labels is not None:
            checkpoint[_CHECKPOINT_KEY] = {"labels": self._sample_labels.cpu(), "key": self._labels_key()}

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take the pseudo-labels back where training goes on.

        Raises:
            FgvrError: They are of other photos or classes.
        """
        super().on_load_checkpoint(checkpoint)
        kept = checkpoint.get(_CHECKPOINT_KEY)
        if kept is None or self.labels == "true" or self.refresh == "step" or not self.trainer.training:
            return
        if kept["key"] != self._labels_key():
            raise FgvrError(
                "The pseudo-labels of the checkpoint are of other photos or classes: put back the support photos and "
                "the class names of its run, or start a new run without ckpt_path."
            )
        self._sample_labels = kept["labels"]

    def _class_features(self) -> Tensor:
        return template_features(self.backbone, self._names, self.templates)

    def _labels_key(self) -> str:
        sample_ids = [record.sample_id for record in self.data.support]
        return hashlib.sha256("\0".join([*sample_ids, "", *self._names]).encode()).hexdigest()

    def _true_labels(self) -> Tensor:
        classes = {name: number for number, name in enumerate(self._names)}
        truth = [self.data.images.truth.get(record.sample_id) for record in self.data.support]
        for record, name in zip(self.data.support, truth, strict=True):
            if name not in classes:
                problem = "has no true name" if name is None else f"is a {name!r}, which is not in the vocabulary"
                raise FgvrError(
                    f"model.labels is 'true', but {record.sample_id!r} {problem}. Set data.class_names to dataset "
                    "and give photos with true names, or set model.labels to pseudo."
                )
        log.warning("Oracle: true names are trained on, of %s", counted(len(truth), "support photo"))
        return torch.tensor([classes[name] for name in truth if name is not None], device=self.device)
