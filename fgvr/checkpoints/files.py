"""Reading checkpoints."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from fgvr.checkpoints.whole import check_whole, newest_whole
from fgvr.errors import FgvrError


def read_newest(path: Path) -> tuple[Path, dict[str, Any]]:
    """Read a checkpoint, or the one before it where the newest of a run is damaged.

    Args:
        path: The checkpoint that was asked for.

    Returns:
        The file that was read, and what is in it; see :func:`read_checkpoint`.

    Raises:
        FgvrError: There is no such file, it is damaged, or it is no checkpoint of fgvr.
    """
    path = newest_whole(path)
    return path, _read(path)


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint that fgvr has written; tensors are on the CPU, and nothing that is in it is run.

    Args:
        path: The file.

    Raises:
        FgvrError: There is no such file, it is damaged, or it is no checkpoint of fgvr.
    """
    check_whole(path)
    return _read(path)


def epochs_done(content: Mapping[str, Any]) -> int:
    """How many epochs a checkpoint has, as Lightning counts them.

    Args:
        content: What :func:`read_checkpoint` returns.
    """
    node: Any = content.get("loops")
    for key in ("fit_loop", "epoch_progress", "current", "processed"):
        node = node.get(key) if isinstance(node, dict) else None
    return node if isinstance(node, int) else 0


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:  # of a path, torch.load looks at the ending
            content = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # a pickle that somebody has written may end in any of them
        raise FgvrError(f"{str(path)!r} cannot be read as a checkpoint ({type(error).__name__}).") from error
    if not isinstance(content, dict) or "fgvr" not in content:
        raise FgvrError(f"{str(path)!r} was not written by fgvr: it holds no class names.")
    if (wrong := _wrong(content)) is not None:
        raise FgvrError(f"{str(path)!r} was not written by fgvr, or was changed since: {wrong}.")
    return content


def _wrong(content: dict[str, Any]) -> str | None:
    """The first part that is not of the kind that fgvr and Lightning write; ``None`` where all are."""
    own = content["fgvr"]
    if not isinstance(own, dict):
        return "'fgvr' is no mapping"
    for key, kind, name in (("class_names", _is_texts, "a list of texts"), ("config", _is_text, "a text")):
        if not kind(own.get(key)):
            return f"'fgvr.{key}' is not {name}"
    for key in ("simulated", "oracle"):
        if not isinstance(own.get(key, False), bool):
            return f"'fgvr.{key}' is not true or false"
    weights = content.get("state_dict")
    if not isinstance(weights, dict) or not all(map(_is_text, weights)):
        return "'state_dict' is no mapping of names"
    for key in ("callbacks", "loops"):
        if not isinstance(content.get(key, {}), dict):
            return f"{key!r} is no mapping"
    for key in ("optimizer_states", "lr_schedulers"):
        if not isinstance(content.get(key, []), list):
            return f"{key!r} is no list"
    for key in ("epoch", "global_step"):
        number = content.get(key, 0)
        if not isinstance(number, int) or number < 0:
            return f"{key!r} is no count"
    return None


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_texts(value: object) -> bool:
    return isinstance(value, list | tuple) and all(map(_is_text, value))
