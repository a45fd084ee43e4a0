"""Messages and docstrings speak of keys and arguments, which are the same in Python, in YAML and when typed."""

import ast
import re
from pathlib import Path

import pytest

import fgvr
from fgvr.cli import COMMANDS

PACKAGE = Path(fgvr.__file__).parent
FILES = [path for path in sorted(PACKAGE.rglob("*.py")) if path.relative_to(PACKAGE).parts[0] not in ("cli", "config")]
TYPED = re.compile(rf"(?<![\w-])--[a-z{{]|\bfgvr (?:(?:{'|'.join(COMMANDS)})\b|{{)|\bsame command\b")
# what is done in a shell alone may be named in backticks: these commands have no function in fgvr's Python interface,
# and the others are not fgvr's
SHELL = re.compile(r"`(?:fgvr (?:data|discover|list|show|store)|hf download|pip install)\b[^`]*`")
ALLOWED = {
    # these read, make or explain the arguments of a process
    *("api.py: _configured", "api.py: load", "sweeps/compare.py: compared_args"),
    "sweeps/requirements.py: requirements_of",
    *("sweeps/grid.py: Grid.options", "sweeps/grid.py: read_grid", "sweeps/grid.py: parse_options"),
    *("sweeps/grid.py: as_tokens", "sweeps/launch.py: resume_args", "sweeps/launch.py: command_line"),
    *("sweeps/sweep.py: Sweep.fit_args", "sweeps/sweep.py: Sweep.asking_args"),
    # variables of a style sheet
    "reports/plots.py: ",
}


def texts(node, owner=""):
    """Owner, line and text of every string; an f-string is one text, with {} for what is put in."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        owner = f"{owner}.{node.name}".lstrip(".")
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield owner, node.lineno, node.value
    children = list(ast.iter_child_nodes(node))
    if isinstance(node, ast.JoinedStr):
        parts = [part.value if isinstance(part, ast.Constant) else "{}" for part in node.values]
        yield owner, node.lineno, "".join(parts)
        children = [part for part in node.values if isinstance(part, ast.FormattedValue)]
    for child in children:
        yield from texts(child, owner)


def test_messages_speak_of_keys():
    found = {}
    for path in FILES:
        for owner, line, text in texts(ast.parse(path.read_text())):
            if said := TYPED.search(SHELL.sub("", text)):
                place = f"{path.relative_to(PACKAGE).as_posix()}: {owner}"
                found.setdefault(place, []).append(f"{path}:{line}: {said[0]}")
    wrong = [line for place, lines in found.items() if place not in ALLOWED for line in lines]
    assert not wrong, "say it with keys and arguments, as in 'set data.shots to 2':\n" + "\n".join(wrong)
    assert set(found) == ALLOWED, "what is allowed and not there any more"


@pytest.mark.parametrize(
    "code",
    ['def f():\n    """As ``fgvr fit``."""', 'f"{x!r}: " "fgvr " "{x}"', "f'set --{x}'", "f'{\"--c\"}'", "'--a.b 1'"],
)
def test_flags_and_commands_are_found(code):
    assert any(TYPED.search(text) for _, _, text in texts(ast.parse(code)))
    assert not TYPED.search(
        SHELL.sub("", "the command `fgvr data verify dtd --root X`, fgvr from Python, a -- b, w--x")
    )
