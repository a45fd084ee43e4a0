"""The callbacks that keep and choose checkpoints of ``fit``, and taking the chosen one."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, Trainer

from fgvr.checkpoints.best_checkpoint import BestCheckpoint
from fgvr.checkpoints.files import read_checkpoint
from fgvr.checkpoints.label_free_figures import LabelFreeFigures
from fgvr.checkpoints.options import CheckpointOptions
from fgvr.checkpoints.run_checkpoint import RunCheckpoint
from fgvr.checkpoints.true_names import TrueNameGuard, check_val_images
from fgvr.data.datamodule import FgvrDataModule
from fgvr.errors import FgvrError
from fgvr.methods.base import Method
from fgvr.runs import RunFolder

log = logging.getLogger(__name__)

_PREFIX = "select/"
_OWN = (BestCheckpoint, LabelFreeFigures, RunCheckpoint)


def checkpoint_callbacks(
    options: CheckpointOptions,
    theirs: list[Callback],
    method: Method,
    data: FgvrDataModule,
    folder: RunFolder,
    trainer_options: Mapping[str, Any],
) -> list[Callback]:
    """What a run adds to the user's callbacks.

    Args:
        options: What to choose by.
        theirs: The user's callbacks.
        method: The method.
        data: The data module.
        folder: The run.
        trainer_options: Arguments of the trainer: whether checkpoints are written, and what starts processes.

    Raises:
        FgvrError: The options contradict each other or the photos.
    """
    if own := [type(entry).__name__ for entry in theirs if isinstance(entry, _OWN)]:
        raise FgvrError(
            f"trainer.callbacks: {own[0]} is added by fgvr itself. Leave it out, and set checkpoint.select or "
            "checkpoint.log_figures."
        )
    chosen = options.select != "last"
    saving = trainer_options.get("enable_checkpointing") is not False
    monitored = [str(getattr(callback, "monitor", "")) for callback in theirs]
    wanted = chosen or any(figure.startswith(_PREFIX) for figure in monitored)
    if chosen and not saving:
        raise FgvrError(
            f"checkpoint.select is {options.select!r}, but trainer.enable_checkpointing is false: leave one of the two "
            "out."
        )
    if chosen and _copies_process(trainer_options.get("strategy")):
        raise FgvrError(
            f"checkpoint.select is {options.select!r}, but trainer.strategy trains in copies of this process, and what "
            "they choose ends with them: set trainer.strategy to ddp."
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
        check_val_images(data.images)
    callbacks: list[Callback] = [TrueNameGuard(options.allow_true_names)]
    if not method.trains:
        if chosen or data.holdout > 0:
            log.warning("checkpoint.select and data.holdout change nothing: %s has nothing to train", method.row)
        return callbacks
    stored = data.holdout > 0 and not method.needs_pixels
    if wanted or (stored if options.log_figures is None else options.log_figures):
        callbacks.append(LabelFreeFigures())
    if chosen:
        if data.holdout == 0:
            log.warning(
                "checkpoint.select is %r and data.holdout is 0, so the epoch is chosen by the photos that are trained "
                "on, which favours what was fitted. To choose by others, set data.holdout to 0.2",
                options.select,
            )
        # before the newest checkpoint is written, which says what was best so far
        callbacks.append(BestCheckpoint(folder.checkpoints, _PREFIX + options.select))
    if saving:
        callbacks.append(RunCheckpoint(folder.checkpoints))
    return callbacks


def check_resumed(options: CheckpointOptions, trained_with: dict[str, Any]) -> None:
    """Refuse to choose by another figure than before in a run that goes on: earlier epochs were not judged by it.

    Args:
        options: Those of now.
        trained_with: The configuration that the run was begun with.

    Raises:
        FgvrError: ``checkpoint.select`` is another one.
    """
    then = (trained_with.get("checkpoint") or {}).get("select", "last")
    if then != options.select:
        raise FgvrError(
            f"checkpoint.select is {options.select!r}, but the run was begun with {then!r}, and earlier epochs were "
            f"not judged by that: set checkpoint.select to {then} to go on, or start a new run."
        )


def warn_of_best(checkpoint: Path) -> None:
    """Say so where a newest checkpoint is evaluated and another one was chosen for the table."""
    if checkpoint.name == "last.ckpt" and (best := checkpoint.with_name("best.ckpt")).is_file():
        log.warning("This is the last epoch; the one that was chosen for the run's table is ckpt_path=%s", best)


def take_best(added: Sequence[Callback], trainer: Trainer, method: Method, data: FgvrDataModule) -> None:
    """Take the parameters of the chosen epoch, if one was to be chosen, and note it for the result table.

    Args:
        added: What :func:`checkpoint_callbacks` returned: another ``BestCheckpoint`` does not count.
        trainer: It has fitted.
        method: The method.
        data: The data module.

    Raises:
        FgvrError: No epoch was chosen.
    """
    best = next((entry for entry in added if isinstance(entry, BestCheckpoint)), None)
    if best is None or trainer.fast_dev_run:  # type: ignore[attr-defined]  # set by the constructor
        return
    figure = best.monitor.removeprefix(_PREFIX)
    if best.epoch is None:
        raise FgvrError(
            f"checkpoint.select is {figure!r}, but no epoch was chosen: no epoch was trained with this option, or its "
            "figure was never a number. To test the last epoch, test with the run's config.yaml and "
            f"ckpt_path={best.path.parent / 'last.ckpt'}"
        )
    checkpoint = read_checkpoint(best.path)
    method.load_state_dict(checkpoint["state_dict"])
    if checkpoint["fgvr"].get("oracle"):
        method.selection["oracle"] = True
    method.selection["selected"] = {
        "by": figure,
        "figure": round(best.value, 4),
        "epoch": best.epoch,
        "epochs": trainer.current_epoch,
        "photos": len(data.selection_rows),
        "held_out": data.holdout > 0,
    }


def _copies_process(strategy: Any) -> bool:
    """Whether the main process would not know what the trained ones have chosen; an option's value or an object."""
    name = strategy if isinstance(strategy, str) else getattr(strategy, "_start_method", None)
    return any(part in str(name) for part in ("fork", "spawn", "notebook"))
