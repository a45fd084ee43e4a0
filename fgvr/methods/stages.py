"""Stages of a training: which one an epoch belongs to, and how the learning rate goes through it."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fgvr.errors import FgvrError

WARMUP_LR = 1e-5


@dataclass(frozen=True, slots=True)
class Stage:
    """Some epochs of a training.

    Attributes:
        number: From 0, in the order of the training.
        first: Its first epoch, from 0.
        epochs: How many there are.
        tunes_tower: Whether whole image towers are tuned (phase 2), and not prompts (phase 1).
    """

    number: int
    first: int
    epochs: int
    tunes_tower: bool

    @property
    def last(self) -> int:
        """Its last epoch."""
        return self.first + self.epochs - 1


def stages(epochs: int, rounds: int, tuning_share: float) -> list[Stage]:
    """The rounds of phase 1, each on prompts that are drawn anew, and phase 2.

    Args:
        epochs: Of the whole training.
        rounds: Of phase 1, at least 1. Where epochs do not divide, the last rounds have one more.
        tuning_share: Share of the epochs that phase 2 has, from 0 to below 1; at least one epoch where it is above 0.

    Raises:
        FgvrError: There are fewer epochs than stages, or it is not known how many there are.

    Example:
        >>> [(stage.first, stage.epochs, stage.tunes_tower) for stage in stages(20, 2, 0.5)]
        [(0, 5, False), (5, 5, False), (10, 10, True)]
    """
    if epochs < 1:  # where trainer.max_steps or trainer.max_time is given alone
        raise FgvrError(
            "The parts of the training are shares of its epochs, and trainer.max_epochs does not state how many there "
            "are: set it to 20 or more; trainer.max_steps and trainer.max_time can end the training before."
        )
    tuning = max(round(epochs * tuning_share), 1) if tuning_share > 0 else 0
    prompting = epochs - tuning
    if prompting < rounds:
        needed = rounds + (tuning_share > 0)
        raise FgvrError(
            f"trainer.max_epochs is {epochs}, but the training has {needed} parts ({rounds} of them on prompts) of one "
            f"epoch or more, and phase 2 takes {tuning}: set trainer.max_epochs to 20 or more."
        )
    made, first = [], 0
    for number in range(rounds):
        length = (prompting + number) // rounds
        made.append(Stage(number, first, length, tunes_tower=False))
        first += length
    if tuning:
        made.append(Stage(rounds, first, tuning, tunes_tower=True))
    return made


def stage_of(made: Sequence[Stage], epoch: int) -> Stage:
    """The stage of an epoch; the last one for epochs behind it."""
    return next((stage for stage in made if epoch <= stage.last), made[-1])


def rate_schedule(
    made: Sequence[Stage], tunes_tower: bool, warmup_epochs: int, warmup_factor: float
) -> Callable[[int], float]:
    """Factor on a learning rate by epoch: in each stage a warm-up, and a cosine to zero, which ends with the stage.

    Args:
        made: The stages.
        tunes_tower: In which stages there is a rate; it is 0 in the others.
        warmup_epochs: First epochs of each stage; at least one epoch of a stage is not of its warm-up.
        warmup_factor: In these.
    """

    def factor(epoch: int) -> float:
        stage = stage_of(made, epoch)
        if stage.tunes_tower != tunes_tower:
            return 0.0
        warmup, inside = min(warmup_epochs, stage.epochs - 1), epoch - stage.first
        if inside < warmup:
            return warmup_factor
        return 0.5 * (1 + math.cos(math.pi * min((inside - warmup) / (stage.epochs - warmup), 1)))

    return factor
