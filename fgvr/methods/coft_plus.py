"""CoFT+ (Wang et al. 2026): CoFT with several rounds of prompts, and momentum contrast over all photos."""

import logging
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fgvr.backbones.base import Backbone
from fgvr.data.batches import Batch
from fgvr.data.run_state import run_seed
from fgvr.errors import FgvrError
from fgvr.methods.coft import CoftMethod
from fgvr.methods.contrast_queue import ContrastQueue
from fgvr.methods.contrastive import gather_rows
from fgvr.methods.stages import Stage
from fgvr.methods.two_models import MODELS

log = logging.getLogger(__name__)

_QUEUE = 8192


class CoftPlusMethod(CoftMethod):
    r"""CoFT, whose prompts are learned in several rounds, and whose towers also learn what photos are like.

    CoFT+ (arXiv 2602.04337). To :class:`fgvr.methods.coft.CoftMethod` it adds

    1. *rounds*: phase 1 is repeated, and each round's models begin anew. Round 1 has zero-shot's seeds; later, the
       models of the last round name all photos, and each model takes its own ``k`` surest of each class;
    2. *momentum contrast*: in phase 2 each model has a slower copy of its tower,
       :math:`\theta' \leftarrow \mu \theta' + (1 - \mu) \theta`, and minimises

       .. math:: L = L_{CE} + \gamma L_{InfoNCE}

       with cross entropy over the photos whose labels it kept, and InfoNCE (:mod:`fgvr.methods.contrast_queue`) over
       all photos, between the view of one tower and another view of the slower one;
    3. *templates of a language model* for zero-shot: ``templates`` or ``sentences``, which are asked for beforehand.

    **Assumed**, beyond what CoFT assumes: all defaults (MoCo's, where it has them); that contrast is on image features
    of length 1, without a further layer; that the tuned towers, and not the slower ones, name photos. **Derived**: the
    queue is gathered from all processes, so that it is the same on each; a photo is no negative of its own; the queue
    is no longer than one pass over the photos.

    The two views are those of the data: set ``data.augment`` to ``coop``, as without augmentation they are the same.

    Args:
        backbone: See :class:`fgvr.methods.coft.CoftMethod`.
        rounds: Of phase 1, at least 1. They share the epochs that phase 2 leaves.
        contrast_weight: Weight of InfoNCE, the paper's gamma, 0 or more.
        queue: Most keys in the queue, at least 1. If not given, 8192, but no more than there are photos.
        tower_momentum: Share of the slower tower that stays in each step, the paper's mu, from 0 to below 1.
        temperature: Of InfoNCE, above 0.
        tuning_share: Share of the epochs that phase 2 has.
        **kwargs: Other arguments of ``CoftMethod``.

    Raises:
        FgvrError: An option is out of its range.
    """

    row = "coft_plus"
    logged: ClassVar[tuple[str, ...] | None] = ("train/loss", "train/kept", "train/contrast")

    def __init__(
        self,
        backbone: Backbone,
        rounds: int = 3,
        contrast_weight: float = 0.1,
        queue: int | None = None,
        tower_momentum: float = 0.999,
        temperature: float = 0.07,
        tuning_share: float = 0.25,
        **kwargs: Any,
    ) -> None:
        super().__init__(backbone, tuning_share=tuning_share, **kwargs)
        for name, number in (("rounds", rounds), ("queue", queue)):
            if number is not None and number < 1:
                raise FgvrError(f"model.{name} is {number}; expected 1 or more.")
        if not contrast_weight >= 0:
            raise FgvrError(f"model.contrast_weight is {contrast_weight}; expected 0 or more.")
        if not 0 <= tower_momentum < 1:
            raise FgvrError(f"model.tower_momentum is {tower_momentum}; expected from 0 to below 1, such as 0.999.")
        if not temperature > 0:
            raise FgvrError(f"model.temperature is {temperature}; expected above 0, such as 0.07.")
        self.rounds = rounds
        self.contrast_weight = contrast_weight
        self.queue = queue
        self.tower_momentum = tower_momentum
        self.temperature = temperature
        self._queues: list[ContrastQueue] = []
        self._slower: list[dict[str, Tensor]] = []
        self._keys: list[tuple[int, Tensor, Tensor]] = []
        self._photos = 1.0
        self._contrast = torch.zeros(())

    @property
    def needs_views(self) -> bool:
        """Whether the stage contrasts views."""
        return self.stage is not None and self._contrasts(self.stage)

    def _contrasts(self, stage: Stage) -> bool:
        return stage.tunes_tower and self.contrast_weight > 0

    def rows_of(self, stage: Stage, targets: Tensor) -> NDArray[np.int64] | None:
        """All photos where they are contrasted."""
        return None if self._contrasts(stage) else super().rows_of(stage, targets)

    def on_train_start(self) -> None:
        """See the base class."""
        super().on_train_start()
        if self.contrast_weight > 0 and self.data.features.augment is None:
            log.warning(
                "coft_plus contrasts two views of each photo, and there is one: set data.augment to coop, or "
                "model.contrast_weight to 0"
            )

    def next_targets(self, following: Stage) -> Tensor:
        """Each model's own surest photos, or in phase 2 what the filter keeps."""
        if following.tunes_tower:
            return super().next_targets(following)
        said = self.label_photos()
        pairs = zip(said.labels, said.confidence, strict=True)
        return torch.stack([self.most_confident(labels, confidence) for labels, confidence in pairs])

    @torch.no_grad()
    def restart(self, following: Stage) -> None:
        """Begin with new prompts, or with heads, slower towers and empty queues."""
        if following.tunes_tower:
            super().restart(following)
            self._begin_contrast()
            return
        optimizer: Any = self.optimizers(use_pl_optimizer=False)
        for number, model in enumerate(self.models):
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(hash((run_seed(), following.number, number)))
                model.redraw()
            for parameter in model.prompt_parameters():
                optimizer.state.pop(parameter, None)

    def _begin_contrast(self) -> None:
        size = self.queue or max(min(_QUEUE, self.targets.shape[1]), 1)
        self._queues = [ContrastQueue(size, self.backbone.embed_dim, self.device) for _ in self.models]
        self._slower = []
        for model in self.models:
            assert model.tower is not None, "it is tuned now"
            weights = model.tower.weights.items()
            self._slower.append({name: weight.detach().clone() for name, weight in weights})

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """See the base class."""
        self._keys, self._contrast = [], torch.zeros((), device=self.device)
        self._photos = self.over_processes(len(batch.rows))
        loss = super().training_step(batch, batch_idx)
        if self.needs_views:
            mean = self._contrast * self.trainer.world_size / MODELS
            self.log("train/contrast", mean, on_step=False, on_epoch=True, sync_dist=True, batch_size=1)
        return loss

    def places(self, number: int, batch: Batch) -> Tensor:
        """All photos where they are contrasted."""
        if self._contrasts(self.current_stage):
            return torch.arange(len(batch.rows), device=self.device)
        return super().places(number, batch)

    def tuning_loss(self, number: int, batch: Batch, part: Tensor, labelled: float) -> Tensor:
        """See the base class; and InfoNCE."""
        if not self.needs_views:
            return super().tuning_loss(number, batch, part, labelled)
        assert batch.views is not None, "the data makes them where they are needed"
        model, rows, other = self.models[number], batch.rows[part], batch.views[0][part]
        features = model.encode_tuned(batch.images[part])
        assert model.tower is not None, "it is tuned now"
        with torch.no_grad():
            keys = model.tower(lambda backbone: backbone.encode_image(other), self._slower[number]).float()
        self._keys.append((number, keys, rows))
        contrast = self._queues[number].losses(features, keys, rows, self.temperature).sum() / self._photos
        self._contrast = self._contrast + contrast.detach()
        return self.label_loss(number, features, rows) / labelled + self.contrast_weight * contrast

    @torch.no_grad()
    def on_train_batch_end(self, outputs: Any, batch: Batch, batch_idx: int) -> None:
        """Follow the tuned towers, and put the keys of all processes into the queues."""
        if not self.needs_views:
            return
        for number, (model, slower) in enumerate(zip(self.models, self._slower, strict=True)):
            assert model.tower is not None, "it is tuned now"
            for name, weight in model.tower.weights.items():
                slower[name].lerp_(weight, 1 - self.tower_momentum)
            own = [(keys, rows) for of, keys, rows in self._keys if of == number]
            # a process has no photo of a batch of fewer photos than there are processes
            own = own or [(self._queues[number].keys[:0], batch.rows)]
            keys, rows = (torch.cat(parts) for parts in zip(*own, strict=True))
            keys, rows = gather_rows(keys), gather_rows(rows)
            # in the order of the photos, so that any number of processes makes the same queue
            order = rows.argsort()
            self._queues[number].add(keys[order], rows[order])

    def stage_state(self) -> dict[str, Any]:
        """See the base class; and the slower towers and queues."""
        state = super().stage_state()
        if self._slower:
            state["slower"] = [{name: weight.cpu() for name, weight in each.items()} for each in self._slower]
            state["queues"] = [queue.state() for queue in self._queues]
        return state

    def take_back(self, state: Mapping[str, Any]) -> None:
        """See the base class."""
        super().take_back(state)
        if "slower" not in state:
            return
        self._begin_contrast()
        for number in range(MODELS):
            for name, weight in self._slower[number].items():
                weight.copy_(state["slower"][number][name])
            self._queues[number].take_back(state["queues"][number])
