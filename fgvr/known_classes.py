"""Classes that a file from elsewhere may name: fgvr's, those of installed plugins, a few of Lightning and PyTorch.

A checkpoint and a run folder are data. What they name is looked up here, and nothing else is imported for them.
"""

import importlib
import inspect
import sys
from collections.abc import Collection
from typing import Any

from fgvr.registry import KINDS

_CALLBACKS = "lightning.pytorch.callbacks"
_LOGGERS = "lightning.pytorch.loggers"
_HARMLESS = (
    f"{_CALLBACKS}.early_stopping.EarlyStopping",
    f"{_CALLBACKS}.lr_monitor.LearningRateMonitor",
    f"{_CALLBACKS}.model_checkpoint.ModelCheckpoint",
    f"{_CALLBACKS}.model_summary.ModelSummary",
    f"{_CALLBACKS}.progress.rich_progress.RichProgressBar",
    f"{_CALLBACKS}.progress.tqdm_progress.TQDMProgressBar",
    f"{_CALLBACKS}.stochastic_weight_avg.StochasticWeightAveraging",
    f"{_CALLBACKS}.timer.Timer",
    f"{_LOGGERS}.csv_logs.CSVLogger",
    f"{_LOGGERS}.tensorboard.TensorBoardLogger",
    f"{_LOGGERS}.wandb.WandbLogger",
    "lightning.pytorch.strategies.ddp.DDPStrategy",
    *(f"torch.optim.{name}" for name in ("SGD", "Adam", "AdamW", "RMSprop")),
    *(
        f"torch.optim.lr_scheduler.{name}"
        for name in ("StepLR", "MultiStepLR", "ExponentialLR", "LinearLR", "CosineAnnealingLR", "OneCycleLR")
    ),
    "torch.optim.lr_scheduler.ReduceLROnPlateau",
)
"""What the configuration of a usual run names. What an argument of one of them names is looked up, too."""


def known_class(path: str, also: Collection[str] = ()) -> Any | None:
    """What a class path names, by whichever module hands it out.

    Args:
        path: The class path.
        also: Further paths that may be named.

    Returns:
        The class; ``None`` where it is not one of those that may be named. Then nothing was imported for it.

    Example:
        >>> known_class("fgvr.losses.ProdenLoss").__name__, known_class("os.system")
        ('ProdenLoss', None)
    """
    module, _, name = path.rpartition(".")
    parts = path.split(".")
    if not module or not all(part.isidentifier() for part in parts):
        return None
    if parts[0] == "fgvr":
        own = None if any(part.startswith("_") for part in parts) else _imported(path)
        return own if inspect.isclass(own) and own.__module__.partition(".")[0] == "fgvr" else None
    listed = [known for registry in KINDS.values() for known in registry.values()]
    for known in (*listed, *_HARMLESS, *also):
        if known.rpartition(".")[2] != name:
            continue
        found = _imported(known)
        if found is not None and (path == known or _is_handed_out(path, found)):
            return found
    return None


def _is_handed_out(path: str, found: Any) -> bool:
    """Whether the path is another one of the same object: where it is defined, or a module that is imported already."""
    if path == f"{getattr(found, '__module__', '')}.{getattr(found, '__qualname__', '')}":
        return True
    module, _, name = path.rpartition(".")
    return getattr(sys.modules.get(module), name, None) is found


def _imported(path: str) -> Any | None:
    """The object at a path that may be imported; ``None`` where there is none, or its module does not work here."""
    parts = path.split(".")
    for end in range(len(parts) - 1, 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:end]))
        except ModuleNotFoundError:  # a class inside a class
            continue
        except Exception:  # a plugin may fail in any way
            return None
        for name in parts[end:]:
            found = getattr(found, name, None)
        return found
    return None
