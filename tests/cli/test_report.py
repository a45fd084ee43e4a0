import os
import shutil
from pathlib import Path

import pytest
from tiny_run import OPTIONS

from fgvr.cli import main

RUN = Path("runs/run/0")


@pytest.fixture
def fitted(tiny_run):
    assert main(["fit", *OPTIONS, "--trainer.max_epochs", "2"]) == 0
    return RUN


def state(folder):
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != "report.html"]
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


def test_fit_leaves_a_report_and_report_writes_it_again(fitted, capsys, monkeypatch):
    made = (fitted / "report.html").read_bytes()
    assert b'data-photo="' in made
    (fitted / "report.html").unlink()
    before, there = state(fitted), set(Path("runs").rglob("*"))
    monkeypatch.setattr("fgvr.testing.tiny.TinyBackbone.load", lambda self: pytest.fail("a report needs no backbone"))
    capsys.readouterr()
    assert main(["report", "runs/run"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == str(fitted / "report.html")
    assert (fitted / "report.html").read_bytes() == made
    assert state(fitted) == before
    assert set(Path("runs").rglob("*")) == there | {fitted / "report.html"}


def test_photos_that_were_moved(fitted, tiny_run, caplog):
    shutil.move(tiny_run / "birds", tiny_run / "elsewhere")
    assert main(["report", str(fitted)]) == 0
    assert "The photos cannot be found" in caplog.text
    assert "photos of this run were not found" in (fitted / "report.html").read_text()
    assert main(["report", str(fitted), "--data.dataset.root", "elsewhere"]) == 0
    page = (fitted / "report.html").read_text()
    assert "photos of this run were not found" not in page
    assert 'data-photo="' in page


LEAVES_A_FILE = """
from pathlib import Path
from lightning.pytorch import Callback
from lightning.pytorch.loggers import CSVLogger

class LeavingLogger(CSVLogger):
    def __init__(self):
        super().__init__("logs")
        Path("made_by_the_logger").touch()

class LeavingCallback(Callback):
    def __init__(self):
        Path("made_by_the_callback").touch()
"""


def test_a_run_with_loggers_and_callbacks_is_reported_without_them(fitted, tiny_run):
    (tiny_run / "leaves_a_file.py").write_text(LEAVES_A_FILE)
    config = fitted / "config.yaml"
    text = config.read_text()
    for line, plugin in (
        ("  logger: null\n", "  logger: {class_path: leaves_a_file.LeavingLogger}\n"),
        ("  callbacks: null\n", "  callbacks: [{class_path: leaves_a_file.LeavingCallback}]\n"),
    ):
        assert text.count(line) == 1
        text = text.replace(line, plugin)
    config.write_text(text)
    assert main(["report", str(fitted)]) == 0
    assert not list(tiny_run.glob("made_by_*"))


def test_the_newest_version_is_taken(fitted, capsys):
    shutil.copytree(fitted, "runs/run/named")
    os.utime(fitted / "config.yaml", (1, 1))
    os.utime("runs/run/named/config.yaml", (2, 2))
    assert main(["report", "runs/run"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "runs/run/named/report.html"


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["runs/rum"], "There is no run 'runs/rum'. Did you mean 'runs/run'?"),
        (["elsewhere/run"], "There is no run 'elsewhere/run'. fit makes one"),
        (["runs"], "'runs' is no run: expected config.yaml"),
    ],
)
def test_what_is_no_run_is_said(tiny_run, capsys, args, message):
    (tiny_run / "runs" / "run").mkdir(parents=True)
    assert main(["report", *args]) == 2
    assert message in capsys.readouterr().err


def test_an_option_that_is_none_is_refused(fitted, capsys):
    assert main(["report", str(fitted), "--data.dataset.rot", "x"]) == 2
    assert "Did you mean 'root'" in capsys.readouterr().err


def test_help_needs_no_run(capsys):
    for args in ([], ["--help"]):
        assert main(["report", *args]) == 0
        assert "usage: fgvr report RUN" in capsys.readouterr().out
