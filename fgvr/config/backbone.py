"""A backbone alone, of the options of a command that needs nothing else of a run."""

from collections.abc import Sequence
from typing import Any

from jsonargparse import Namespace

from fgvr.backbones.base import Backbone
from fgvr.config.cli import DEFAULT_MODEL
from fgvr.config.files import config_chain, find_config
from fgvr.config.guard import as_yaml
from fgvr.config.names import PARSER_MODE, expand_argv, expand_config, load_yaml
from fgvr.config.parser import FgvrParser
from fgvr.errors import FgvrError

_OPTION = "--model.backbone"


def backbone_of(command: str, config: str | None, args: Sequence[str]) -> Backbone:
    """The backbone that a configuration names, and options of the command line say otherwise; not loaded.

    Args:
        command: The command of fgvr that the options are for, for messages.
        config: A configuration, as ``config`` names one; only its ``model.backbone`` is read.
        args: ``--model.backbone NAME`` and options below it; ``--backbone`` is short for it.

    Raises:
        FgvrError: The configuration is not there or names a method without a backbone, or an option is unknown or has
            a wrong value.
    """
    parser = FgvrParser(prog=f"fgvr {command}", parser_mode=PARSER_MODE)
    parser.add_subclass_arguments(Backbone, "model.backbone", required=True)
    given: Any = DEFAULT_MODEL["init_args"]["backbone"] if config is None else _in_config(config)
    tokens = [f"{_OPTION}{token.removeprefix('--backbone')}" if _is_short(token) else token for token in args]
    parsed = parser.parse_args([f"{_OPTION}={as_yaml(given)}", *expand_argv(tokens)])
    try:
        backbone = parser.instantiate_classes(parsed).model.backbone
    except ValueError as error:  # jsonargparse's, around whatever a constructor raised
        raise FgvrError(f"model.backbone: {error}") from error
    assert isinstance(backbone, Backbone), "the parser admits subclasses of Backbone only"
    return backbone


def _is_short(token: str) -> bool:
    return token.partition("=")[0].partition(".")[0] == "--backbone"


def _in_config(name: str) -> Any:
    """What the last file of a configuration's chain that names a backbone says of it."""
    found: Any = DEFAULT_MODEL["init_args"]["backbone"]
    for path in config_chain(find_config(name)):
        model = expand_config(load_yaml(path.read_text(encoding="utf-8"))).get("model")
        if model is None:
            continue
        arguments = model.get("init_args") if isinstance(model, dict) else None
        if isinstance(arguments, dict) and arguments.get("backbone") is not None:
            found = arguments["backbone"]
        elif isinstance(model, dict) and "class_path" not in model and model.get("backbone") is not None:
            found = model["backbone"]
    return found.as_dict() if isinstance(found, Namespace) else found
