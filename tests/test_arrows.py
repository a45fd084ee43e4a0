"""Imports run one way, as docs/architecture.md draws them; no file imports itself by way of others."""

import ast
import re
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

import fgvr

SCRIPT = "write_file_list"
PACKAGE = Path(fgvr.__file__).parent
# each part may import itself and what stands before it
ORDER = (
    "moved",
    *(
        "errors",
        "text",
        "yaml_text",
        "files",
        "checksums",
        "parquet",
        "depths",
        "pixels",
        "images",
        "photo_paths",
        "tables",
        "weights",
        "registry",
        "visible_lines",
        "known_classes",
        "secret_names",
        "packaged",
        "runs",
        "cache",
        "disk_problems",
        "records",
        "fieldguide",
    ),
    *("vocabulary", "wordnet", "datasets", "selections"),
    *("reading", "metrics", "labelers", "labelling", "descriptions"),
    *("backbones", "candidates", "classifiers", "heads", "losses", "filters", "relabelling"),
    *("data", "captions", "methods", "checkpoints", "reports", "pipeline", "doubt", "judging"),
    *("config", "sweeps", "paper_tables", "api", "cli", "testing"),
)
FILES = sorted(PACKAGE.rglob("*.py"))
LONGEST = 400
LARGEST_SHARE = 0.22


def module_of(path):
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_of(path): path for path in FILES}


def part_of(module):
    return module.split(".")[1] if "." in module else ""


@cache
def imported(path):
    """The modules of the package that a file imports, wherever in the file."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "fgvr":
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                found.add(inner if inner in MODULES else node.module)
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name.split(".")[0] == "fgvr"}
    return frozenset(found - {"fgvr"})


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_imports_run_one_way(path):
    part = part_of(module_of(path))
    if part in ("", "__main__"):
        return
    assert part in ORDER, f"say in ORDER, and in docs/architecture.md, where {part} stands"
    later = {module for module in imported(path) if ORDER.index(part_of(module)) > ORDER.index(part)}
    assert not later, f"{path.name} imports {later}, which stand above {part}"


def test_no_file_imports_itself_by_way_of_others():
    waiting = {module: imported(path) & MODULES.keys() - {module} for module, path in MODULES.items()}
    while free := {module for module, needed in waiting.items() if not needed & waiting.keys()}:
        waiting = {module: needed for module, needed in waiting.items() if module not in free}
    assert not waiting, f"these import each other in a circle, or what does: {sorted(waiting)}"


def test_the_architecture_names_every_part_in_order():
    text = (PACKAGE.parent / "docs" / "architecture.md").read_text()
    section = text[text.index("## Who imports whom") : text.index("## What happens in")]
    there = [word for word in re.findall(r"`(\w+)`", section) if word in ORDER]
    assert tuple(dict.fromkeys(there)) == ORDER


def test_no_file_is_too_long():
    long = {module: len(path.read_text().splitlines()) for module, path in MODULES.items()}
    assert {module: lines for module, lines in long.items() if lines > LONGEST} == {}


def test_no_part_is_too_large():
    lines = Counter()
    for module, path in MODULES.items():
        lines[part_of(module)] += len(path.read_text().splitlines())
    part, most = lines.most_common(1)[0]
    assert most < LARGEST_SHARE * lines.total(), f"{part} holds {most / lines.total():.0%} of the lines"


def test_the_architecture_lists_every_file(script):
    page = script.PAGE.read_text(encoding="utf-8")
    assert script.with_list(page) == page, "run: python scripts/write_file_list.py"
    assert all(script.summary(path) for path in FILES), "a file does not say what it is for"
