"""Reading stored replies without the labeler that asked for them, whose settings are in its identity."""

import json
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from fgvr.labelers.reading.replies import ParsedReply, parse_reply
from fgvr.labelling.store.rows import StoredReply

_NAMING = (None, "name", "names", "choose")


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
    """Whether the labeler was asked what a photo shows, and not for a description."""
    return not row.others and identity_of(row).get("task") in _NAMING


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
    """What reads the replies to a task; the tasks are imported late, because they bring what composes pictures."""
    task, schema = _identity(identity).get("task"), _identity(identity).get("schema")
    if task == "name" and schema:
        return lambda raw: parse_reply(raw, first_only=True)
    if task == "names":
        from fgvr.labelers.tasks.names import NamesTask

        return NamesTask(**_identity(identity).get("reading", {})).read
    if task == "choose":
        from fgvr.labelers.tasks.choose import ChooseTask

        options = schema["properties"]["category"]["enum"] if schema else None
        # long lists have no schema
        choose = ChooseTask(options) if options else ChooseTask.of_prompt(prompt)
        return parse_reply if choose is None else choose.read
    if task in ("describe_image", "describe_group"):
        from fgvr.labelers.tasks.reading import read_description

        return read_description
    if task == "discover":
        from fgvr.labelers.tasks.discover import DiscoverTask

        return DiscoverTask().read
    return parse_reply
