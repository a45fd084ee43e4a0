"""Looking into parsed JSON whose shape cannot be trusted."""

from typing import Any


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
