"""Replies that came as the call of a tool: what was passed to it is what the model has to say."""

import json
from collections.abc import Iterable
from typing import Any

from fgvr.labelers.hosts.json_values import get_path, get_text

_ARGUMENTS = ("arguments", "args", "input", "parameters")


def read_calls(calls: Iterable[Any]) -> tuple[str, str]:
    """What the first call that has arguments passes on, as JSON text, and the name of a tool that was called.

    Args:
        calls: The calls, in any shape; untrusted.

    Returns:
        Text and name; ``("", "")`` where nothing is called. A call without arguments has a name and no text.

    Example:
        >>> read_calls([{"function": {"name": "classify", "arguments": '{"name": "Pug"}'}}])
        ('{"name": "Pug"}', 'classify')
        >>> read_calls([{"name": "look", "args": {}}])
        ('', 'look')
    """
    called = ""
    for call in calls:
        if not isinstance(call, dict):
            continue
        function = call["function"] if isinstance(call.get("function"), dict) else call
        called = called or get_text(function, "name") or "without a name"
        for name in _ARGUMENTS:
            if text := _text(get_path(function, name)):
                return text, called
    return "", called


def called_in_vain(name: str) -> str:
    """The failure of a reply that is a call with nothing in it."""
    return (
        f"The server answered with a tool call ({name}) that has no arguments, and with no text. No tools are offered "
        "to the model: switch them off at the server, or set data.labeler.model to another one."
    )


def _text(arguments: Any) -> str:
    """Arguments as JSON text; ``""`` where there are none."""
    if isinstance(arguments, str):
        try:
            value = json.loads(arguments)
        except (ValueError, RecursionError):
            return arguments if arguments.strip() else ""  # words, or JSON that a model has not finished
        # a text in a text is JSON that was written twice
        return _text(value) if isinstance(value, str) else arguments if value else ""
    return json.dumps(arguments, ensure_ascii=False) if arguments and isinstance(arguments, dict | list) else ""
