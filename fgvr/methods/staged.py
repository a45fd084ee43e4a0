"""A method whose training has stages, each on labels that the one before has made."""

import logging
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Trainer
from lightning.pytorch.trainer.states import TrainerFn
from numpy.typing import NDArray
from torch import Tensor

from fgvr.data.batches import Batch
from fgvr.errors import FgvrError
from fgvr.methods.base import Method
from fgvr.methods.learned_labels import write_pseudo_labels
from fgvr.methods.stages import Stage, stage_of, stages
from fgvr.runs import RunFolder
from fgvr.text import counted

log = logging.getLogger(__name__)

_STATE = "stage"


class StagedMethod(Method):
    """Makes the labels of the next stage behind the last epoch of one, before checkpoints are written.

    So a checkpoint holds the labels that the next epoch learns from, and a run that goes on needs nothing else. What
    was learned stays as it is until the next stage's first step: a checkpoint of a stage's last epoch, which may be the
    one that is chosen, names photos as that epoch did. Each stage has a training loader of its own, as long as it has
    photos.

    Attributes:
        stages: Of the training; empty where nothing is trained.
        stage: The one whose labels there are.
        begun: Whether it has begun; otherwise its first step is the next one.
        learned: Number of each stage that there was -> its ``targets``.
        targets: The class that each of M models learns of each training photo, -1 for none, int64, shape ``(M, N)``.
        tuned: Whether a stage that tunes the image tower has begun; a buffer.
    """

    stages: list[Stage]
    stage: Stage | None
    begun: bool
    learned: dict[int, Tensor]
    tuned: Tensor

    def configure_model(self) -> None:
        """See the base class.

        Raises:
            FgvrError: It is to be trained, and was trained, evaluated or loaded before, without a checkpoint to go on.
        """
        fitting = self.trainer.state.fn == TrainerFn.FITTING
        if fitting and self.vocabulary is not None and not (self.stages and self.trainer.ckpt_path):
            raise FgvrError(
                f"This {self.row} was trained, evaluated or loaded before, and it goes through its stages once: make a "
                "new one to train; to go on with a training, give fit its checkpoint as ckpt_path, too."
            )
        super().configure_model()

    def begin_stages(self, rounds: int, tuning_share: float, targets: Tensor) -> None:
        """Make the stages, and enter the first one; called while the model is configured for training."""
        self.stages = stages(self.trainer.max_epochs or 0, rounds, tuning_share)
        self.enter(self.stages[0], targets)
        self.begun = True

    @abstractmethod
    def next_targets(self, following: Stage) -> Tensor:
        """The labels of the next stage; every process calls it, and gets the same."""

    @abstractmethod
    def restart(self, following: Stage) -> None:
        """Begin what the next stage learns."""

    def rows_of(self, stage: Stage, targets: Tensor) -> NDArray[np.int64] | None:
        """The photos that a stage passes over: those with a label; ``None`` for all."""
        return (targets >= 0).any(0).nonzero().squeeze(1).numpy()

    def enter(self, stage: Stage, targets: Tensor) -> None:
        """Learn from these labels in the coming epochs.

        Args:
            stage: The stage that begins.
            targets: See the class, on the CPU.

        Raises:
            FgvrError: There is no label.
        """
        if self.needs_candidates:
            targets = targets.masked_fill(torch.from_numpy(self.data.held_out), -1)
        self.stage, self.begun, self._targets = stage, False, targets.contiguous()
        self.learned[stage.number] = self._targets
        self.training_rows = self.rows_of(stage, targets)
        labelled = [int((own >= 0).sum()) for own in targets]
        log.info(
            "%s from epoch %d on: labels of %s of %s",
            "Image towers" if stage.tunes_tower else "Prompts",
            stage.first,
            " and ".join(map(str, labelled)),
            counted(targets.shape[1], "photo"),
        )
        if not any(labelled):
            raise FgvrError(
                f"There is no label to learn from in epoch {stage.first}: model.filter dropped all of them. Choose "
                "another filter, or set model.tuning_share to 0."
            )

    @property
    def targets(self) -> Tensor:
        """See the class; on the method's device."""
        if self._targets.device != self.device:
            self._targets = self._targets.to(self.device)
        return self._targets

    @property
    def current_stage(self) -> Stage:
        """The stage, while training."""
        assert self.stage is not None, "it is set when the model is configured for training"
        return self.stage

    def on_train_start(self) -> None:
        """See the base class."""
        super().on_train_start()
        self._reload = _loading(self.trainer).reload_dataloaders_every_n_epochs

    def on_train_epoch_start(self) -> None:
        """Leave the loader of a stage alone until the next one."""
        _loading(self.trainer).reload_dataloaders_every_n_epochs = self._reload

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Begin the stage before its first step, and not with the epoch: Lightning may go on without saying so."""
        if not self.begun:
            self.restart(self.current_stage)
            self.tuned.fill_(self.current_stage.tunes_tower)
            self.begun = True

    def on_train_epoch_end(self) -> None:
        """See the class."""
        # The progress bar, on process 0 alone, has just made all processes' mean of what was logged. The others have to
        # take part in it before anything else that processes do together.
        _ = self.trainer.callback_metrics
        self.log("train/kept", (self.targets >= 0).float().mean(), sync_dist=True)
        following = stage_of(self.stages, self.current_epoch + 1)
        if following.number == self.current_stage.number:
            return
        self.enter(following, self.next_targets(following))
        _loading(self.trainer).reload_dataloaders_every_n_epochs = 1

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what the training goes on with."""
        super().on_save_checkpoint(checkpoint)
        if self.stage is not None:
            checkpoint[_STATE] = self.stage_state()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take back what the training goes on with.

        Raises:
            FgvrError: The training is to have another number of epochs, or there are other photos.
        """
        super().on_load_checkpoint(checkpoint)
        if self.stage is not None and (state := checkpoint.get(_STATE)) is not None:
            self.take_back(state)

    def stage_state(self) -> dict[str, Any]:
        """What a run that goes on needs: plain values and tensors."""
        learned = {number: targets.cpu() for number, targets in self.learned.items()}
        return {
            "number": self.current_stage.number,
            "begun": self.begun,
            "stages": self._lengths,
            "targets": learned,
        }

    def take_back(self, state: Mapping[str, Any]) -> None:
        """Go on from what ``stage_state`` gave."""
        targets = state["targets"][state["number"]]
        if state["stages"] != self._lengths or targets.shape != self.targets.shape:
            raise FgvrError(
                f"The run was begun with parts of {_lengths(state['stages'])} and "
                f"{counted(targets.shape[1], 'photo')} to train on; here they are {_lengths(self._lengths)} and "
                f"{self.targets.shape[1]}. Go on with trainer.max_epochs and the model of the config.yaml of its own "
                "run folder, or start a new run."
            )
        self.learned = dict(state["targets"])
        self.enter(self.stages[state["number"]], targets)
        self.begun = state["begun"]

    def leave_files(self, folder: RunFolder) -> None:
        """Leave ``pseudo_labels.parquet``, which says what was learned from."""
        assert self.vocabulary is not None, "it is known when the training has ended"
        sets = self.data.candidate_sets if self.needs_candidates else None
        photos = [record.sample_id for record in self.data.support] if sets is None else sets.sample_ids
        write_pseudo_labels(self.learned, photos, self.vocabulary.names, folder.pseudo_labels)

    @property
    def _lengths(self) -> list[int]:
        return [stage.epochs for stage in self.stages]


def _loading(trainer: Trainer) -> Any:
    """The trainer, which has its options of loaders without declaring them."""
    return trainer


def _lengths(epochs: Sequence[int]) -> str:
    return f"{' + '.join(map(str, epochs))} ({counted(sum(epochs), 'epoch')})"
