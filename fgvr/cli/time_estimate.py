"""How long a training will take, said when its first steps are done."""

import logging
import time
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

log = logging.getLogger(__name__)

_WORTH_SAYING = 10.0
"""Seconds that a training takes at least for somebody to want to know."""


class TimeEstimate(Callback):
    """Logs how long all steps will take, from the second one: the first one compiles, allocates and fills caches."""

    def __init__(self) -> None:
        self._steps = 0
        self._started = 0.0

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin to count."""
        self._steps = 0

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Start the clock of the second step."""
        if self._steps == 1:
            self._started = time.perf_counter()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Say it once."""
        self._steps += 1
        if self._steps != 2 or not trainer.is_global_zero:
            return
        step = time.perf_counter() - self._started
        left = trainer.estimated_stepping_batches * trainer.accumulate_grad_batches - trainer.fit_loop.total_batch_idx
        if step * left >= _WORTH_SAYING:
            log.info("A training step takes %s, and there are %d more: about %s", _said(step), left, _said(step * left))


def _said(seconds: float) -> str:
    """A length of time in the unit that a person would use.

    Example:
        >>> [_said(seconds) for seconds in (0.041, 12.3, 95, 5400)]
        ['41 ms', '12 s', '2 min', '1.5 h']
    """
    if seconds < 1:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
