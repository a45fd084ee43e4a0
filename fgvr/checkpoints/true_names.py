"""Keeping true names out of the choice of a checkpoint."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from fgvr.datasets.images import Images
from fgvr.errors import FgvrError
from fgvr.registry import METHODS
from fgvr.text import counted, verb

_SCORES = ("accuracy", "cacc", "siou", "sacc", "textual_inclusion", "selective_accuracy")
_SCORES_ALONE = ("generic", "nmi", "ari", "ece")
"""Too short to be the beginning of a name that means nothing else."""
_QUALITY = ("candidates/coverage", "candidates/purity")
_INSTEAD = (
    "Monitor select/covering_rate or select/approximated_accuracy, which need no true names, or set "
    "checkpoint.select to covering_rate."
)


def uses_true_names(figure: str) -> bool:
    """Whether a logged figure is computed from true names.

    Args:
        figure: Its name in the log.

    Example:
        >>> [uses_true_names(name) for name in ("test/seconds", "val/cacc", "val/siou_hyphen", "train/loss")]
        [True, True, True, False]
    """
    parts = figure.lower().split("/")
    return (
        parts[0] == "test"
        or figure.startswith(_QUALITY)
        or any(part.startswith(_SCORES) or part in _SCORES_ALONE for part in parts)
    )


def check_monitor(owner: str, figure: object, allow_val: bool) -> None:
    """Refuse to let ``figure`` decide anything in training.

    Args:
        owner: Who monitors it, as the user knows it.
        figure: Name of the figure; anything else decides nothing.
        allow_val: Whether figures of the split ``val`` may decide (``checkpoint.allow_true_names``).

    Raises:
        FgvrError: The figure is computed from true names.
    """
    if not isinstance(figure, str) or not uses_true_names(figure):
        return
    if not figure.startswith("val/"):
        raise FgvrError(
            f"{owner} monitors {figure!r}, which is computed from the true names that the run is scored with: what it "
            f"chooses would have seen the answers. {_INSTEAD}"
        )
    if not allow_val:
        raise FgvrError(
            f"{owner} monitors {figure!r}, which is computed from true names: fgvr learns without labels, and what "
            f"chooses a checkpoint must do without them too. {_INSTEAD} To study what true names would choose, set "
            "checkpoint.allow_true_names to true; the result is marked then."
        )


def check_configured(callbacks: Any, allow_val: bool) -> None:
    """:func:`check_monitor` for callbacks as they are configured, before any is built.

    Args:
        callbacks: Option ``trainer.callbacks``, parsed.
        allow_val: See :func:`check_monitor`.
    """
    for entry in callbacks if isinstance(callbacks, list | tuple) else [callbacks]:
        kind = entry.get("class_path", "") if hasattr(entry, "get") else ""
        for figure in _monitored(entry):
            check_monitor(f"trainer.callbacks: {kind.rpartition('.')[2] or 'a callback'}", figure, allow_val)


def check_callbacks(callbacks: Iterable[Callback], allow_val: bool) -> None:
    """:func:`check_monitor` for callbacks that are built: what they monitor may stand in their code alone."""
    for callback in callbacks:
        owner = f"trainer.callbacks: {type(callback).__name__}"
        check_monitor(owner, getattr(callback, "monitor", None), allow_val)


def check_val_images(images: Images) -> None:
    """Refuse a split ``val`` that has a photo of the evaluated split: it must not lead to the answers.

    Args:
        images: Those of the run.

    Raises:
        FgvrError: There is such a photo, under whatever name.
    """
    split = images.evaluated_split
    evaluated = {record.digest: record.sample_id for record in images.splits[split]}
    shared = [record for record in images.splits.get("val", ()) if record.digest in evaluated]
    if shared:
        first = shared[0]
        raise FgvrError(
            f"checkpoint.allow_true_names: {counted(len(shared), 'photo')} of the split 'val' {verb(len(shared))} "
            f"in the evaluated split {split!r} too ({first.sample_id!r} is {evaluated[first.digest]!r}), so choosing "
            "by 'val' would choose by the answers. Take them out of one of the two, or leave the option out."
        )


class TrueNameGuard(Callback):
    """Refuses learning-rate schedules that follow a figure computed from true names, before the first step.

    Args:
        allow_val: See :func:`check_monitor`.
    """

    def __init__(self, allow_val: bool) -> None:
        self.allow_val = allow_val

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Look at what the method has configured, and at the callbacks that it has brought along."""
        check_callbacks(trainer.callbacks, self.allow_val)  # type: ignore[attr-defined]  # set by a connector
        owner = f"model: the learning-rate schedule of {METHODS.short_name(type(pl_module))}"
        for config in trainer.lr_scheduler_configs:
            check_monitor(owner, config.monitor, self.allow_val)


def _monitored(value: Any) -> Iterator[str]:
    """Every value of a key ``monitor`` in a part of a configuration."""
    if isinstance(value, list | tuple):
        for entry in value:
            yield from _monitored(entry)
    elif isinstance(value, Mapping) or hasattr(value, "as_dict"):
        for key, entry in (value if isinstance(value, Mapping) else value.as_dict()).items():
            if key == "monitor" and isinstance(entry, str):
                yield entry
            else:
                yield from _monitored(entry)
