"""How the checkpoint of a run is chosen."""

from dataclasses import dataclass
from typing import Literal


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
