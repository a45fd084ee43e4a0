"""What a mapping only wraps: the call of a tool, or a message of an API around the text of a reply."""

from collections.abc import Mapping

_ARGUMENTS = ("arguments", "parameters", "args", "input", "toolinput", "actioninput", "kwargs", "function", "toolcalls",
              "functioncall", "toolcall", "functioncalls")  # fmt: skip
_CALLED = frozenset(("toolcalls", "functioncall", "toolcall", "functioncalls", "function", "actioninput", "toolinput"))
_AROUND = frozenset((
    "role", "type", "finishreason", "stopreason", "index", "id", "object", "created", "model", "usage",
    "reasoningcontent", "reasoning", "refusal", "logprobs", "annotations", "audio", "parts", "content", "status",
    "name", "toolcalls", "signature", "thinking", "systemfingerprint", "modelversion", "responseid", "createdat",
    "done", "donereason", "thought",
))  # fmt: skip
_THOUGHT_TYPES = frozenset(("thinking", "reasoning", "thought", "redacted_thinking", "reasoning_text", "summary_text"))
_TEXT_TYPES = frozenset(("text", "output_text", "message", "string", "answer", "final"))


def message_of(values: Mapping[str, object]) -> object | None:
    """What is wrapped; ``None`` where a mapping is no wrapping. Thoughts wrap nothing, which is ``[]``.

    Args:
        values: By folded keys.

    Example:
        >>> message_of({"role": "assistant", "content": "Pug"})
        'Pug'
    """
    kind = values.get("type")
    if isinstance(kind, str) and kind in _THOUGHT_TYPES and _AROUND.issuperset(values.keys() - {"text", "summary"}):
        return []
    if values.get("thought") is True and "text" in values:
        return []
    if "name" in values and any(values.get(key) in ({}, []) for key in ("arguments", "parameters", "args", "input")):
        return []
    for key in _ARGUMENTS:
        value = values.get(key)
        called = key in _CALLED or not _AROUND.isdisjoint(values.keys() - {"name"}) or len(values) <= 3
        if isinstance(value, dict | list) and value:
            return value
        if isinstance(value, str) and (
            value.lstrip()[:1] in ("{", "[") or (key in ("actioninput", "toolinput") and called)
        ):
            return value
    for key in ("choices", "candidates", "output", "message", "delta", "messages", "generations"):
        value = values.get(key)
        inner = value[-1] if key == "messages" and isinstance(value, list) and value else value
        first = inner[0] if isinstance(inner, list) and inner else inner
        if isinstance(first, dict) and not {"content", "message", "delta", "parts", "text"}.isdisjoint(first):
            return inner
    content = values.get("content", values.get("parts"))
    if content and ((_AROUND.issuperset(values) and len(values) > 1) or isinstance(content, list | dict)):
        return content
    if isinstance(values.get("text"), str) and isinstance(kind, str) and kind in _TEXT_TYPES:
        return values["text"]
    return values["parts"] if isinstance(values.get("parts"), list) else None
