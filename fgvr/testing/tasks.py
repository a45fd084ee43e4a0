"""The contract of a task as a check that plugin authors call in their own tests."""

import json
import pickle
import unicodedata
from typing import Any

from PIL import Image

from fgvr.labelers.tasks.base import Task
from fgvr.reading.replies import ParsedReply

_FLAGS = {"", "empty", "refusal", "error", "generic", "unparsed"}

HOSTILE_REPLIES = (
    *("", " ", "\n\n\t", "\x00", "\ufeff", "\u202e\u200b", "\ud83d", "}", "{", "[", "]", '"', "```", "```json\n```"),
    *("null", "0", "NaN", "[]", "{}", "[[[]]]", '{"name": null}', '{"names": "a"}', '{"names": [{}]}', '{"": ""}'),
    *('{"common_name": 7, "confidence": "x"}', '{"common_name": ["\\u0000"]}', '{"common_name": "\\ud83d\\nPug"}'),
    '{"super_category": "\\u001b[31mbird", "unit": ["species"]}',
    *("[" * 5000, '{"a":' * 5000, "{" * 5000, '"' * 5000, "*" * 5000, "(" * 5000, "a " * 50_000, "\n" * 5000),
    *("I'm sorry, I can't help with that.", "N/A", "none", "Pug", "**Pug**", "Pug\x1b[2J\x07", "Pug\r\nBoxer"),
    *("<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "[Pug](javascript:alert(1))", "=cmd|' /C calc'!A0"),
    *("../../etc/passwd", "'; DROP TABLE replies; --", "%s%n{0}{name}", "</think>", "<think>Pug", "\u0130" * 400),
    *("Это такса", "これは柴犬です", "😀" * 300, "e\u0301" * 600, "\u0600\u06dd", "ﷺ" * 1500),
)
"""Replies that have broken parsers: no JSON, half JSON, deep JSON, markup, control characters, very long ones."""


def check_task(task: Task) -> None:
    """Check that ``task`` keeps the contract of ``fgvr.labelers.tasks.base``.

    - ``registry_name`` and ``max_output_tokens`` are set, and the prompt is a text, with a hint and without, the same
      each time.
    - The schema is JSON, describes an object, and is strict: no object in it admits further keys or lacks one.
    - ``read`` raises for no reply, however hostile; it gives names or a flag, and names hold no control characters.
    - What ``of_stored`` makes of prompt, schema and ``reading`` reads alike.
    - ``compose`` makes RGB pictures, the same each time, and leaves the photos as they are, if photos are shown.
    - A copy in another process asks and reads alike.

    Args:
        task: The task, as its constructor left it.

    Raises:
        AssertionError: It breaks the contract; the message says where.

    Example:
        >>> from fgvr.labelers.tasks.name import NameTask
        >>> check_task(NameTask())
    """
    name = getattr(type(task), "registry_name", None)
    assert isinstance(name, str), f"registry_name is {name!r}, not a str"
    assert name.isidentifier(), f"registry_name is {name!r}, not a short name"
    tokens = task.max_output_tokens
    assert isinstance(tokens, int) and tokens > 0, f"max_output_tokens is {tokens!r}, not a number of tokens"  # noqa: PT018
    _check_prompt(task)
    _check_schema(task)
    for raw in HOSTILE_REPLIES:
        _check_reading(task, raw)
    if task.shows_photos:
        _check_pictures(task)
    stored = type(task).of_stored(task.prompt(), task.schema(), task.reading())
    if stored is not None:
        for raw in HOSTILE_REPLIES:
            alike = stored.read(raw) == task.read(raw)
            assert alike, f"{raw[:40]!r} is read otherwise when it is stored: say in reading() what reading depends on"
    copy = pickle.loads(pickle.dumps(task))
    assert copy.prompt() == task.prompt(), "a pickled copy asks another question"
    assert copy.schema() == task.schema(), "a pickled copy has another schema"


def _check_prompt(task: Task) -> None:
    for hint in (None, "House Finch", ""):
        prompt = task.prompt(hint)
        assert isinstance(prompt, str), f"prompt({hint!r}) is {prompt!r}, not a str"
        assert prompt.strip(), f"prompt({hint!r}) is empty"
        assert task.prompt(hint) == prompt, f"prompt({hint!r}) differs from call to call, so no stored reply is found"


def _check_schema(task: Task) -> None:
    schema = task.schema()
    if schema is None:
        return
    try:
        text = json.dumps(schema, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise AssertionError(f"schema is not JSON: {error}") from error
    assert json.loads(text) == schema, f"schema changes on its way through JSON: {schema!r}"
    assert task.schema() == schema, "schema differs from call to call, so no stored reply is found"
    assert schema.get("type") == "object", f"schema describes {schema.get('type')!r}, but servers want an object"
    _check_strict(schema, "schema")


def _check_strict(node: Any, place: str) -> None:
    if isinstance(node, list):
        for number, entry in enumerate(node):
            _check_strict(entry, f"{place}[{number}]")
    if not isinstance(node, dict):
        return
    if isinstance(node.get("properties"), dict):
        assert node.get("additionalProperties") is False, f"{place} lacks additionalProperties: false"
        optional = node["properties"].keys() ^ set(node.get("required", ()))
        assert not optional, (
            f"{place}: 'properties' and 'required' differ in {sorted(optional)}; let a type be null instead"
        )
    for key, value in node.items():
        _check_strict(value, f"{place}.{key}")


def _check_reading(task: Task, raw: str) -> None:
    shown = repr(raw[:60])
    try:
        parsed = task.read(raw)
    except Exception as error:
        raise AssertionError(f"read raised {error!r} for the reply {shown}; it is to give a flag instead") from error
    assert isinstance(parsed, ParsedReply), f"read gave {parsed!r} for the reply {shown}"
    assert task.read(raw) == parsed, f"read is another one each time for the reply {shown}"
    assert len(parsed.names) == len(parsed.scientific_names), f"{parsed!r}: one scientific name a name, or None"
    assert parsed.flag in _FLAGS, f"the flag {parsed.flag!r} for the reply {shown} is none of {sorted(_FLAGS)}"
    assert bool(parsed.names) != bool(parsed.flag), f"{parsed!r} for the reply {shown}: either names or a flag"
    for name in (*parsed.names, *filter(None, parsed.scientific_names)):
        assert isinstance(name, str), f"the name {name!r} for the reply {shown} is no str"
        assert name.strip() == name != "", (
            f"the name {name!r} for the reply {shown} is blank or has white space around it"
        )
        control = [char for char in name if unicodedata.category(char)[0] == "C"]
        assert not control, f"the name {name[:60]!r} for the reply {shown} holds the control character {control[0]!r}"


def _check_pictures(task: Task) -> None:
    images = [Image.new("RGB", size, colour) for size, colour in (((64, 48), "red"), ((30, 90), "blue"))]
    before = [image.tobytes() for image in images]
    pictures = task.compose(images)
    assert isinstance(pictures, list) and pictures, f"compose gave {pictures!r}, not a list of pictures"  # noqa: PT018
    for picture in pictures:
        assert getattr(picture, "mode", None) == "RGB", f"compose gave {picture!r}, not an RGB picture"
    again = task.compose(images)
    same = [picture.tobytes() for picture in again] == [picture.tobytes() for picture in pictures]
    assert same, "compose makes other pictures of the same photos, so equal requests are not equal"
    assert [image.tobytes() for image in images] == before, "compose changed the photos that it was given"
