"""Reading stored replies without the labeler that asked for them, whose settings are in its identity."""

import json
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from fgvr.labelers.tasks.base import Task
from fgvr.labelling.store.rows import StoredReply
from fgvr.reading.replies import ParsedReply, parse_reply
from fgvr.registry import TASKS


def read_stored(row: StoredReply) -> ParsedReply:
    """What a stored reply says, as the labeler's ``read`` has it; a failure has the flag ``"failed"``.

    A labeler of a plugin that overrides ``read`` may have it otherwise.
    """
    if row.error:
        return ParsedReply((), (), "failed")
    if row.usage and row.usage.get("blocked"):
        return ParsedReply((), (), "refusal")
    if row.names is not None:
        return ParsedReply(row.names, (None,) * len(row.names), "" if row.names else "empty")
    return _parsed(row.identity, row.prompt, row.raw)


def gives_names(row: StoredReply) -> bool:
    """Whether the labeler was asked for class names, and not for a description."""
    name = identity_of(row).get("task")
    task = _task(name)
    return not row.others and (name is None or (task is not None and task.names_classes))


def is_about_text(row: StoredReply) -> bool:
    """Whether the labeler was shown no photo, but a text that is in the prompt."""
    task = _task(identity_of(row).get("task"))
    return task is not None and not task.shows_photos


def identity_of(row: StoredReply) -> Mapping[str, Any]:
    """The labeler's identity."""
    return _identity(row.identity)


@lru_cache(maxsize=10_000)
def _parsed(identity: str, prompt: str, raw: str) -> ParsedReply:
    # many replies are a name and no more, and equal
    return _reader(identity, prompt)(raw)


@lru_cache(maxsize=1000)
def _identity(identity: str) -> dict[str, Any]:
    value = json.loads(identity)
    return value if isinstance(value, dict) else {}


@lru_cache(maxsize=1000)
def _reader(identity: str, prompt: str) -> Callable[[str], ParsedReply]:
    known = _identity(identity)
    task = _task(known.get("task"))
    asked = None if task is None else task.of_stored(prompt, known.get("schema"), known.get("reading") or {})
    return parse_reply if asked is None else asked.read


@lru_cache(maxsize=100)
def _task(name: str | None) -> type[Task] | None:
    """The task with this name, built in or installed; ``None`` where there is none."""
    if name is None or name not in TASKS:
        return None
    loaded: type[Task] = TASKS.load(name)
    return loaded
