"""Looking into parsed JSON whose shape cannot be trusted."""

from typing import Any

_MOST = 10**9
_LONGEST = 200


def get(value: Any, *names: str) -> Any:
    """A value in nested objects; ``None`` where there is none.

    Example:
        >>> get({"usage": {"tokens": 3}}, "usage", "tokens"), get({"usage": None}, "usage", "tokens")
        (3, None)
    """
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def first(value: Any) -> Any:
    """The first entry of an array; ``None`` where there is none."""
    return value[0] if isinstance(value, list) and value else None


def count(value: Any, *names: str) -> int | None:
    """A number of tokens in nested objects; ``None`` for what cannot be one.

    Example:
        >>> count({"tokens": 3}, "tokens"), count({"tokens": -3}, "tokens"), count({"tokens": 10**400}, "tokens")
        (3, None, None)
    """
    found = get(value, *names)
    return found if isinstance(found, int) and not isinstance(found, bool) and 0 <= found <= _MOST else None


def word(value: Any, *names: str) -> str | None:
    """A short text in nested objects, such as a name or a reason; ``None`` for what is none.

    Example:
        >>> word({"reason": "stop"}, "reason"), word({"reason": ["stop"]}, "reason")
        ('stop', None)
    """
    found = get(value, *names)
    return found[:_LONGEST] if isinstance(found, str) else None
