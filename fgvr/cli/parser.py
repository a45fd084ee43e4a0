"""The argument parser: jsonargparse's, with mistakes answered by what was meant."""

import difflib
import importlib
import inspect
import re
from collections.abc import Iterable
from typing import Any, NoReturn

from lightning.pytorch.cli import LightningArgumentParser

from fgvr.errors import FgvrError
from fgvr.registry import KINDS

_CLASS_OPTION = re.compile(r"class_path '(?P<path>[\w.]+)':\s+Option '(?P<option>[\w.]+)' is not accepted")
_GROUP_OPTION = re.compile(r"Group '(?P<group>[\w.]+)' does not accept option '(?P<option>[\w.]+)'")
_TOP_OPTION = re.compile(r"^Option '(?P<option>\w+)[\w.]*' is not accepted")
_REQUIRED = re.compile(
    r"Problem with given class_path '(?P<path>[\w.]+)':\s+the following arguments are required: (?P<options>[\w, ]+)"
)
_KEY = re.compile(r'[Pp]arser key "([\w.]+)"')
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
        message = _in_short(message)
        raise FgvrError(f"{message.rstrip()}{self._hint(message)}\nTo see every option: {command} --help") from ex

    def _hint(self, message: str) -> str:
        if match := _CLASS_OPTION.search(message):
            module, _, name = match["path"].rpartition(".")
            known = inspect.signature(getattr(importlib.import_module(module), name)).parameters
            return _did_you_mean(match["option"], known)
        flags = [flag.removeprefix("--") for action in self._actions for flag in action.option_strings]
        if match := _GROUP_OPTION.search(message):
            prefix = f"{match['group']}."
            return _did_you_mean(match["option"], (f.removeprefix(prefix) for f in flags if f.startswith(prefix)))
        if match := _TOP_OPTION.search(message):
            return _did_you_mean(match["option"], {flag.partition(".")[0] for flag in flags})
        if match := _FLAG.search(message):
            return _did_you_mean(match["option"], flags, "--")
        return ""


def _in_short(message: str) -> str:
    """What jsonargparse says of a plugin in a page, in a line: which option it lacks, or which plugin the option."""
    if match := _REQUIRED.search(message):
        name = match["path"].rpartition(".")[2]
        plugins = ((kind, short, path) for kind, registry in KINDS.items() for short, path in registry.items())
        shown = (
            f" It is explained by: fgvr show {kind} {short}" for kind, short, path in plugins if path == match["path"]
        )
        where = next(shown, "")
        return f"{'.'.join(_KEY.findall(message))}: {name} needs {match['options'].strip()}.{where}"
    if not _CLASS_OPTION.search(message) and (match := _OPTION_OF_NOTHING.search(message)):
        key = ".".join(_KEY.findall(message))
        return f"--{key}.{match['option']} is an option of what is given with --{key} NAME; give that first."
    return message


def _did_you_mean(wrong: str, known: Iterable[str], dashes: str = "") -> str:
    near = difflib.get_close_matches(wrong, list(known), n=1)
    return f"\nDid you mean '{dashes}{near[0]}'?" if near else ""
