"""What is wrong with a schedule for few photos, in a line."""

import logging

from lightning.pytorch import Trainer

from fgvr.text import counted

log = logging.getLogger(__name__)

_FEW_STEPS = 10
_LEAST_REACH, _USUAL_REACH = 0.02, 0.1
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


def say_rate_of_adapters(rate: float, total: int) -> None:
    """Say at which rate adapters learn, and where they can hardly have learned anything by the end.

    An adapter starts at zero, and AdamW moves a number by about the rate in a step, which is half of the peak in the
    mean: so its numbers reach about ``rate * total / 2``. The bound is assumed: with 0.005 nothing had changed on drawn
    birds, with 0.05 much had (docs/how-to/lora.md).

    Args:
        rate: At its peak.
        total: Steps of the training.
    """
    log.info("The adapters learn at a rate of %g (model.lora.lr), and not at model.lr", rate)
    if rate * total / 2 < _LEAST_REACH:
        log.warning(
            "model.lora.lr is %g and there are %s: adapters start at zero, and come no further than about %.1g. Raise "
            "it, to %.1g for instance, or raise trainer.max_epochs",
            *(rate, counted(total, "training step"), rate * total / 2, 2 * _USUAL_REACH / max(total, 1)),
        )


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
