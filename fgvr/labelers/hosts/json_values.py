"""Looking into parsed JSON whose shape cannot be trusted."""

from typing import Any

_MAX = 10**9
_MAX_LENGTH = 200


def get_path(value: Any, *names: str) -> Any:
    """A value in nested objects; ``None`` where there is none.

    Example:
        >>> get_path({"usage": {"tokens": 3}}, "usage", "tokens"), get_path({"usage": None}, "usage", "tokens")
        (3, None)
    """
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def first_item(value: Any) -> Any:
    """The first entry of an array; ``None`` where there is none."""
    return value[0] if isinstance(value, list) and value else None


def get_count(value: Any, *names: str) -> int | None:
    """A number of tokens in nested objects; ``None`` for what cannot be one.

    Example:
        >>> get_count({"tokens": 3}, "tokens"), get_count({"tokens": -3}, "tokens")
        (3, None)
    """
    found = get_path(value, *names)
    return found if isinstance(found, int) and not isinstance(found, bool) and 0 <= found <= _MAX else None


def get_text(value: Any, *names: str) -> str | None:
    """A short text in nested objects, such as a name or a reason; ``None`` for what is none.

    Example:
        >>> get_text({"reason": "stop"}, "reason"), get_text({"reason": ["stop"]}, "reason")
        ('stop', None)
    """
    found = get_path(value, *names)
    return found[:_MAX_LENGTH] if isinstance(found, str) else None
