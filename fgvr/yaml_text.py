"""YAML and JSON that came from outside, read within bounds: of length, of depth, and of what aliases make of them."""

import json
from typing import Any, ClassVar

import yaml

from fgvr.errors import FgvrError

MOST_YAML_CHARACTERS = 2_000_000
"""PyYAML reads a megabyte in ten seconds."""
_MOST_VALUES = 1_000_000
_MOST_DEPTH = 100
_MOST_JSON_CHARACTERS = 512_000_000


class TooMuchError(FgvrError, yaml.YAMLError, ValueError):
    """A text of absurd size or depth: an error of YAML and of JSON, for those who name the file."""


class Bounded:
    """What makes a loader of PyYAML count what it reads, an alias as often as all that it stands for.

    Raises:
        TooMuchError: There is too much of it, it is too deep, or an alias is within what it stands for.
    """

    most_characters: ClassVar[int] = MOST_YAML_CHARACTERS
    """How long a text may be."""

    def __init__(self, stream: Any) -> None:
        if len(stream) > self.most_characters:
            size = f"{len(stream) / 1e6:.0f} MB of YAML"
            raise TooMuchError(f"it has {size}, and at most {self.most_characters // 10**6} are read")
        super().__init__(stream)  # type: ignore[call-arg]
        self._depth = self._count = 0
        self._sizes: dict[int, int] = {}

    def compose_node(self, parent: Any, index: Any) -> Any:
        """The next value, counted."""
        self._depth += 1
        if self._depth > _MOST_DEPTH:
            raise TooMuchError(f"it is nested more than {_MOST_DEPTH} levels deep")
        is_alias, before = self.check_event(yaml.AliasEvent), self._count  # type: ignore[attr-defined]
        node = super().compose_node(parent, index)  # type: ignore[misc]
        if not is_alias:
            self._count += 1
            self._sizes[id(node)] = self._count - before
        elif id(node) in self._sizes:
            self._count += self._sizes[id(node)]
        else:
            raise TooMuchError("an alias in it stands for what it is a part of")
        if self._count > _MOST_VALUES:
            raise TooMuchError(f"with its aliases written out, it has more than {_MOST_VALUES:,} values")
        self._depth -= 1
        return node


class _SafeLoader(Bounded, yaml.SafeLoader):
    """PyYAML's safe loader, within bounds."""


def load_yaml(text: str) -> Any:
    """The value of a YAML text, as ``yaml.safe_load`` gives it.

    Raises:
        TooMuchError: It is of absurd size or depth.
        yaml.YAMLError: It is no YAML, or a date or number in it is none.
    """
    try:
        return yaml.load(text, Loader=_SafeLoader)
    except yaml.YAMLError:
        raise
    except (ValueError, OverflowError, RecursionError) as error:
        raise yaml.YAMLError(f"a value in it cannot be read: {error}") from error


def compose_yaml(text: str) -> yaml.Node | None:
    """The nodes of a YAML text, as ``yaml.compose`` gives them.

    Raises:
        TooMuchError: It is of absurd size or depth.
        yaml.YAMLError: It is no YAML.
    """
    return yaml.compose(text, Loader=_SafeLoader)


def load_json(text: str | bytes, **options: Any) -> Any:
    """The value of a JSON text.

    Args:
        text: The text.
        **options: Of ``json.loads``.

    Raises:
        TooMuchError: It is of absurd size or depth.
        ValueError: It is no JSON.
    """
    if len(text) > _MOST_JSON_CHARACTERS:
        most = _MOST_JSON_CHARACTERS // 10**6
        raise TooMuchError(f"it has {len(text) / 1e6:.0f} MB of JSON, and at most {most} are read")
    try:
        return json.loads(text, **options)
    except RecursionError:
        raise TooMuchError("it is nested too deep") from None
