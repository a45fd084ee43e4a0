"""The argument parser: jsonargparse's, with mistakes answered by what was meant."""

import difflib
import importlib
import re
from collections.abc import Iterable, Iterator
from typing import Any, NoReturn

from lightning.pytorch.cli import LightningArgumentParser

from fgvr.errors import FgvrError
from fgvr.registry import KINDS, option_names

_CLASS_OPTION = re.compile(r"class_path '(?P<path>[\w.]+)':\s+Option '(?P<option>[\w.]+)' is not accepted")
_GROUP_OPTION = re.compile(r"Group '(?P<group>[\w.]+)' does not accept option '(?P<option>[\w.]+)'")
_TOP_OPTION = re.compile(r"^Option '(?P<option>\w+)[\w.]*' is not accepted")
_REQUIRED = re.compile(
    r"Problem with given class_path '(?P<path>[\w.]+)':\s+the following arguments are required: (?P<options>[\w, ]+)"
)
_NO_MODEL = re.compile(r"the following arguments are required: model$")
_KEY = re.compile(r'[Pp]arser key "([\w.]+)"')
_NO_CLASS = re.compile(r"Problem with given class_path '(?P<path>[\w.]+)':\n\s+(?P<why>(?![Pp]arser key)[^\n]+)\n")
_WRONG_VALUE = re.compile(r"Expected an? (?P<kind>[^\n]+)\. Got value: (?P<value>[^\n]*)")
_WRONG_UNION = re.compile(
    r"- Expected an? (?P<kind>[^\n]+)\n(?:\s+- Expected [^\n]+\n)*\s+Given value type: [^\n]+\n"
    r"\s+Given value: (?P<value>(?!NestedArg)[^\n]*)"
)
_OPTION_OF_NOTHING = re.compile(r"NestedArg\(key='(?P<option>[\w.]+)'")
_FLAG = re.compile(r"[Uu]nrecognized arguments: --(?P<option>[\w.-]+)")


class FgvrParser(LightningArgumentParser):
    """Parser of every fgvr command that takes a configuration."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # an abbreviated flag would silently mean another one as soon as a plugin adds an option
        super().__init__(*args, allow_abbrev=False, **kwargs)

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Say what is wrong, what may have been meant, and where to look.

        Raises:
            FgvrError: Always, which the command line prints; for a parser inside a parser, what jsonargparse raises.
        """
        if not self.exit_on_error:
            super().error(message, ex)
        command = self.prog.replace(" [options]", "")
        raise FgvrError(
            f"{_in_short(message, command).rstrip()}{self._hint(message)}\nTo see every option: {command} --help"
        ) from ex

    def _hint(self, message: str) -> str:
        if match := _CLASS_OPTION.search(message):
            module, _, name = match["path"].rpartition(".")
            return _did_you_mean(match["option"], option_names(getattr(importlib.import_module(module), name)))
        flags = [flag.removeprefix("--") for action in self._actions for flag in action.option_strings]
        if match := _GROUP_OPTION.search(message):
            prefix = f"{match['group']}."
            return _did_you_mean(match["option"], (f.removeprefix(prefix) for f in flags if f.startswith(prefix)))
        if match := _TOP_OPTION.search(message):
            return _did_you_mean(match["option"], {flag.partition(".")[0] for flag in flags})
        if match := _FLAG.search(message):
            return _did_you_mean(match["option"], flags, "--")
        return ""


def _in_short(message: str, command: str) -> str:
    """What jsonargparse says in a page, in a line: which option a plugin lacks or has not, or which value is wrong."""
    if match := _REQUIRED.search(message):
        where = next((f" It is explained by: {command}" for command in _shown_by(match["path"])), "")
        return f"{_key(message)}: {_name(match['path'])} needs {match['options'].strip()}.{where}"
    if _NO_MODEL.search(message):
        return f"{command} is told no model: give --config RUN/config.yaml, of the run of the checkpoint."
    if match := _CLASS_OPTION.search(message):
        others = _others_with(match["path"], match["option"])
        instead = f" It is one of {', '.join(others)}: name that first." if others else ""
        return f"{_key(message)}: {_name(match['path'])} has no option {match['option']!r}.{instead}"
    given = _OPTION_OF_NOTHING.findall(message)
    if not given and (match := _NO_CLASS.search(message)):
        return f"{_key(message)}: {match['path']!r} cannot be used: {match['why'].strip().rstrip('.')}."
    values = _WRONG_VALUE.findall(message) or [(kind, value) for kind, value in _WRONG_UNION.findall(message)]
    keys = _KEY.findall(message)
    # the keys of one path, and not of several attempts
    if values and (len(keys) == 1 if not given else _key(message) == f"{keys[0]}.{given[-1]}"):
        kind, value = values[0]
        return f"{_key(message)} is {value.strip()!r}; expected {_expected(kind)}."
    if given:
        return (
            f"--{_key(message)}.{given[0]} is an option of what is given with --{_key(message)} NAME; give that first."
        )
    return message


def _key(message: str) -> str:
    return ".".join(_KEY.findall(message))


def _name(path: str) -> str:
    return path.rpartition(".")[2]


def _shown_by(path: str) -> Iterator[str]:
    """The command that explains the plugin of a class path, if it is one."""
    for kind, registry in KINDS.items():
        yield from (f"fgvr show {kind} {short}" for short, known in registry.items() if known == path)


def _others_with(path: str, option: str) -> list[str]:
    """Short names of the plugins of the same kind that have the option."""
    registry = next((registry for registry in KINDS.values() if path in registry.values()), None)
    found = []
    for short, other in ({} if registry is None else registry).items():
        module, _, name = other.rpartition(".")
        try:
            options = option_names(getattr(importlib.import_module(module), name))
        except ImportError:  # a plugin whose packages are not installed
            continue
        if option in options and other != path:
            found.append(short)
    return found


def _expected(kind: str) -> str:
    """A type as jsonargparse prints it, in words."""
    if literals := re.search(r"Literal\[(.*)\]", kind):
        return "one of " + literals[1].replace("'", "")
    words = {
        "float": "a number (.inf is infinite)",
        "int": "a whole number",
        "bool": "true or false",
        "str": "a text",
        "list": "a list",
    }
    bare = re.sub(r"<class '(.*)'>", r"\1", kind.strip())
    return words.get(bare, bare)


def _did_you_mean(wrong: str, known: Iterable[str], dashes: str = "") -> str:
    near = difflib.get_close_matches(wrong, list(known), n=1)
    return f"\nDid you mean '{dashes}{near[0]}'?" if near else ""
