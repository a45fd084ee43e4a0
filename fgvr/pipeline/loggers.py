"""The loggers of a run, made when there is a folder that they can write into."""

import importlib
import os
from collections.abc import Mapping
from typing import Any

from lightning.pytorch.loggers import CSVLogger, Logger, WandbLogger

from fgvr.errors import FgvrError
from fgvr.runs import RunFolder
from fgvr.text import visible

_SETTINGS = {
    **{name: name for name in ("project", "entity")},
    **{name: f"run_{name}" for name in ("id", "name", "notes", "group", "job_type", "tags")},
    "version": "run_id",
}
"""Arguments of the logger -> settings of Weights & Biases, whose own rules they must keep."""


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


def check_loggers(given: Any) -> None:
    """Refuse settings that Weights & Biases would refuse when the run starts there: after labels were paid for.

    Args:
        given: As in :func:`make_loggers`.

    Raises:
        FgvrError: A setting is not valid.
    """
    for entry in given if isinstance(given, list | tuple) else [given]:
        if isinstance(entry, WandbLogger):
            _check_wandb(getattr(entry, "_wandb_init", {}))
        elif isinstance(entry, Mapping) or hasattr(entry, "as_dict"):
            options = entry if isinstance(entry, Mapping) else entry.as_dict()
            if str(options.get("class_path", "")).endswith("WandbLogger"):
                _check_wandb({**(options.get("init_args") or {}), **(options.get("dict_kwargs") or {})})


def _check_wandb(options: Mapping[str, Any]) -> None:
    import wandb

    project = options.get("project") or os.environ.get("WANDB_PROJECT")
    key = "trainer.logger.project" if options.get("project") else "The environment variable WANDB_PROJECT"
    if project and "/" in str(project):
        parts = [part for part in str(project).split("/") if part]  # "team/project", or the address of its page
        names = zip(("trainer.logger.project", "trainer.logger.entity"), parts[::-1], strict=False)
        fix = " and ".join(f"{option} to {visible(name, 60)!r}" for option, name in names)
        raise FgvrError(
            f"{key} is {visible(str(project), 140)!r}, and the name of a project has no slash: set "
            f"{fix or 'trainer.logger.project to another'}."
        )
    settings = {_SETTINGS[name]: value for name, value in options.items() if name in _SETTINGS and value is not None}
    settings = {**settings, "project": project} if project else settings
    for name, value in settings.items():
        try:
            wandb.Settings(**{name: value})
        # pydantic's errors are ValueErrors, and those of Weights & Biases are not
        except (ValueError, TypeError, wandb.errors.Error) as error:
            said = next((each for each, setting in _SETTINGS.items() if setting == name and each in options), name)
            label = key if name == "project" else f"trainer.logger.{said}"
            details = error.errors()[0]["msg"] if hasattr(error, "errors") else str(error)
            raise FgvrError(
                f"{label} is {visible(str(value), 140)!r}, which Weights & Biases does not take: "
                f"{visible(details, 200).rstrip('. ')}."
            ) from error


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
