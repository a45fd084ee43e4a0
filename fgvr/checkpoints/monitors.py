"""Callbacks that follow a figure which nothing logs: Lightning would stop at the end of the first epoch."""

import difflib
from collections.abc import Sequence

from lightning.pytorch import Callback

from fgvr.checkpoints.label_free_figures import LabelFreeFigures, label_free_metrics
from fgvr.data.datamodule import FgvrDataModule
from fgvr.errors import FgvrError
from fgvr.methods.base import Method
from fgvr.metrics.protocol import score

_KNOWN = ("lightning", "pytorch_lightning", "fgvr")
"""Packages whose callbacks log nothing that another callback may follow, but for LabelFreeFigures."""


def check_monitored(callbacks: Sequence[Callback], method: Method, data: FgvrDataModule) -> None:
    """Refuse callbacks that monitor a figure which nothing logs, where all that is logged is known.

    Args:
        callbacks: All callbacks of the run.
        method: The method that is trained.
        data: The data module.

    Raises:
        FgvrError: There is such a callback.
    """
    # what a class of a plugin inherits says nothing of what it adds
    says = "logged" in vars(type(method)) or _is_known(method)
    if method.logged is None or not says or not all(map(_is_known, callbacks)):
        return
    logged = list(method.logged)
    if any(isinstance(entry, LabelFreeFigures) for entry in callbacks):
        logged += [f"select/{name}" for name in label_free_metrics()]
    if data.images.splits.get("val"):
        logged += [f"val/{name}" for name in score(["name"], ["name"], encoders=[])]
    for entry in callbacks:
        figure = getattr(entry, "monitor", None)
        if not isinstance(figure, str) or figure in logged:
            continue
        near = difflib.get_close_matches(figure, logged, n=1)
        raise FgvrError(
            f"trainer.callbacks: {type(entry).__name__} monitors {figure!r}, which nothing logs"
            + (f"; close to it: {near[0]}. " if near else ". ")
            + (f"Logged here: {', '.join(logged)}." if logged else f"The method {method.row!r} logs no figure.")
        )


def _is_known(entry: object) -> bool:
    return type(entry).__module__.partition(".")[0] in _KNOWN
