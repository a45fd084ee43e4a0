"""Write what fgvr's commands and plugins take into fgvr/cli/options.json, which answers help and typing mistakes.

    python scripts/write_options.py

The parsers themselves need torch and Lightning, seconds in which nobody wants to wait for a line of help. A test holds
the file equal to the parsers.
"""

import dataclasses
import json
import types
import typing
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser
from lightning.pytorch.cli import LightningArgumentParser

from fgvr.cli.discover import add_images
from fgvr.cli.judge import add_options as add_judge_options
from fgvr.cli.option_table import TABLE
from fgvr.cli.sentences import add_options as add_sentence_options
from fgvr.cli.stages import add_asking_options, add_label_options
from fgvr.config.cli import FgvrCLI
from fgvr.registry import KINDS, OWN_SLOTS, SLOTS

COMMANDS = {
    **dict.fromkeys(("fit", "validate", "test", "predict", "candidates")),
    "label": add_label_options,
    "describe": add_asking_options,
    "discover": add_images,
    "judge": add_judge_options,
    "sentences": add_sentence_options,
}
WORDS = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "a text",
    Path: "a path",
    type(None): "null",
    dict: "a mapping",
    list: "a list",
}


class _Parser(FgvrCLI):
    """Builds the parser, and parses nothing."""

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        raise _BuiltError(parser)


class _BuiltError(Exception):
    pass


def parser_of(command: str) -> LightningArgumentParser:
    """The parser of a command."""
    try:
        _Parser(command, [], COMMANDS[command])
    except _BuiltError as built:
        return built.args[0]
    raise AssertionError("the parser is built before anything is parsed")


def words(hint: Any) -> list[str]:
    """A type in words, one entry for each of a union; nothing for a class, whose names the registry has."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        # typing hands out an equal union that was made before, whose parts may be in another order
        order = [*WORDS.values()]
        found = [word for part in typing.get_args(hint) for word in words(part)]
        return sorted(found, key=lambda word: order.index(word) if word in order else -1)
    if typing.get_origin(hint) is typing.Literal:
        return [str(value) for value in typing.get_args(hint)]
    known = WORDS.get(typing.get_origin(hint) or hint)
    return [known] if known else []


def is_nested(hint: Any) -> bool:
    """Whether options may be given below an option: those of a class or a mapping."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return any(is_nested(part) for part in typing.get_args(hint))
    return hint is dict or typing.get_origin(hint) in (dict, list) or (isinstance(hint, type) and hint not in WORDS)


def default_of(action: Any) -> str:
    """A default as YAML would have it; "" where it is not to be said."""
    value = action.default
    if value is None or isinstance(value, bool | int | float | list | tuple):
        return json.dumps(value, default=str)
    return str(value) if isinstance(value, str | Path) and value != "==SUPPRESS==" else ""


def plugin_parsers() -> dict[str, ArgumentParser]:
    """Class path of each built-in plugin -> the parser of its own options."""
    parsers = {}
    for registry in KINDS.values():
        for name, class_path in registry.builtins.items():
            parsers[class_path] = ArgumentParser(prog="", add_help=False)
            parsers[class_path].add_class_arguments(registry.load(name), fail_untyped=False)
    return parsers


def options_of(parser: ArgumentParser, place: str) -> list[dict[str, Any]]:
    """What a parser takes, in its order; ``place`` is a section or a class, whose arguments these are."""
    options = []
    slots = {**SLOTS, **OWN_SLOTS.get(place, {})}
    for action in parser._actions:
        hint = getattr(action, "_typehint", None)
        flags = [flag for flag in action.option_strings if flag.startswith("--")]
        name = flags[0].removeprefix("--").rpartition(".")[2]
        option = {"flags": flags, "help": " ".join((action.help or "").split()), "default": default_of(action)}
        if flags[0] == "--model" and isinstance(parser, LightningArgumentParser):
            option["kind"] = "methods"
        elif hint is not None and name in slots:
            option["kind"] = slots[name].kind
        elif (expected := words(hint)) and expected != ["null"]:
            option["expected"] = ", ".join(dict.fromkeys(expected))
        if hint is not None and is_nested(hint):
            option["nested"] = True
        options.append(option)
        # where a group of options may be left out, the parser has them only when it is given
        for part in typing.get_args(hint):
            if dataclasses.is_dataclass(part) and isinstance(part, type) and not flags[0].endswith(".help"):
                group = ArgumentParser(prog="", add_help=False)
                group.add_class_arguments(part, name)
                own = [each for each in options_of(group, place) if each["flags"][0].startswith(f"--{name}.")]
                options += [each for each in own if not isinstance(parser, LightningArgumentParser)]
    return options


def table() -> dict[str, Any]:
    """Every option once, and for each command and for each class of a built-in plugin the numbers of its options."""
    parsers = {command: parser_of(command) for command in COMMANDS} | plugin_parsers()
    options: list[dict[str, Any]] = []
    takes: dict[str, list[int]] = {}
    for name, parser in parsers.items():
        found = options_of(parser, "data" if name in COMMANDS else name)
        options += [option for option in found if option not in options]
        takes[name] = [options.index(option) for option in found]
    return {"options": options, "takes": takes}


def as_text(found: dict[str, Any]) -> str:
    """The table as JSON, with a line for each option and for each command or class."""
    options = ",\n".join(json.dumps(option, ensure_ascii=False) for option in found["options"])
    takes = ",\n".join(f"{json.dumps(name)}: {json.dumps(numbers)}" for name, numbers in found["takes"].items())
    return f'{{"options": [\n{options}\n],\n"takes": {{\n{takes}\n}}}}\n'


if __name__ == "__main__":
    TABLE.write_text(as_text(table()), encoding="utf-8")
