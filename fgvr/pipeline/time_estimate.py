"""How long a training will take, said when its first steps are done."""

import logging
import statistics
import time
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

log = logging.getLogger(__name__)

_WORTH_SAYING = 10.0
"""Seconds that a training takes at least for somebody to want to know."""
_TIMED_STEPS = 5


class TimeEstimate(Callback):
    """Logs how long all steps will take, by the median of the first but one: that compiles, allocates and fills caches.

    After the second step where one is long, so that nobody waits for an estimate; after the sixth where they are short.
    """

    def __init__(self) -> None:
        self._seconds: list[float] = []
        self._started: float | None = None
        self._said = False

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin to count."""
        self._seconds, self._said = [], False

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Start the clock of the step."""
        if not self._said:
            self._started = time.perf_counter()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Say it once."""
        if self._said or self._started is None:
            return
        self._seconds.append(time.perf_counter() - self._started)
        timed = self._seconds[1:]
        if len(timed) < _TIMED_STEPS and sum(timed) < _WORTH_SAYING / 5:
            return
        self._said = True
        step = statistics.median(timed)
        left = trainer.estimated_stepping_batches * trainer.accumulate_grad_batches - trainer.fit_loop.total_batch_idx
        if step * left >= _WORTH_SAYING and trainer.is_global_zero:
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
