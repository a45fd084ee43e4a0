"""Places that cannot be used are one line, whichever command meets them."""

import os

import pytest
from tiny_run import OPTIONS

from fgvr.cli import main


def last_line(capsys):
    return capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize("command", ["fit", "predict", "candidates", "label"])
def test_a_place_for_runs_that_is_a_file(tiny_run, capsys, command):
    (tiny_run / "runs").write_text("")
    assert main([command, *OPTIONS]) == 2
    assert "runs" in last_line(capsys)


def test_a_cache_that_is_a_file(tiny_run, monkeypatch, capsys):
    monkeypatch.setenv("FGVR_CACHE", str(tiny_run / "replies.jsonl"))
    assert main(["label", *OPTIONS]) == 2
    assert "Name a folder that can be written with FGVR_CACHE" in last_line(capsys)


def test_a_working_directory_that_is_gone(tmp_path, monkeypatch, capsys):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert main(["list"]) == 2
    os.chdir(tmp_path)
    assert "The working directory cannot be used" in last_line(capsys)
