"""The callbacks that keep and choose checkpoints of ``fgvr fit``, and taking the chosen one."""

import logging
from typing import Any

from lightning.pytorch import Callback, Trainer

from fgvr.checkpoints.best_checkpoint import BestCheckpoint
from fgvr.checkpoints.files import read_checkpoint
from fgvr.checkpoints.label_free_figures import LabelFreeFigures
from fgvr.checkpoints.run_checkpoint import RunCheckpoint
from fgvr.checkpoints.true_names import TrueNameGuard, check_val_photos
from fgvr.cli.options import CheckpointOptions
from fgvr.data.datamodule import FgvrDataModule
from fgvr.errors import FgvrError
from fgvr.methods.base import Method
from fgvr.runs import RunFolder

log = logging.getLogger(__name__)

_PREFIX = "select/"


def checkpoint_callbacks(
    options: CheckpointOptions,
    theirs: list[Callback],
    method: Method,
    data: FgvrDataModule,
    folder: RunFolder,
    saving: bool,
) -> list[Callback]:
    """What ``fgvr fit`` adds to the user's callbacks.

    Args:
        options: What to choose by.
        theirs: The user's callbacks.
        method: The method.
        data: The data module.
        folder: The run.
        saving: Whether checkpoints are written at all.

    Raises:
        FgvrError: The options contradict each other or the photos.
    """
    chosen = options.select != "last"
    monitored = [str(getattr(callback, "monitor", "")) for callback in theirs]
    wanted = chosen or any(figure.startswith(_PREFIX) for figure in monitored)
    if chosen and not saving:
        raise FgvrError(
            f"checkpoint.select is {options.select!r}, but trainer.enable_checkpointing is false: leave one of the two "
            "out."
        )
    if wanted and options.log_figures is False:
        raise FgvrError(
            "checkpoint.log_figures is false, but checkpoint.select or a callback needs these figures: leave it out."
        )
    if method.trains and not method.needs_candidates and (wanted or options.log_figures or data.holdout > 0):
        raise FgvrError(
            f"The method {method.row!r} trains without candidate sets, and data.holdout, checkpoint.select and "
            "checkpoint.log_figures judge by them: leave them out."
        )
    if options.allow_true_names:
        check_val_photos(data.photos)
    callbacks: list[Callback] = [TrueNameGuard(options.allow_true_names)]
    if not method.trains:
        return callbacks
    stored = data.holdout > 0 and not method.needs_pixels
    if wanted or (stored if options.log_figures is None else options.log_figures):
        callbacks.append(LabelFreeFigures())
    if chosen:
        if data.holdout == 0:
            log.warning(
                "checkpoint.select is %r and data.holdout is 0, so the epoch is chosen by the photos that are trained "
                "on, which favours what was fitted. To choose by others: --data.holdout 0.2",
                options.select,
            )
        # before the newest checkpoint is written, which says what was best so far
        callbacks.append(BestCheckpoint(folder.checkpoints, _PREFIX + options.select))
    if saving:
        callbacks.append(RunCheckpoint(folder.checkpoints))
    return callbacks


def take_best(trainer: Trainer, method: Method, data: FgvrDataModule) -> None:
    """Take the parameters of the chosen epoch, if one was chosen, and note it for the result table."""
    best = next((entry for entry in _callbacks(trainer) if isinstance(entry, BestCheckpoint)), None)
    if best is None or best.epoch is None:
        return
    method.load_state_dict(read_checkpoint(best.path)["state_dict"])
    method.selection["selected"] = {
        "by": best.figure.removeprefix(_PREFIX),
        "figure": round(best.value, 4),
        "epoch": best.epoch,
        "epochs": trainer.current_epoch,
        "photos": len(data.selection_rows),
        "held_out": data.holdout > 0,
    }


def note_oracle(method: Method, options: CheckpointOptions, checkpoint_config: Any) -> None:
    """Mark a result that true names may have chosen: now, or where the checkpoint of this run was trained.

    Args:
        method: The method, whose row gets the mark.
        options: Of this run.
        checkpoint_config: The configuration that the checkpoint holds, parsed; ``None`` without one.
    """
    theirs = checkpoint_config.get("checkpoint") if isinstance(checkpoint_config, dict) else None
    before = isinstance(theirs, dict) and theirs.get("allow_true_names") is True
    if options.allow_true_names or before:
        method.selection["oracle"] = True


def _callbacks(trainer: Trainer) -> list[Callback]:
    callbacks: list[Callback] = trainer.callbacks  # type: ignore[attr-defined]  # a connector sets it
    return callbacks
