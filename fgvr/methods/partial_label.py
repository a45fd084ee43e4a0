"""What methods have in common that train a head on candidate sets, with both towers frozen."""

import math
import time
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor
from torchmetrics.utilities.distributed import gather_all_tensors

from fgvr.backbones.base import Backbone, ImageFeatures
from fgvr.candidates.base import CandidateStrategy
from fgvr.classifiers.base import Classifier
from fgvr.classifiers.centred import CentredClassifier
from fgvr.classifiers.choice import deviation
from fgvr.classifiers.cosine import CosineClassifier
from fgvr.classifiers.fused import FusedClassifier
from fgvr.data.batches import Batch
from fgvr.errors import FgvrError
from fgvr.heads.base import Head
from fgvr.losses.base import Loss, PartialLabels, StepContext, state_key
from fgvr.losses.proden import ProdenLoss
from fgvr.methods.base import Method
from fgvr.methods.schedules import warn_of_schedule
from fgvr.methods.visual import SupportNames, VisualFit, fit_visual, text_scores
from fgvr.methods.zero_shot import template_features, template_list
from fgvr.records import CandidateSets, Vocabulary


class PartialLabelMethod(Method):
    """Train a head with a partial-label loss; SGD, stepped once an epoch through warm-up and a cosine to zero.

    With ``fuse``, one more row is the head together with the other kind of evidence: with class means where the head
    reads the joint space, and with zero-shot where it reads the visual one. The weight of the text is the one that
    leave-one-out chooses for class means and zero-shot: a trained head has seen the names that would judge it.

    Args:
        backbone: Image and text tower.
        head: What is learned.
        loss: Partial-label loss; ``proden`` if not given.
        templates: Text templates of the zero-shot row, with ``{}`` for the class name. The name alone if not given.
        fuse: Whether to fuse.
        lr: Learning rate of SGD.
        momentum: Of SGD.
        weight_decay: Of SGD.
        warmup_epochs: First epochs, at ``warmup_lr``; a cosine to zero over the remaining ones follows.
        warmup_lr: Learning rate of the warm-up.
    """

    logged: ClassVar[tuple[str, ...] | None] = ("train/loss",)

    def __init__(
        self,
        backbone: Backbone,
        head: Head,
        loss: Loss | None = None,
        templates: list[str] | str | None = None,
        fuse: bool = False,
        lr: float = 0.002,
        momentum: float = 0.9,
        weight_decay: float = 5e-4,
        warmup_epochs: int = 1,
        warmup_lr: float = 1e-5,
    ) -> None:
        super().__init__(backbone)
        self.head = head
        self.loss = loss or ProdenLoss()
        self.templates = template_list(templates)
        if lr <= 0 or warmup_epochs < 0:
            raise FgvrError(
                f"model.lr is {lr} and model.warmup_epochs {warmup_epochs}; expected above 0, and 0 or more."
            )
        self.fuse = fuse
        self.lr = lr
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.warmup_epochs = warmup_epochs
        self.warmup_lr = warmup_lr
        self.trained_row = self.row
        if fuse:
            self.row = f"{self.row}_fused"
        self.spaces = frozenset({"joint", head.space, *(("visual",) if fuse else ())})
        self.looks_at_support = fuse or _starts_from_support(head)
        self.partial_labels: PartialLabels | None = None
        self._step: tuple[Tensor, Tensor | None, Tensor, PartialLabels] | None = None
        self._fit: VisualFit | None = None

    def row_names(self) -> tuple[str, ...]:
        """See the base class."""
        return tuple(dict.fromkeys(("zero_shot", self.trained_row, self.row)))

    @abstractmethod
    def default_candidates(self) -> CandidateStrategy:
        """The candidate sets that the method is best with."""

    def build(self, vocabulary: Vocabulary, candidates: CandidateSets | None) -> None:
        """Make the head's parameters, and the loss's state where there is something to train on."""
        start = time.perf_counter()
        # now, and not when they are needed: a template that cannot be used must not be found out after the training
        texts = template_features(self.backbone, vocabulary.names, self.templates)
        self._zero_shot = texts
        self.classifier_seconds["zero_shot"] = time.perf_counter() - start
        self.head.build(self.backbone, vocabulary.names)
        if self.fuse:
            self.visual = CentredClassifier.empty(len(vocabulary), self.backbone.visual_dim)
            zero_shot = CosineClassifier(texts, self.backbone.logit_scale)
            # one of its parts is replaced by the head when it is evaluated
            self.fused = FusedClassifier(self.visual, zero_shot)
        if candidates is None:
            return
        self.partial_labels = PartialLabels.from_sets(candidates)
        self.loss.setup(self.partial_labels, state_key(candidates, vocabulary.names))
        if self.looks_at_support:
            self._look_at_support(candidates, texts.cpu())

    def _look_at_support(self, candidates: CandidateSets, texts: Tensor) -> None:
        # Lightning makes a GPU the default device while it configures a model
        with torch.device("cpu"):
            if _starts_from_support(self.head):
                own = SupportNames.of_run(self.data, candidates, len(texts), self.head.space, judged=False)
                self.head.start_from(own.images, own.names, texts)
            if self.fuse:
                support = SupportNames.of_own_names(self.data, len(texts))
                text = text_scores(self.data, texts, self.backbone.logit_scale)
                # a head of the visual space takes the place of class means
                self._fit = fit_visual(support, text, "auto" if self.head.space == "joint" else "class_means")
                self.visual = self._fit.classifier(self._fit.chosen, "visual")
                self.fused = self._fit.fused(self.visual, self.fused.text)
                part = {"text" if self.head.space == "joint" else "visual": self.trained_row}
                self.selection["fusion"] = self._fit.described() | part

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Mean loss over the global batch, so that processes with unequal shares weigh every photo alike."""
        assert self.partial_labels is not None, "there are candidate sets in training"
        if self.partial_labels.mask.device != self.device:
            self.partial_labels = self.partial_labels.to(self.device)
        labels = self.partial_labels[batch.rows]
        features = self.features(batch, self.head.space).of(self.head.space)
        self.loss.step = StepContext(epoch=self.current_epoch, epochs=self.trainer.max_epochs or 1)
        views = self._views(batch)
        logits = self._logits(features, views)
        total = self.loss(logits, labels).sum()
        self._step = (features, views, logits.detach(), labels)
        # DDP averages gradients over processes: times their number, the sum over all photos is divided once
        count = self.trainer.strategy.reduce(torch.tensor(float(len(logits)), device=self.device), reduce_op="sum")
        loss: Tensor = total * self.trainer.world_size / count
        penalty = self.head.penalty()
        if penalty is not None:
            loss = loss + penalty
        self.log("train/loss", loss.detach(), on_step=False, on_epoch=True, prog_bar=True, sync_dist=True, batch_size=1)
        return loss

    def _views(self, batch: Batch) -> Tensor | None:
        """Image features of further views, shape ``(V, B, D)``, if there are any and the loss looks at them."""
        views = batch.views if self.head.space == "joint" else batch.visual_views
        if views is None or not self.loss.needs_views:
            return None
        return self.image_features(views.flatten(0, 1)).view(*views.shape[:2], -1)

    def _logits(self, features: Tensor, views: Tensor | None) -> Tensor:
        """The head's logits; the loss gets the features that they come from, and further views, if it needs them."""
        # asked for only then: a head that is not asked need not hold the features of all classes at once
        wanted = self.loss.needs_features or views is not None
        classes = self.head.class_features() if wanted else None
        if self.loss.needs_features and classes is not None:
            self.loss.step = replace(
                self.loss.step, image_features=features.detach().float(), class_features=classes.detach().float()
            )
        if views is not None:
            view_logits = self.head(views.flatten(0, 1), classes).view(*views.shape[:2], -1)
            self.loss.step = replace(self.loss.step, view_logits=view_logits)
        logits: Tensor = self.head(features, classes)
        return logits

    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        """Update the loss's state with the rows of all processes."""
        assert self._step is not None
        features, views, logits, labels = self._step
        with torch.no_grad():
            if self.loss.refresh:
                with self.trainer.precision_plugin.forward_context():  # Lightning leaves it before this hook
                    logits = self._logits(features, views)
            state = self.loss.new_state(logits, labels)
        if state is not None:
            rows = labels.rows
            if self.trainer.world_size > 1:
                rows, state = (torch.cat(gather_all_tensors(part)) for part in (rows, state))
            self.loss.write_state(rows, state)
        self._step = None

    def on_train_epoch_end(self) -> None:
        """Let the loss look at all samples at once; checkpoints are written after this."""
        assert self.partial_labels is not None
        with torch.no_grad():
            self.loss.end_epoch(self.partial_labels)
        if self.fuse:
            self._measure(self.head.classifier())

    @torch.no_grad()
    def _measure(self, trained: Classifier) -> None:
        """Take how much the head's logits vary now, so that it counts as what the weight was chosen with."""
        if self._fit is None:  # a checkpoint has what it was after the training
            return
        images = torch.from_numpy(self.data.support_features(self.head.space))

        def scores(rows: Tensor) -> Tensor:
            part = images[rows].to(self.device)
            logits: Tensor = trained(ImageFeatures(part, part))
            return logits.double().cpu()

        side = self.fused.text_deviation if self.head.space == "joint" else self.fused.visual_deviation
        side.fill_(deviation(scores, torch.arange(len(images))))

    def classifiers(self) -> Mapping[str, Classifier | Tensor]:
        """The plain names, the trained head and, with ``fuse``, that together with the other kind of evidence."""
        start = time.perf_counter()
        trained = self.head.classifier()
        self.classifier_seconds[self.trained_row] = self.classifier_seconds[self.row] = time.perf_counter() - start
        rows: dict[str, Classifier | Tensor] = {"zero_shot": self._zero_shot.to(self.device), self.trained_row: trained}
        if self.fuse:
            self._measure(trained)
            rows[self.row] = self.fused.with_part("text" if self.head.space == "joint" else "visual", trained)
        return rows

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """See the class.

        Raises:
            FgvrError: The number of epochs is not known.
        """
        optimizer = torch.optim.SGD(
            [parameter for parameter in self.head.parameters() if parameter.requires_grad],
            lr=self.lr,
            momentum=self.momentum,
            weight_decay=self.weight_decay,
        )
        total = self.trainer.max_epochs or 0
        if total < 1:
            raise FgvrError("The cosine schedule needs trainer.max_epochs: a number of epochs, 1 or more.")
        warn_of_schedule(self.trainer, self.warmup_epochs, total, "epochs", "model.warmup_epochs")
        epochs = max(total - self.warmup_epochs, 1)

        def factor(epoch: int) -> float:
            if epoch < self.warmup_epochs:
                return self.warmup_lr / self.lr
            return 0.5 * (1 + math.cos(math.pi * min((epoch - self.warmup_epochs) / epochs, 1)))

        return {"optimizer": optimizer, "lr_scheduler": torch.optim.lr_scheduler.LambdaLR(optimizer, factor)}


def _starts_from_support(head: Head) -> bool:
    return type(head).start_from is not Head.start_from
