"""CoOp prompts trained with a partial-label loss: the method of the FGVR paper."""

import math
import time
from dataclasses import replace
from typing import Any

import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor
from torchmetrics.utilities.distributed import gather_all_tensors

from fgvr.backbones.base import Backbone
from fgvr.data.batches import Batch
from fgvr.errors import FgvrError
from fgvr.heads.base import Head
from fgvr.heads.prompt import PromptHead
from fgvr.losses.base import Loss, PartialLabels, StepContext, state_key
from fgvr.losses.proden import ProdenLoss
from fgvr.methods.base import Method
from fgvr.methods.zero_shot import template_features
from fgvr.records import CandidateSets, Vocabulary


class CoOpMethod(Method):
    """Learn the context of the text prompts from candidate sets; both towers stay frozen.

    The FGVR paper's method is ``head: prompt`` with ``loss: proden`` on ``candidates: knn``; it does not give the
    training settings, so the defaults are CoOp's (Zhou et al. 2022), assumed. The result table has a second row,
    ``zero_shot``: the same label space without training.

    Args:
        backbone: Image and text tower.
        head: What is learned; ``prompt`` with 16 context tokens if not given.
        loss: Partial-label loss; ``proden`` if not given.
        templates: Text templates of the zero-shot row, with ``{}`` for the class name. The name alone if not given.
        lr: Learning rate of SGD.
        momentum: Of SGD.
        weight_decay: Of SGD.
        warmup_epochs: First epochs, at ``warmup_lr``; a cosine to zero over the remaining ones follows. (CoOp's own
            cosine is as long as all epochs, so that training ends before it reaches zero.)
        warmup_lr: Learning rate of the warm-up.
    """

    row = "coop"

    def __init__(
        self,
        backbone: Backbone,
        head: Head | None = None,
        loss: Loss | None = None,
        templates: list[str] | None = None,
        lr: float = 0.002,
        momentum: float = 0.9,
        weight_decay: float = 5e-4,
        warmup_epochs: int = 1,
        warmup_lr: float = 1e-5,
    ) -> None:
        super().__init__(backbone)
        self.head = head or PromptHead()
        self.loss = loss or ProdenLoss()
        self.templates = templates or ["{}"]
        if lr <= 0 or warmup_epochs < 0:
            raise FgvrError(
                f"model.lr is {lr} and model.warmup_epochs {warmup_epochs}; expected above 0, and 0 or more."
            )
        self.lr = lr
        self.momentum = momentum
        self.weight_decay = weight_decay
        self.warmup_epochs = warmup_epochs
        self.warmup_lr = warmup_lr
        self.partial_labels: PartialLabels | None = None
        self._step: tuple[Tensor, Tensor | None, Tensor, PartialLabels] | None = None

    def build(self, vocabulary: Vocabulary, candidates: CandidateSets | None) -> None:
        """Make the context tokens, and the loss's state where there is something to train on."""
        start = time.perf_counter()
        # now, and not when they are needed: a template that cannot be used must not be found out after the training
        self._zero_shot = template_features(self.backbone, vocabulary.names, self.templates)
        self.classifier_seconds["zero_shot"] = time.perf_counter() - start
        self.head.build(self.backbone, vocabulary.names)
        if candidates is not None:
            self.partial_labels = PartialLabels.from_sets(candidates)
            self.loss.setup(self.partial_labels, state_key(candidates, vocabulary.names))

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Mean loss over the global batch, so that processes with unequal shares weigh every photo alike."""
        assert self.partial_labels is not None, "there are candidate sets in training"
        if self.partial_labels.mask.device != self.device:
            self.partial_labels = self.partial_labels.to(self.device)
        labels = self.partial_labels[batch.sample_index]
        features = self.image_features(batch.images)
        self.loss.step = StepContext(epoch=self.current_epoch, epochs=self.trainer.max_epochs or 1)
        views = self._views(batch)
        logits = self._logits(features, views)
        total = self.loss(logits, labels).sum()
        self._step = (features, views, logits.detach(), labels)
        # DDP averages gradients over processes: times their number, the sum over all photos is divided once
        count = self.trainer.strategy.reduce(torch.tensor(float(len(logits)), device=self.device), reduce_op="sum")
        loss: Tensor = total * self.trainer.world_size / count
        self.log("train/loss", loss.detach(), on_step=False, on_epoch=True, prog_bar=True, sync_dist=True, batch_size=1)
        return loss

    def _views(self, batch: Batch) -> Tensor | None:
        """Image features of further views, shape ``(V, B, D)``, if there are any and the loss looks at them."""
        if batch.views is None or not self.loss.needs_views:
            return None
        return self.image_features(batch.views.flatten(0, 1)).view(*batch.views.shape[:2], -1)

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
            rows = self.loss.new_state(logits, labels)
        if rows is not None:
            index = labels.sample_index
            if self.trainer.world_size > 1:
                index, rows = (torch.cat(gather_all_tensors(part)) for part in (index, rows))
            self.loss.write_state(index, rows)
        self._step = None

    def on_train_epoch_end(self) -> None:
        """Let the loss look at all samples at once; checkpoints are written after this."""
        assert self.partial_labels is not None
        with torch.no_grad():
            self.loss.end_epoch(self.partial_labels)

    def classifiers(self) -> dict[str, Tensor]:
        """The plain names, and the names in the learned context."""
        start = time.perf_counter()
        with torch.no_grad():
            tuned = self.head.class_features()
        self.classifier_seconds[self.row] = time.perf_counter() - start
        return {"zero_shot": self._zero_shot.to(self.device), self.row: tuned}

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """SGD over the head's parameters, stepped once an epoch through warm-up and cosine."""
        optimizer = torch.optim.SGD(
            [parameter for parameter in self.head.parameters() if parameter.requires_grad],
            lr=self.lr,
            momentum=self.momentum,
            weight_decay=self.weight_decay,
        )
        total = self.trainer.max_epochs or 0
        if total < 1:
            raise FgvrError("The cosine schedule needs --trainer.max_epochs: a number of epochs, 1 or more.")
        epochs = max(total - self.warmup_epochs, 1)

        def factor(epoch: int) -> float:
            if epoch < self.warmup_epochs:
                return self.warmup_lr / self.lr
            return 0.5 * (1 + math.cos(math.pi * min((epoch - self.warmup_epochs) / epochs, 1)))

        return {"optimizer": optimizer, "lr_scheduler": torch.optim.lr_scheduler.LambdaLR(optimizer, factor)}
