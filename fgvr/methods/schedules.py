"""What is wrong with a schedule for few photos, in a line."""

import logging

from lightning.pytorch import Trainer

log = logging.getLogger(__name__)

_FEW_STEPS = 10
MIN_STEPS = 200
"""Steps below which ``fit`` trains more epochs than its default, where none are stated (assumed)."""
DEFAULT_EPOCHS = 50
"""CoOp's for one photo a class, and what ``fit`` takes where none are stated (assumed)."""


def default_epochs(steps_an_epoch: int) -> int:
    """Epochs where none are stated: 50, or as many as make 200 steps.

    Args:
        steps_an_epoch: At least 1.

    Example:
        >>> default_epochs(2), default_epochs(20)
        (100, 50)
    """
    return max(DEFAULT_EPOCHS, -(-MIN_STEPS // max(steps_an_epoch, 1)))


def warn_of_schedule(trainer: Trainer, warmup: int, total: int, unit: str, key: str) -> None:
    """Say so where a training is all warm-up, or has hardly any steps.

    Args:
        trainer: Knows the steps of the training.
        warmup: How long the rate rises, in ``unit``.
        total: How long the training is.
        unit: ``steps`` or ``epochs``.
        key: Option of the warm-up.
    """
    if warmup >= total:
        log.warning(
            "%s is %d, but there are %d %s: the rate never leaves its warm-up. Lower it, or raise trainer.max_epochs",
            *(key, warmup, total, unit),
        )
    steps = trainer.estimated_stepping_batches
    if steps < _FEW_STEPS:
        log.warning(
            "There are %d training steps: with few photos, count steps and not epochs. Raise trainer.max_epochs, or "
            "lower data.batch_size",
            steps,
        )
