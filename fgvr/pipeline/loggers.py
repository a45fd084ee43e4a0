"""The loggers of a run, made when there is a folder that they can write into."""

import importlib
import os
from collections.abc import Mapping
from typing import Any

from lightning.pytorch.loggers import CSVLogger, Logger, WandbLogger

from fgvr.runs import RunFolder


def make_loggers(given: Any, folder: RunFolder) -> list[Logger]:
    """What ``trainer.logger`` asks for, and a CSV logger.

    A logger that names no place writes into the run folder, and one of W&B is named after the run.

    Args:
        given: One or several, as objects or as ``class_path`` and ``init_args``; anything else is none.
        folder: The run folder.
    """
    entries = given if isinstance(given, list | tuple) else [given]
    loggers = [_made(entry, folder) for entry in entries]
    # a new version per start, because a CSV logger deletes what it finds in its folder
    return [*(logger for logger in loggers if logger is not None), CSVLogger(folder.path, name="logs")]


def finish(loggers: list[Logger]) -> None:
    """End the W&B runs: a process may start several."""
    for logger in loggers:
        if isinstance(logger, WandbLogger):
            logger.experiment.finish()


def _made(entry: Any, folder: RunFolder) -> Logger | None:
    if isinstance(entry, Logger):
        return entry
    if not isinstance(entry, Mapping) and not hasattr(entry, "as_dict"):
        return None
    options = entry if isinstance(entry, Mapping) else entry.as_dict()
    module, _, name = options["class_path"].rpartition(".")
    init = dict(options.get("init_args") or {})
    if "save_dir" in init and init["save_dir"] in (None, "."):
        init["save_dir"] = str(folder.path)
    if name.endswith("WandbLogger"):
        if not init.get("project") and "WANDB_PROJECT" not in os.environ:
            init["project"] = "fgvr"
        if not init.get("name") and "WANDB_NAME" not in os.environ:
            init["name"] = f"{folder.path.parent.name}/{folder.path.name}"
    logger: Logger = getattr(importlib.import_module(module), name)(**init)
    return logger
