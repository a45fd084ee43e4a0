"""What methods that train both towers have in common: parameters, optimiser, encoders, gathering, interpolation."""

import logging
import math
from abc import abstractmethod
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, ClassVar, Self

import torch
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from PIL import Image
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from torch.utils.data import DataLoader

from fgvr.backbones.base import Backbone
from fgvr.backbones.lora import LoraAdapters, LoraOptions, require_peft
from fgvr.data.batches import Batch, BatchSampler, PixelBatches
from fgvr.errors import FgvrError
from fgvr.methods.base import Method
from fgvr.methods.contrastive import gather_rows
from fgvr.methods.parameters_behind import parameters_behind
from fgvr.methods.schedules import say_rate_of_adapters, warn_of_schedule
from fgvr.methods.zero_shot import template_list
from fgvr.records import CandidateSets, Vocabulary
from fgvr.runs import RunFolder

log = logging.getLogger(__name__)

TEMPLATES = ("a photo of a {}.",)
"""CLIP's template, which LatteCLIP states for all data sets."""

# as float32 has it, so that a clamped value is on the bound and not beyond it
_MAX_LOG_SCALE = torch.tensor(100.0, device="cpu").log().item()


class FineTuneMethod(Method):
    """A method that trains the image tower, the text tower, or both, on photos without labels.

    A subclass writes ``texts_of``, ``loss`` and ``classifiers``. A step of this class: encode the photos, ask
    ``texts_of`` which texts the step needs, encode each text once, ask ``loss`` for the loss of the global batch.

    The towers' activations can be kept for ``chunk_size`` photos or texts at a time, and computed again for the
    backward pass (gradient checkpointing by chunks). So the contrastive loss of a large batch is exact in little
    memory; with ``trainer.accumulate_grad_batches`` it would be that of several small batches.

    The towers stay in evaluation mode: dropout is off, and batch norms keep the statistics of the pre-training while
    their factors and offsets are trained. So what a photo is compared with in a step, its pseudo-label and its features
    in the evaluation are of the same function. (CLIP's transformers have neither.) What no feature depends on stays
    frozen.

    Args:
        backbone: Image and text tower.
        templates: Text templates with ``{}`` for the class name; several are averaged. ``a photo of a {}.`` if not
            given.
        lr: Peak learning rate of AdamW.
        weight_decay: Of AdamW, for weights of two dimensions or more: not for biases, norms and the logit scale.
        betas: Of AdamW.
        eps: Of AdamW.
        warmup_steps: First steps, through which the rate rises linearly; a cosine to zero over all steps follows.
        chunk_size: Photos, and texts, whose activations are kept at a time, for less memory at the price of a second
            forward pass; all of them if not given. Gradients are the same.
        train_image_tower: Whether the image tower is trained.
        train_text_tower: Whether the text tower is trained.
        train_logit_scale: Whether the factor on cosines is trained; its logarithm stays in [0, ln 100].
        lora: Low-rank adapters to train in the place of the towers' weights. Checkpoints hold the adapters alone,
            evaluation has them merged, and ``fit`` leaves them in ``adapter`` of the run folder, for PEFT.
        wise_ft: Share of the trained weights in the weights that are evaluated, in (0, 1]; the rest is of the weights
            before training (WiSE-FT, Wortsman et al. 2022). 1 evaluates the trained ones. It acts in ``test`` and
            ``predict``, so it can be given with a checkpoint; validation and checkpoints have the trained weights.
    """

    needs_pixels: ClassVar[bool] = True
    needs_candidates = False
    logged: ClassVar[tuple[str, ...] | None] = ("train/loss",)

    def __init__(
        self,
        backbone: Backbone,
        templates: list[str] | str | None = None,
        lr: float = 1e-5,
        weight_decay: float = 0.2,
        betas: tuple[float, float] = (0.9, 0.98),
        eps: float = 1e-6,
        warmup_steps: int = 10,
        chunk_size: int | None = None,
        train_image_tower: bool = True,
        train_text_tower: bool = True,
        train_logit_scale: bool = True,
        lora: LoraOptions | None = None,
        wise_ft: float = 1.0,
    ) -> None:
        super().__init__(backbone)
        if lr <= 0 or warmup_steps < 0:
            raise FgvrError(f"model.lr is {lr} and model.warmup_steps {warmup_steps}; expected above 0, and 0 or more.")
        if chunk_size is not None and chunk_size < 1:
            raise FgvrError(f"model.chunk_size is {chunk_size}; expected 1 or more, or null for the whole batch.")
        if not 0 < wise_ft <= 1:
            raise FgvrError(
                f"model.wise_ft is {wise_ft}; expected above 0 and at most 1. For the weights before training, choose "
                "the method zero_shot."
            )
        if not (train_image_tower or train_text_tower):
            raise FgvrError(
                "model.train_image_tower and model.train_text_tower are both false, so there is nothing to train: set "
                "one of them, or choose the method zero_shot."
            )
        self.templates = template_list(templates, TEMPLATES)
        self.lr = lr
        self.weight_decay = weight_decay
        self.betas = betas
        self.eps = eps
        self.warmup_steps = warmup_steps
        self.chunk_size = chunk_size
        self.train_image_tower = train_image_tower
        self.train_text_tower = train_text_tower
        self.train_logit_scale = train_logit_scale
        if lora is not None:
            require_peft()
        self.lora = lora
        self.adapters: LoraAdapters | None = None
        self.wise_ft = wise_ft
        self._before: dict[str, Tensor] = {}
        self._trained: dict[str, Tensor] = {}
        self._tower: dict[str, str] = {}

    def setup(self, stage: str) -> None:
        """Look whether there is anything to contrast.

        Raises:
            FgvrError: A step has one photo: the loss of one pair is 0, whatever the weights.
        """
        super().setup(stage)
        if stage == TrainerFn.FITTING and self.data.batch_size < 2:
            raise FgvrError(
                f"data.batch_size is {self.data.batch_size}, and {self.row} contrasts the photos of a step with one "
                "another, so nothing would be learned: set data.batch_size to 2 or more. For less memory, lower "
                "model.chunk_size."
            )

    def build(self, vocabulary: Vocabulary, candidates: CandidateSets | None) -> None:
        """Make the logit scale and thaw the towers; a subclass that makes more calls this first.

        Raises:
            FgvrError: A tower that is to be trained gives features without gradients.
        """
        start = min(max(math.log(self.backbone.logit_scale), 0.0), _MAX_LOG_SCALE)
        self.log_scale = nn.Parameter(torch.tensor(start), requires_grad=self.train_logit_scale)
        with torch.device("cpu"):  # Lightning makes the GPU the default device while it configures a model
            pixels = self.backbone.transform(Image.new("RGB", (64, 64))).unsqueeze(0)
        pixels = pixels.to(self.backbone.device)
        passes: dict[str, Callable[[], Tensor]] = {}
        if self.train_image_tower:
            passes["image"] = lambda: self.backbone.encode_image(pixels)
        if self.train_text_tower:
            passes["text"] = lambda: self.backbone.embed_text(["a"])
        if self.lora is not None:
            self._tower = {"joint": self.backbone.tower_of("joint").fingerprint()}
            self.adapters = LoraAdapters(self.backbone, self.lora, passes)
            return
        used = [
            parameter
            for tower, encode in passes.items()
            for parameter in parameters_behind(self.backbone, encode, tower)
        ]
        for parameter in used:
            parameter.requires_grad_(True)
        if self.wise_ft < 1:
            self._before = {name: tensor.detach().clone() for name, tensor in self._evaluated_weights().items()}

    def keeps(self, key: str) -> bool:
        """See the base class; of a tower with adapters, these alone."""
        of_backbone = key.removeprefix("backbone.")
        return self.adapters is None or of_backbone == key or of_backbone in self.adapters.names

    @cached_property
    def towers(self) -> dict[str, str]:
        """See the base class; with adapters, the image tower that they were made in."""
        return self._tower

    def leave_files(self, folder: RunFolder) -> None:
        """See the base class: the adapters."""
        if self.adapters is not None:
            self.adapters.save(folder.adapter)

    def train(self, mode: bool = True) -> Self:
        """As always, but the towers stay in evaluation mode; see the class."""
        super().train(mode)
        self.backbone.eval()
        return self

    @property
    def scale(self) -> Tensor:
        """Factor on cosines in the loss: the trained one, clamped to [1, 100]; a scalar with gradient."""
        # clamp's own gradient is zero on a bound, where CLIP's scale starts
        outside = (self.log_scale.clamp(0, _MAX_LOG_SCALE) - self.log_scale).detach()
        return (self.log_scale + outside).exp()

    @abstractmethod
    def texts_of(self, batch: Batch, image_features: Tensor) -> Sequence[str]:
        """The texts that this process's part of the step needs; equal ones are encoded once.

        Called without gradients, in the trainer's precision.

        Args:
            batch: The photos.
            image_features: Their features, shape ``(B, D)``, float32, L2-normalised, without gradient.

        Returns:
            Any number above zero, in an order of the method's own.
        """

    @abstractmethod
    def loss(self, batch: Batch, image_features: Tensor, text_features: Tensor) -> Tensor:
        """The mean loss over the **global** batch; every process returns the same value (see ``gather_rows``).

        Called without autocast, so that what is computed here is computed in float32.

        Args:
            batch: The photos of this process.
            image_features: Their features, shape ``(B, D)``, float32, L2-normalised, with gradient.
            text_features: One row for each text of ``texts_of``, in its order, float32, L2-normalised, with gradient.
        """

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """One step; see the class."""
        with torch.no_grad():
            # in place, as CLIP does it: so that the optimiser does not carry it ever further away
            self.log_scale.clamp_(0, _MAX_LOG_SCALE)
        image_features = self.encode_images(batch.images)
        with torch.no_grad():
            texts = self.texts_of(batch, image_features.detach())
        text_features = self.encode_texts(texts)
        with torch.autocast(self.device.type, enabled=False):
            loss = self.loss(batch, image_features, text_features)
        self.log("train/loss", loss.detach(), on_step=False, on_epoch=True, prog_bar=True, sync_dist=True, batch_size=1)
        return loss

    def encode_images(self, pixels: Tensor) -> Tensor:
        """Features of ``pixels``, shape ``(B, D)``, in chunks, with gradients if the image tower is trained."""
        return self._in_chunks(self.backbone.encode_image, pixels, self.train_image_tower)

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        """Features of ``texts``, one row a text; equal ones are encoded once, in chunks.

        Args:
            texts: At least one. What exceeds the tower's context is cut off.

        Returns:
            Shape ``(len(texts), D)``, with gradients if the text tower is trained.
        """
        place: dict[str, int] = {}
        rows = [place.setdefault(text, len(place)) for text in texts]
        features = self._in_chunks(self.backbone.embed_text, list(place), self.train_text_tower)
        return features if len(place) == len(rows) else features[torch.tensor(rows, device=features.device)]

    def _in_chunks(self, encode: Callable[[Any], Tensor], inputs: Tensor | list[str], trained: bool) -> Tensor:
        """``encode(inputs)``; the activations of a chunk are dropped and computed again where gradients are needed."""
        size, device = self.chunk_size or len(inputs), self.device.type
        # The cache of autocast would hand over the bfloat16 copies of weights that were made without gradients (for
        # pseudo-labels), and chunks that share a copy would add up its gradient in bfloat16.
        uncached = torch.autocast(
            device, torch.get_autocast_dtype(device), torch.is_autocast_enabled(device), cache_enabled=False
        )
        with torch.set_grad_enabled(trained and torch.is_grad_enabled()), uncached:
            if size >= len(inputs):
                return encode(inputs)
            chunks = [inputs[start : start + size] for start in range(0, len(inputs), size)]
            if not torch.is_grad_enabled():
                return torch.cat([encode(chunk) for chunk in chunks])
            return torch.cat([checkpoint(encode, chunk, use_reentrant=False) for chunk in chunks])

    @torch.no_grad()
    def label_support(self, class_features: Tensor) -> Tensor:
        """The nearest class of every support photo, by the towers as they are, from plain views; all processes share.

        Called outside a step, for instance at the start of an epoch, by every process.

        Args:
            class_features: Shape ``(C, D)``, float32, L2-normalised.

        Returns:
            int64, shape ``(N,)``: class of the photo ``data.support[i]``, the same on all processes.
        """
        data, trainer = self.data, self.trainer
        views = PixelBatches(data.support, self.backbone.transform)
        shares = BatchSampler(len(views), data.batch_size, trainer.global_rank, trainer.world_size, shuffle=False)
        rows, classes = [], []
        workers = data.processes_for(views, len(views))
        for batch in DataLoader(views, sampler=shares, batch_size=None, num_workers=workers):
            with trainer.precision_plugin.forward_context():
                features = self.encode_images(batch.images.to(self.device))
            rows.append(batch.rows.to(self.device))
            classes.append(nearest_class(features, class_features))
        labels = torch.empty(len(views), dtype=torch.int64, device=self.device)
        labels[gather_rows(torch.cat(rows))] = gather_rows(torch.cat(classes))
        return labels

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """AdamW, stepped through a linear warm-up and a cosine to zero with each batch.

        Raises:
            FgvrError: The number of steps is not known.
        """
        adapters = [] if self.adapters is None else self.adapters.parameters()
        apart = {id(parameter) for parameter in adapters}
        trained = [weight for weight in self.parameters() if weight.requires_grad and id(weight) not in apart]
        groups: list[dict[str, Any]] = [
            {"params": [parameter for parameter in trained if parameter.ndim >= 2], "weight_decay": self.weight_decay},
            {"params": [parameter for parameter in trained if parameter.ndim < 2], "weight_decay": 0.0},
        ]
        if self.lora is not None:
            groups.append({"params": adapters, "weight_decay": self.weight_decay, "lr": self.lora.lr})
        optimizer = torch.optim.AdamW(
            [group for group in groups if group["params"]], lr=self.lr, betas=self.betas, eps=self.eps
        )
        steps = self.trainer.estimated_stepping_batches
        if not math.isfinite(steps):
            raise FgvrError("The cosine schedule needs trainer.max_epochs or trainer.max_steps: 1 or more.")
        warmup, total = self.warmup_steps, int(steps)
        warn_of_schedule(self.trainer, warmup, total, "steps", "model.warmup_steps")
        if self.lora is not None:
            say_rate_of_adapters(self.lora.lr, total)
        if self.trainer.accumulate_grad_batches > 1:
            log.warning(
                "trainer.accumulate_grad_batches is %d: photos are contrasted within each of these batches only. For "
                "one large batch, set data.batch_size to it and model.chunk_size to what fits into memory",
                self.trainer.accumulate_grad_batches,
            )

        def factor(step: int) -> float:
            if step < warmup:
                return (step + 1) / warmup
            return 0.5 * (1 + math.cos(math.pi * min((step - warmup) / max(total - warmup, 1), 1)))

        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_test_epoch_start(self) -> None:
        """Interpolate the weights, then see the base class."""
        self.take_evaluated_weights()
        super().on_test_epoch_start()

    def on_test_epoch_end(self) -> None:
        """See the base class; then the trained weights are back."""
        super().on_test_epoch_end()
        self._take_back()

    def on_predict_epoch_start(self) -> None:
        """Interpolate the weights, then see the base class."""
        self.take_evaluated_weights()
        super().on_predict_epoch_start()

    def on_predict_epoch_end(self) -> None:
        """See the base class; then the trained weights are back."""
        super().on_predict_epoch_end()
        self._take_back()

    def _evaluated_weights(self) -> dict[str, Tensor]:
        """All that the towers' features depend on: parameters and, of batch norms, the statistics."""
        return {name: tensor for name, tensor in self.backbone.state_dict().items() if tensor.is_floating_point()}

    @torch.no_grad()
    def take_evaluated_weights(self) -> None:
        """Interpolate the weights, and merge adapters."""
        if self.adapters is not None:
            self.adapters.merge(self.wise_ft)
        weights = self._evaluated_weights() if self._before else {}
        for name, weight in weights.items():
            self._trained[name] = weight.clone()
            weight.copy_(torch.lerp(self._before[name].to(weight), weight, self.wise_ft))

    @torch.no_grad()
    def _take_back(self) -> None:
        if self.adapters is not None:
            self.adapters.unmerge()
        weights = self._evaluated_weights() if self._trained else {}
        for name, weight in weights.items():
            weight.copy_(self._trained[name])
        self._trained = {}


def nearest_class(image_features: Tensor, class_features: Tensor) -> Tensor:
    """Index of the class with the largest cosine, in float32.

    Args:
        image_features: Shape ``(B, D)``, L2-normalised.
        class_features: Shape ``(C, D)``, L2-normalised.

    Returns:
        int64, shape ``(B,)``.
    """
    with torch.autocast(image_features.device.type, enabled=False):
        return (image_features.float() @ class_features.float().T).argmax(1)
