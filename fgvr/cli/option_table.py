"""Help and typing mistakes answered at once, from a table of what the parsers take.

The parsers need torch and Lightning, which take seconds to import; ``scripts/write_options.py`` writes the table from
them.
"""

import argparse
import difflib
import json
import shutil
import textwrap
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import shtab

from fgvr.errors import FgvrError
from fgvr.registry import KINDS

TABLE = Path(__file__).with_name("options.json")
_SHOWN = (
    *("accelerator", "devices", "strategy", "num_nodes", "precision", "logger", "callbacks", "max_epochs", "max_steps"),
    *("max_time", "fast_dev_run", "enable_progress_bar"),
)
"""Options of Lightning's trainer that help shows; there are sixty."""
_WIDEST = 100


@cache
def options_of(name: str) -> list[dict[str, Any]]:
    """What a command or the class of a built-in plugin takes, in the order of its parser; nothing for any other."""
    table = json.loads(TABLE.read_text(encoding="utf-8"))
    return [table["options"][number] for number in table["takes"].get(name, ())]


def plugin_help(class_path: str) -> str:
    """The options of a built-in plugin."""
    lines = []
    for option in options_of(class_path):
        if not option["flags"][0].endswith(".help"):
            lines += [_heading(option), *_wrapped(_explained(option))]
    return "\n".join(lines)


def help_of(command: str, summary: str) -> str:
    """The help of a command: fgvr's own options, with the names of plugins, and the most used ones of the trainer.

    Args:
        command: The command.
        summary: What it does.
    """
    lines = [f"usage: fgvr {command} [--config FILE] [--KEY VALUE ...]", ""]
    lines += [*_wrapped(f"{summary[0].upper()}{summary[1:]}.", indent=""), ""]
    lines.append("Any key of a configuration can be given as an option, and any plugin by its short name.")
    # fgvr's own keys first
    helped = {
        flag.removesuffix(".help") for option in options_of(command) for flag in option["flags"] if ".help" in flag
    }
    for option in sorted(options_of(command), key=lambda option: option["flags"][0].startswith("--trainer.")):
        flag = option["flags"][0]
        if flag.endswith(".help") or flag in ("--trainer", "--data", "--run", "--checkpoint", "--help"):
            continue
        if flag.startswith("--trainer.") and flag.removeprefix("--trainer.") not in _SHOWN:
            continue
        lines += ["", _heading(option), *_wrapped(_explained(option))]
        if flag in helped and not option.get("kind"):
            lines += _wrapped(f"What is below it: fgvr {command} {flag}.help")
    lines += ["", f"  --help-all    every option, those of Lightning's trainer included: fgvr {command} --help-all"]
    lines.append("  A plugin's own options: fgvr show KIND NAME, such as fgvr show labelers openai")
    return "\n".join(lines)


def completion(shell: str, commands: Mapping[str, str]) -> str:
    """A script that has a shell complete commands, options and the names of plugins.

    Args:
        shell: ``bash``, ``zsh`` or another that shtab knows.
        commands: Command -> what it does.

    Raises:
        FgvrError: The shell is another one.
    """
    if shell not in shtab.SUPPORTED_SHELLS:
        raise FgvrError(f"{shell!r} is not a shell that can be served: {', '.join(shtab.SUPPORTED_SHELLS)}.")
    parser = argparse.ArgumentParser(prog="fgvr", description="Fine-grained visual recognition without human labels.")
    subparsers = parser.add_subparsers()
    for command, summary in commands.items():
        one = subparsers.add_parser(command, help=summary.replace("%", "%%"))
        for option in options_of(command):
            if option["flags"][0] == "--help":
                continue
            choices = sorted(KINDS[option["kind"]]) if option.get("kind") else None
            text = option["help"].partition(". ")[0].replace("%", "%%")
            action = one.add_argument(*option["flags"], choices=choices, help=text)
            if option.get("expected", "").startswith("a path") or option["flags"][0] == "--config":
                action.complete = shtab.FILE  # type: ignore[attr-defined]  # shtab's own way
    return str(shtab.complete(parser, shell))


def check_flags(command: str, args: list[str]) -> None:
    """Refuse an option that no parser knows, before anything is imported to parse the others.

    Raises:
        FgvrError: There is one; the message has the closest.
    """
    known = {flag for option in options_of(command) for flag in option["flags"]}
    if not known:
        return
    known.add("--help-all")
    nested = tuple(f"{option['flags'][0]}." for option in options_of(command) if option.get("nested"))
    for token in args:
        flag = token.partition("=")[0]
        if not flag.startswith("--") or flag == "--" or flag.removesuffix("+") in known or flag in known:
            continue
        if flag.startswith(nested):
            continue
        near = difflib.get_close_matches(flag, known, n=1)
        hint = f"\nDid you mean {near[0]!r}?" if near else ""
        raise FgvrError(f"unrecognized arguments: {token}{hint}\nTo see every option: fgvr {command} --help")


def _heading(option: dict[str, Any]) -> str:
    flag = option["flags"][0]
    default = f"  (default: {option['default']})" if option["default"] not in ("", "null") else ""
    named = "NAME" if option.get("kind") else "VALUE"
    return f"  {flag}{'' if option.get('expected') == 'true or false' and not default else f' {named}'}{default}"


def _explained(option: dict[str, Any]) -> str:
    text = option["help"].replace("``", "")
    if kind := option.get("kind"):
        return f"{text} One of: {', '.join(sorted(KINDS[kind]))}; or a class path."
    expected = option.get("expected", "")
    return f"{text} Expected: {expected}." if expected and expected != "a text" else text


def _wrapped(text: str, indent: str = " " * 6) -> list[str]:
    width = min(shutil.get_terminal_size().columns, _WIDEST)
    return textwrap.wrap(text, width, initial_indent=indent, subsequent_indent=indent, break_long_words=False)
