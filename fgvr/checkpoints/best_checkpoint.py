"""The best checkpoint of a run, by a figure that needs no true names."""

import math
from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint

from fgvr.checkpoints.files import read_checkpoint
from fgvr.errors import FgvrError


class BestCheckpoint(Checkpoint):
    """Keeps ``best.ckpt``: the epoch with the highest value of a logged figure, the last of several with that value.

    A figure of a few photos often has the same value for many epochs, and the method as published takes the last
    epoch: where the figure cannot tell, more training counts (assumed).

    The file says itself which epoch it is of and what its value was, and a resumed run takes the best so far from
    there: so what is known of it is always true of the file, wherever the run was stopped.

    Args:
        folder: Where ``best.ckpt`` is written.
        monitor: Name of the figure as it is logged. It is called as in Lightning's callbacks, so that what keeps true
            names out of them (:mod:`fgvr.checkpoints.true_names`) looks at it too.
    """

    def __init__(self, folder: Path, monitor: str) -> None:
        self.path = folder / "best.ckpt"
        self.monitor = monitor
        self.epoch: int | None = None
        """Number of the epoch, counted from 1; ``None`` as long as there is none."""
        self.value = -math.inf

    @property
    def state_key(self) -> str:
        """Another one for each figure: values of different figures do not compare."""
        return f"BestCheckpoint {self.monitor}"

    def state_dict(self) -> dict[str, Any]:
        """The best epoch so far, and its value."""
        return {"epoch": self.epoch, "value": self.value}

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Take the best so far of a run that is resumed."""
        # where a scheduler or Lightning has started several processes, only the first knows the run folder's name
        self.path = Path(trainer.strategy.broadcast(str(self.path)))
        if self.path.is_file():
            state = read_checkpoint(self.path).get("callbacks", {}).get(self.state_key)
            if state is None:
                return
            try:
                self.epoch, self.value = int(state["epoch"]), float(state["value"])
            except (TypeError, ValueError, KeyError) as error:
                raise FgvrError(
                    f"{str(self.path)!r} does not say which epoch it is of: remove it, so that the best epoch from "
                    "here on is chosen, or begin a new run."
                ) from error

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save, if it is the best epoch."""
        value = float(trainer.callback_metrics[self.monitor])
        # negated, because every comparison with NaN is false
        if not value >= self.value or trainer.fast_dev_run:  # type: ignore[attr-defined]  # set by the constructor
            return
        self.epoch, self.value = trainer.current_epoch + 1, value
        trainer.save_checkpoint(self.path)
