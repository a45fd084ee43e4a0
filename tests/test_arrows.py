"""Imports between the parts of the package run one way, as docs/architecture.md draws them."""

import ast
from pathlib import Path

import pytest

import fgvr

PACKAGE = Path(fgvr.__file__).parent
# each part may import itself and what stands before it
ORDER = [
    *("errors", "text", "registry", "records", "files", "tables", "packaged", "runs", "fieldguide", "images"),
    *(
        "vocabulary",
        "labelers",
        "descriptions",
        "selections",
        "candidates",
        "losses",
        "backbones",
        "classifiers",
        "heads",
        "data",
        "metrics",
    ),
    *("data", "metrics", "methods", "checkpoints", "reports", "cli", "testing"),
]


def part_of(path):
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("fgvr."):
            yield node.module.split(".")[1]


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_imports_run_one_way(path):
    part = part_of(path)
    if part in ("__init__", "__main__", "configs"):
        return
    assert part in ORDER, f"say in ORDER, and in docs/architecture.md, where {part} stands"
    later = {name for name in imported(path) if ORDER.index(name) > ORDER.index(part)}
    assert not later, f"{path.name} imports {later}, which stand above {part}"
