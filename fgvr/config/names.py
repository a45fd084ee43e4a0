"""Short plugin names in YAML files and on the command line, through two public hooks of jsonargparse.

A loader (``parser_mode``) expands names in files, and ``expand_argv`` those on the command line, before jsonargparse
sees them. jsonargparse then does what it does for any class path: import, check, document, save.
"""

import json
import logging
import re
from typing import Any

import yaml
from jsonargparse import get_loader, set_loader

from fgvr.config.texts import TEXT_LISTS, keep_texts
from fgvr.moved import ARGUMENTS
from fgvr.registry import LABELERS, METHODS, OWN_SLOTS, PROTOCOLS, SLOTS, Registry

PARSER_MODE = "fgvr"
SECTIONS: dict[str, Registry | None] = {"data": None, "model": METHODS, "protocol": PROTOCOLS}
"""Top-level keys below which short names are looked up (a callback may own a key called ``loss``), with their own."""

_PARTS = {name: registry for slots in OWN_SLOTS.values() for name, registry in slots.items()}
_LABELER_PARTS = "|".join(name for name, registry in _PARTS.items() if registry is LABELERS)
_SLOT_FLAG = re.compile(
    rf"--(?:model|(?P<protocol>protocol)|(?:{'|'.join(SECTIONS)})\.(?:[\w.]+\.)?(?P<slot>{'|'.join(SLOTS)})"
    rf"|data\.(?P<top>{'|'.join(OWN_SLOTS['data'])})"
    rf"|data\.(?:[\w.]+\.)?\w*(?:labeler|{_LABELER_PARTS})\.(?:init_args\.)?(?P<part>{_LABELER_PARTS}))"
    r"(?:\.class_path|\.help)?(?:=(?P<value>.*))?"
)
_OLD_FLAG = re.compile(
    r"(?P<path>--data\.(?:\w+\.)*?(?:\w*labeler|first|fallback)\.(?:init_args\.)?)"
    rf"(?P<old>{'|'.join(ARGUMENTS)})(?=[.=]|$)"
)
_TEXT_LIST_FLAG = re.compile(
    rf"--(?P<key>(?:{'|'.join(SECTIONS)})\.(?:[\w.]+\.)?(?:{'|'.join(sorted(TEXT_LISTS))}))\+?(?:=(?P<value>.*))?",
    re.DOTALL,
)
_load_plain_yaml = get_loader("yaml")
log = logging.getLogger(__name__)


def expand_config(config: Any) -> Any:
    """A whole configuration with every short name replaced by its class path.

    Raises:
        FgvrError: A name is unknown.
    """
    if not isinstance(config, dict) or _are_arguments(config):
        return config
    # the base of a file stands before it on the command line
    return {
        key: _expand(value, SECTIONS[key], key) if key in SECTIONS else value
        for key, value in config.items()
        if key != "base"
    }


def _are_arguments(config: dict[str, Any]) -> bool:
    """Whether these are the arguments of a class, which jsonargparse loads in the same way: a backbone's ``model``."""
    model = config.get("model")
    return isinstance(model, str) and model not in METHODS and not {"data", "trainer"} & config.keys()


def expand_argv(argv: list[str]) -> list[str]:
    """Command-line arguments with every short name replaced by its class path.

    Raises:
        FgvrError: A name is unknown.
    """
    expanded: list[str] = []
    registry: Registry | None = None
    texts = ""
    for token in argv:
        while old := _OLD_FLAG.match(token):
            token = f"{old['path']}{_new_name(old['old'])}{token[old.end() :]}"
        if registry is not None:
            if not token.startswith("-"):
                token = _expand_text(token, registry)
            registry = None
        elif texts:
            token, texts = _expand_list(token, texts), ""
        elif match := _TEXT_LIST_FLAG.fullmatch(token):
            if match["value"] is None:
                texts = match["key"]
            else:
                token = token[: match.start("value")] + _expand_list(match["value"], match["key"])
        elif match := _SLOT_FLAG.fullmatch(token):
            named = match["slot"] or match["top"] or match["part"]
            slot = {**SLOTS, **_PARTS}[named] if named else PROTOCOLS if match["protocol"] else METHODS
            if match["value"] is None:
                registry = slot
            else:
                token = token[: match.start("value")] + _expand_text(match["value"], slot)
        expanded.append(token)
    return expanded


def as_flow(value: Any) -> str:
    """A value on one line, as the command line takes it: JSON, or YAML for numbers that JSON has not.

    Example:
        >>> as_flow({"class_path": "knn", "init_args": {"k": 3}}), as_flow({"weight": float("inf")})
        ('{"class_path": "knn", "init_args": {"k": 3}}', '{weight: .inf}')
    """
    try:
        return json.dumps(value, allow_nan=False)
    except ValueError:
        text: str = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, allow_unicode=True, width=2**31)
        return text.removesuffix("\n").removesuffix("\n...")


def _expand_list(text: str, key: str) -> str:
    """The value of an option that is a list of texts, with its entries as they are written."""
    try:
        if text.lstrip().startswith("["):
            return keep_texts(text, key)
        if key.endswith("templates") and isinstance(_load_plain_yaml(text), dict):  # "a photo: {}" is one text
            return json.dumps([text])
    except yaml.YAMLError:
        pass
    return text


def load_yaml(text: str) -> Any:
    """YAML as every configuration is read: what is a text by its key is one."""
    return _load_plain_yaml(keep_texts(text))


def _expand_text(text: str, registry: Registry) -> str:
    if text[:1] in "[{":
        return as_flow(_expand(load_yaml(text), registry))
    return text if text in ("null", "") else registry.resolve(text)


def _expand(node: Any, registry: Registry | None, place: str = "") -> Any:
    """``node`` with short names replaced; ``place`` is the section or the class whose arguments stand in it."""
    if isinstance(node, str):
        return {"class_path": registry.resolve(node)} if registry and "/" not in node else node
    if isinstance(node, list):
        return [_expand(item, registry) for item in node]
    if not isinstance(node, dict):
        return node
    if registry is not None and isinstance(node.get("class_path"), str):
        node = {**node, "class_path": registry.resolve(node["class_path"])}
        if node["class_path"] == LABELERS.builtins["cascade"] and isinstance(node.get("init_args"), dict):
            node["init_args"] = {_new_name(key): value for key, value in node["init_args"].items()}
    owner = str(node.get("class_path", place))
    slots = {**SLOTS, **OWN_SLOTS.get(owner, {})}
    return {key: _expand(value, slots.get(key), owner if key == "init_args" else "") for key, value in node.items()}


def _new_name(argument: str) -> str:
    if argument not in ARGUMENTS:
        return argument
    log.warning("The cascade's %s is %s now; the old name will go with fgvr 0.2.", argument, ARGUMENTS[argument])
    return ARGUMENTS[argument]


set_loader(PARSER_MODE, lambda text: expand_config(load_yaml(text)), exceptions=(yaml.YAMLError,))
