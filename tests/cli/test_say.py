"""What is printed, logged and written of names that come from outside."""

import ast
import csv
import logging
from pathlib import Path

import pytest

import fgvr.cli
from fgvr.cli import main
from fgvr.cli.say import say
from fgvr.reports.table import format_table
from fgvr.tables import write_csv
from fgvr.visible_lines import VisibleFormatter
from fgvr.vocabulary.build import known_vocabulary

ODD = "Pug\x1b]0;owned\x07\x1b[2J \rcopy \u202egup\u2066 \x9b31m"
COMMANDS = [path for path in Path(fgvr.cli.__file__).parent.glob("*.py") if path.name not in ("say.py", "__init__.py")]


def is_harmless(text):
    return all(char.isprintable() or char in "\n\t" for char in text)


def test_a_terminal_obeys_nothing_that_is_said(capsys):
    say(ODD, Path(ODD), 3, end="")
    out = capsys.readouterr().out
    assert is_harmless(out)
    assert out.startswith(r"Pug\x1b]0;owned\x07")
    assert r"\u202egup" in out
    say("one\n\ttwo", "Gänsegeier")
    assert capsys.readouterr().out == "one\n\ttwo Gänsegeier\n"


@pytest.mark.parametrize("path", COMMANDS, ids=lambda path: path.name)
def test_commands_print_by_saying(path):
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    assert not [call.lineno for call in calls if isinstance(call.func, ast.Name) and call.func.id == "print"]


def test_logs_and_tables_are_harmless():
    record = logging.LogRecord("fgvr", logging.INFO, "", 1, "name %s", (ODD,), None)
    assert is_harmless(VisibleFormatter("%(message)s").format(record))
    assert is_harmless(format_table({ODD: {"cacc": 1.0, ODD: 2.0}}))


def test_class_names_hold_no_controls():
    vocabulary = known_vocabulary([ODD, "می‌خواهم", "=HYPERLINK(1)"])
    assert vocabulary.names == ("Pug ]0;owned [2J copy gup 31m", "می‌خواهم", "=HYPERLINK(1)")
    assert list(vocabulary.members) == list(vocabulary.names)


def test_no_cell_is_a_formula(tmp_path):
    cells = ['=HYPERLINK("http://far.example")', "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\uff1d1", "'=1", "Pug"]
    write_csv(tmp_path / "names.csv", ["name", "=row"], ([cell, -1.5] for cell in cells))
    with (tmp_path / "names.csv").open(encoding="utf-8-sig", newline="") as stream:
        header, *rows = csv.reader(stream)
    assert header == ["name", "'=row"]
    assert [row[0] for row in rows] == [*(f"'{cell}" for cell in cells[:-1]), "Pug"]
    assert {row[1] for row in rows} == {"-1.5"}


def test_what_evaluate_prints_is_harmless(tmp_path, capsys):
    odd = tmp_path / "\x1b[31m.csv"
    odd.write_text("image,predicted\nbirds/a.jpg,Pug\x1b[2J\nbirds/b.jpg,Boxer\n")
    truth = tmp_path / "truth.csv"
    truth.write_text("image,true_name\nbirds/a.jpg,Pug\nbirds/b.jpg,Boxer\n")
    main(["evaluate", "--predictions", str(odd), "--truth", str(truth)])
    out, err = capsys.readouterr()
    assert r"\x1b[31m.csv" in out + err
    assert is_harmless(out + err)
    with pytest.raises(SystemExit):
        main(["evaluate", str(odd)])
    assert r"unrecognized arguments" in (err := capsys.readouterr().err)
    assert is_harmless(err)
