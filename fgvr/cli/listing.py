"""``fgvr list`` and ``fgvr show``."""

import ast
import difflib
import inspect
import json
from pathlib import Path
from typing import Any

import fgvr
from fgvr.cli.option_table import plugin_help
from fgvr.cli.say import say
from fgvr.config.files import shipped_configs, shipped_folder
from fgvr.errors import FgvrError
from fgvr.registry import KINDS, SLOTS, Registry

_TAGS = Path(fgvr.__file__).parent / "backbones" / "open_clip_tags.json"
"""Written by scripts/write_backbone_tags.py."""


def list_plugins(args: list[str]) -> int:
    """``fgvr list [KIND] [--json]``: names, without importing anything that they name.

    Of backbones, tags of open_clip that are good for fine-grained photos come with them.

    Raises:
        FgvrError: There is no such kind.
    """
    as_json = "--json" in args
    wanted = [arg for arg in args if arg != "--json"]
    if any(arg in ("-h", "--help") for arg in wanted):
        say(f"usage: fgvr list [{' | '.join([*KINDS, 'configs'])}] [--json]")
        return 0
    if len(wanted) > 1:
        raise FgvrError(f"fgvr list takes one kind, not {len(wanted)}: {' '.join(wanted)}")
    kinds = [_kind(wanted[0])] if wanted else [*KINDS, "configs"]
    entries = {kind: _configs() if kind == "configs" else _plugins(KINDS[kind]) for kind in kinds}
    tags = json.loads(_TAGS.read_text(encoding="utf-8")) if kinds == ["backbones"] else None
    if as_json:
        say(json.dumps(entries if tags is None else {**entries, "open_clip_tags": tags}, indent=2))
        return 0
    for kind, rows in entries.items():
        say(f"{kind}:")
        width = max((len(row["name"]) for row in rows), default=0)
        for row in rows:
            package = "" if row.get("package", "fgvr") == "fgvr" else f"[{row['package']}] "
            say(f"  {row['name'].ljust(width)}  {package}{row['summary']}".rstrip())
    if tags is not None:
        say(_tag_table(tags))
    return 0


def show_plugin(args: list[str]) -> int:
    """``fgvr show KIND NAME``: a plugin's description and options.

    Raises:
        FgvrError: There is no such kind or plugin, or it cannot be imported.
    """
    if len(args) != 2 or args[0].startswith("-"):
        say(f"usage: fgvr show KIND NAME, with KIND one of {', '.join([*KINDS, 'configs'])}")
        return 0 if args[:1] in (["-h"], ["--help"]) else 2
    kind = _kind(args[0])
    if kind == "configs":
        from fgvr.config.files import find_config

        say(find_config(args[1]).read_text(encoding="utf-8"))
        return 0
    registry = KINDS[kind]
    path = registry.resolve(args[1])
    head = f"{args[1]}: {path}, from {registry.distribution(args[1])}\n"
    if path in registry.builtins.values():  # without importing it, which may take seconds
        say(f"{head}\n{_docstring(path)}\n\n{plugin_help(path)}")
        return 0
    try:
        plugin = registry.load(args[1])
    except ImportError as error:
        package = registry.distribution(args[1])
        raise FgvrError(f"{args[1]!r} ({path}, from {package}) cannot be imported: {error}") from error
    from jsonargparse import ArgumentParser

    say(f"{head}\n{inspect.getdoc(plugin) or ''}")
    parser = ArgumentParser(prog="", add_help=False)
    parser.add_class_arguments(plugin, fail_untyped=False)
    say("\n" + parser.format_help())
    return 0


def _kind(text: str) -> str:
    known = [*KINDS, "configs"]
    singular = {slot: registry.kind for slot, registry in SLOTS.items()} | {"method": "methods", "config": "configs"}
    if text in known or text in singular:
        return singular.get(text, text)
    near = difflib.get_close_matches(text, known, n=1)
    raise FgvrError(f"{text!r} is not one of {', '.join(known)}." + (f" Did you mean {near[0]!r}?" if near else ""))


def _plugins(registry: Registry) -> list[dict[str, str]]:
    return [
        {
            "name": name,
            "class_path": registry[name],
            "package": registry.distribution(name),
            "summary": _docstring(registry[name]).partition("\n")[0] or registry[name],
        }
        for name in sorted(registry)
    ]


def _tag_table(content: dict[str, Any]) -> str:
    """Tags, figures and reasons in columns, and where the figures are from."""
    columns = ["model", "pretrained", "million_parameters", "gflop", *content["sets"], "mean", "why"]
    heads = {"million_parameters": "M", "gflop": "GFLOP"}
    rows = [[heads.get(column, column) for column in columns]]
    decimals = dict.fromkeys(content["sets"], ".2f")
    rows += [[format(tag[column], decimals.get(column, "")) for column in columns] for tag in content["tags"]]
    widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)]
    lines = [f"open_clip, tags for fine-grained photos ({content['about']}):"]
    for row in rows:
        names, numbers, why = row[:2], row[2:-1], row[-1]
        cells = [name.ljust(width) for name, width in zip(names, widths[:2], strict=True)]
        cells += [number.rjust(width) for number, width in zip(numbers, widths[2:-1], strict=True)]
        lines.append("  " + "  ".join([*cells, why]))
    lines.append("  M: million parameters. GFLOP: of a photo and a text. SigLIP 2 and PE are newer than the table.")
    lines.append(f"  Source, {content['date']}: {content['source']}")
    return "\n".join(lines)


def _configs() -> list[dict[str, str]]:
    rows = []
    for name in shipped_configs():
        first = (shipped_folder() / name).read_text(encoding="utf-8").partition("\n")[0]
        rows.append({"name": name, "summary": first.removeprefix("#").strip()})
    return rows


def _docstring(class_path: str) -> str:
    """Of a built-in class, read from its source; "" of any other."""
    module, _, class_name = class_path.rpartition(".")
    source = Path(fgvr.__file__).parent.joinpath(*module.split(".")[1:]).with_suffix(".py")
    if not module.startswith("fgvr.") or not source.is_file():
        return ""
    for node in ast.parse(source.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ClassDef) and node.name == class_name:
            return ast.get_docstring(node) or ""
    return ""
