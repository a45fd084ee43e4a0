"""Options of ``fgvr fit`` that are neither the trainer's, the method's nor the data module's."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass
class RunOptions:
    """Where the run folder is made: ``root/name/version``.

    Args:
        root: Folder of all runs.
        name: The configuration file's name if not given.
        version: The next free number if not given.
    """

    root: Path = Path("runs")
    name: str | None = None
    version: str | None = None


@dataclass
class CheckpointOptions:
    """Which epoch is tested and kept, and by what it is chosen.

    Args:
        select: ``last`` (as in the FGVR paper), or a figure from 0 to 100 that needs no true names: ``covering_rate``
            (share of photos whose predicted name is in their candidate set) or ``approximated_accuracy`` (mean
            probability of the predicted name among the candidates). Its best epoch is kept as ``best.ckpt`` and tested.
            The photos are those of ``data.holdout``; without, the training photos, which favours what was fitted.
        log_figures: Log both figures as ``select/...`` after each epoch. If not given: where ``select`` or a callback
            needs them, and where photos are held out and their image features are stored.
        allow_true_names: Allow callbacks to monitor figures of the split ``val``, which are computed from true names:
            for studies of what they would choose. The result is marked ``oracle``.
    """

    select: Literal["last", "covering_rate", "approximated_accuracy"] = "last"
    log_figures: bool | None = None
    allow_true_names: bool = False
