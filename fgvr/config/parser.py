"""The argument parser: jsonargparse's, with mistakes answered by what was meant."""

import ast
import difflib
import importlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NoReturn

from jsonargparse import Namespace
from lightning.pytorch.cli import LightningArgumentParser

from fgvr.config.names import as_flow
from fgvr.errors import FgvrError
from fgvr.registry import KINDS, option_names
from fgvr.secret_names import is_secret_name

_CLASS_OPTION = re.compile(r"class_path '(?P<path>[\w.]+)':\s+Option '(?P<option>[\w.]+)' is not accepted")
_GROUP_OPTION = re.compile(r"Group '(?P<group>[\w.]+)' does not accept option '(?P<option>[\w.]+)'")
_TOP_OPTION = re.compile(r"^Option '(?P<option>\w+)[\w.]*' is not accepted")
_REQUIRED = re.compile(
    r"Problem with given class_path '(?P<path>[\w.]+)':\s+the following arguments are required: (?P<options>[\w, ]+)"
)
_NO_MODEL = re.compile(r"the following arguments are required: model$")
_KEY = re.compile(r'[Pp]arser key "([\w.]+)"')
_NO_CLASS = re.compile(r"Problem with given class_path '(?P<path>[\w.]+)':\n\s+(?P<why>(?![Pp]arser key)[^\n]+)\n")
_PLACE = re.compile(r"^(?P<indent> *)(?:- )?[Pp]arser key \"(?P<key>[\w.]+)\"", re.MULTILINE)
_GOT = re.compile(r"Expected an? (?P<kind>[^\n]+)\. Got value: (?P<value>[^\n]*)")
_EXPECTED = re.compile(r"- Expected an? (?P<kind>(?!path but)[^\n]+)")
_GIVEN = re.compile(r"Given value: (?P<value>[^\n]*)")
_OPTION_OF_NOTHING = re.compile(r"NestedArg\(key='(?P<option>[\w.]+)'")
_NUMBER = re.compile(r"-?\d+(\.\d+)?")
_SHOWN = 100
"""Characters of a value in a message."""
_FLAG = re.compile(r"[Uu]nrecognized arguments: --(?P<option>[\w.-]+)")


class FgvrParser(LightningArgumentParser):
    """Parser of every fgvr command that takes a configuration."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        # an abbreviated flag would silently mean another one as soon as a plugin adds an option
        super().__init__(*args, allow_abbrev=False, **kwargs)

    def parse_args(self, args: Sequence[str] | None = None, *rest: Any, **kwargs: Any) -> Namespace:  # type: ignore[override]
        """As jsonargparse's, which hands the option of a class inside a class on as the text of a Python object."""
        if args is not None and not self.exit_on_error:
            args = [_as_yaml(token) for token in args]
        return super().parse_args(args, *rest, **kwargs)

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


def _as_yaml(token: str) -> str:
    """``--key=VALUE`` with nothing, a list or a mapping in YAML, and not as Python shows it.

    Example:
        >>> _as_yaml("--task.structured=None"), _as_yaml("--options=['yes', None]"), _as_yaml("--style=paper")
        ('--task.structured=null', '--options=["yes", null]', '--style=paper')
    """
    flag, _, text = token.partition("=")
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return token
    return f"{flag}={as_flow(value)}" if value is None or isinstance(value, list | dict) else token


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
    if wrong := _wrong_value(message):
        return wrong
    if not given and (match := _NO_CLASS.search(message)):
        return f"{_key(message)}: {match['path']!r} cannot be used: {match['why'].strip().rstrip('.')}."
    if given:
        return (
            f"--{_key(message)}.{given[0]} is an option of what is given with --{_key(message)} NAME; give that first."
        )
    return message


def _wrong_value(message: str) -> str | None:
    """What is said of the innermost value, if it is one that was given, and no option of a class that is not there."""
    path, indent, start = [], -1, 0
    for match in _PLACE.finditer(message):
        if len(match["indent"]) <= indent:  # another attempt with the same value
            break
        path.append(match["key"])
        indent, start = len(match["indent"]), match.end()
    block = re.split(rf"\n(?= {{0,{max(indent, 0)}}}[^ \n])", message[start:], maxsplit=1)[0] if path else message
    if got := _GOT.search(block):
        kinds, value = [got["kind"]], got["value"].strip()
    elif given := _GIVEN.search(block):
        kinds, value = _EXPECTED.findall(block[: given.start()]), given["value"].strip()
    else:
        return None
    kinds = [kind for kind in kinds if "NoneType" not in kind]
    if not path or not kinds or value.startswith("NestedArg("):
        return None
    if any(map(is_secret_name, path)):
        value = "***"
    expected = " or ".join(dict.fromkeys(_expected(kind, value) for kind in kinds))
    return f"{'.'.join(path)} is {value[:_SHOWN]!r}; expected {expected}."


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


def _expected(kind: str, value: str) -> str:
    """A type as jsonargparse prints it, in words; ``value`` is what was given in its place."""
    if literals := re.search(r"Literal\[(.*)\]", kind):
        return "one of " + literals[1].replace("'", "")
    words = {
        "float": "a number (.inf is infinite)",
        "int": "a whole number",
        "bool": "true or false",
        "str": "a text, in quotes",
        "pathlib.Path": "a path",
    }
    bare = re.sub(r"<class '(.*)'>", r"\1", kind.strip())
    if bare in ("list", "collections.abc.Sequence", "tuple"):
        like = value if _NUMBER.fullmatch(value) else json.dumps(value, ensure_ascii=False)
        return "a list" if value.startswith(("[", "{", "(")) else f"a list, such as [{like[:_SHOWN]}]"
    return words.get(bare, bare)


def _did_you_mean(wrong: str, known: Iterable[str], dashes: str = "") -> str:
    near = difflib.get_close_matches(wrong, list(known), n=1)
    return f"\nDid you mean '{dashes}{near[0]}'?" if near else ""
