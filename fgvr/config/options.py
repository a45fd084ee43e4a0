"""Options that are given from Python, as the command line takes them: names, nested options and plugin objects."""

import logging
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from fgvr.config.names import as_flow
from fgvr.errors import FgvrError
from fgvr.registry import option_names

log = logging.getLogger(__name__)

_TEXTS = ("class_names", "templates")
SECTIONS = ("data", "model", "trainer", "run", "checkpoint", "protocol", "judge")
"""Keys below which single options may be given, and the others left as they are."""


def as_arguments(options: Mapping[str, Any]) -> list[str]:
    """Options as arguments of ``fgvr fit``.

    Below ``data``, ``model`` and the other sections each option stands for itself; a mapping with a
    ``class_path`` names a plugin with its options, and an object is written as one.

    Args:
        options: Key -> value; dotted keys may be given, too.

    Raises:
        FgvrError: A value cannot be written into a configuration.

    Example:
        >>> as_arguments({"data": {"labeler": "openai", "shots": 2}, "compare": None})
        ['--compare=null', '--data.labeler=openai', '--data.shots=2']
    """
    given: list[tuple[str, Any]] = []
    for key, value in options.items():
        if key in SECTIONS and isinstance(value, Mapping) and "class_path" not in value:
            given += [(f"{key}.{inner}", setting) for inner, setting in value.items()]
        else:
            given.append((key, value))
    # a class before its own options, because naming a class may drop them
    given.sort(key=lambda pair: pair[0].count("."))
    return [f"--{key}={_text(key, value)}" for key, value in given]


def as_config(value: Any, place: str = "the value") -> Any:
    """A value as a configuration holds it: plain values, and ``class_path`` with ``init_args`` for a plugin's object.

    Of an object, what its constructor was given is read from the attributes of the same names (or ``given_NAME``, where
    the name is that of something else), which every plugin of fgvr keeps.

    Args:
        value: The value.
        place: What it is, for messages.

    Raises:
        FgvrError: It holds something that has no form in a configuration.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:  # a number of NumPy or of PyTorch
        return value.item()
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): as_config(inner, f"{place}.{key}") for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        if place.rpartition(".")[2] in _TEXTS and (odd := [item for item in value if not isinstance(item, str)]):
            raise FgvrError(f"{place} holds {odd[0]!r:.60}; expected texts.")
        return [as_config(item, f"{place}[{number}]") for number, item in enumerate(value)]
    if is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: as_config(getattr(value, field.name), f"{place}.{field.name}")
            for field in fields(value)
            if field.init
        }
    return _object(value, place)


def _object(value: Any, place: str) -> dict[str, Any]:
    kind = type(value)
    path = f"{kind.__module__}.{kind.__qualname__}"
    if kind.__module__ == "builtins" or "<locals>" in path:
        raise FgvrError(
            f"{place} is {value!r:.80}, which has no place in a configuration: give a plugin's name, its options as "
            "{'class_path': NAME, 'init_args': {...}}, or an object of a class that is defined in a module."
        )
    if kind.__module__ == "__main__":
        log.warning("%s is defined in the main program: no other process can load this run", kind.__name__)
    arguments: dict[str, Any] = {}
    for name in option_names(kind):
        kept = next((held for held in (f"given_{name}", name, f"_{name}") if hasattr(value, held)), None)
        if kept is None:
            raise FgvrError(
                f"{place}: {kind.__name__} does not keep its argument {name!r}, so the run could not be repeated. "
                f"Keep it as self.{name}, or give {{'class_path': {path!r}, 'init_args': {{...}}}}."
            )
        arguments[name] = as_config(getattr(value, kept), f"{place}.{name}")
    return {"class_path": path, "init_args": arguments}


def _text(key: str, value: Any) -> str:
    config = as_config(value, key)
    if config is None:
        return "null"
    return config if isinstance(config, str) else as_flow(config)
