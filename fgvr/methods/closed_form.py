"""What methods have in common that learn everything at once, without gradients."""

from typing import Any, ClassVar

import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import nn

from fgvr.backbones.base import Backbone
from fgvr.methods.base import Method


class ClosedFormMethod(Method):
    """A method whose ``build`` learns everything; training is one step in which nothing happens.

    Lightning then does around it what it does for every method: processes, loggers, checkpoints. A resumed run learns
    the same again, from the files of its folder, and refuses a checkpoint that has learned something else. What is
    learned is in buffers, so all processes have those of process 0.

    Args:
        backbone: Image and text tower.
    """

    closed_form: ClassVar[bool] = True
    logged: ClassVar[tuple[str, ...] | None] = ()
    looks_at_support = True

    def __init__(self, backbone: Backbone) -> None:
        super().__init__(backbone)
        self.automatic_optimization = False
        # DDP refuses a module in which nothing needs a gradient, and an optimiser must have something
        self.no_gradient = nn.Parameter(torch.zeros(0))

    def training_step(self, batch: Any, batch_idx: int) -> None:
        """Count a step, without which Lightning writes no checkpoint; everything was learned before."""
        optimizer: Any = self.optimizers()
        # a gradient of no numbers: the scaler of 16-bit training steps nothing that has none
        self.manual_backward(self.no_gradient.sum())
        optimizer.step()

    def on_train_epoch_end(self) -> None:
        """Stop: another epoch would do nothing again."""
        self.trainer.should_stop = True

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """One that has nothing to do."""
        return torch.optim.SGD([self.no_gradient])
