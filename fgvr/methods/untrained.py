"""What methods have in common that train nothing."""

from typing import Any, ClassVar

import torch

from fgvr.data.batches import Batch
from fgvr.methods.base import Method


class UntrainedMethod(Method):
    """A method of which everything is there before it begins: ``discover``, ``build`` and ``predict`` are all of it.

    No checkpoint is written: ``build`` makes the same again from the class names in the run folder.
    """

    trains: ClassVar[bool] = False
    needs_candidates = False
    photos_a_step: ClassVar[int | None] = None
    """Most photos that are named at once, where the scores of a batch with all classes would fill the memory."""

    def evaluation_step(self, batch: Batch) -> None:
        """Classify a batch, ``photos_a_step`` photos at a time."""
        every = torch.arange(len(batch.rows), device=batch.rows.device)
        for rows in every.split(self.photos_a_step or len(batch.rows)):
            visual = None if batch.visual is None else batch.visual[rows]
            super().evaluation_step(Batch(batch.images[rows], batch.rows[rows], visual=visual))

    def training_step(self, batch: Any, batch_idx: int) -> None:
        """Never reached: the data module gives no training batches to a method that does not train."""

    def configure_optimizers(self) -> None:
        """None: there are no parameters."""
