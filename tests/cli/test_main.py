import subprocess
import sys

import pytest

from fgvr import __version__
from fgvr.cli import COMMANDS, HELP, main


def test_help_names_every_command(capsys):
    assert main(["--help"]) == 0
    assert capsys.readouterr().out.strip() == HELP
    for command in COMMANDS:
        assert f"\n  {command} " in HELP


def test_version(capsys):
    main(["--version"])
    assert capsys.readouterr().out == f"fgvr {__version__}\n"


def test_a_typo(capsys):
    assert main(["fitt"]) == 2
    assert "Did you mean: fgvr fit" in capsys.readouterr().err


def test_list_and_show(capsys):
    assert main(["list", "losses"]) == 0
    assert "proden" in capsys.readouterr().out
    assert main(["show", "loss", "proden"]) == 0
    shown = capsys.readouterr().out
    assert "fgvr.losses.proden.ProdenLoss" in shown
    assert "Share of the old weights" in shown
    assert "--momentum VALUE  (default: 0.0)" in shown
    assert main(["show", "losses", "prodn"]) == 2
    assert "Did you mean 'proden'" in capsys.readouterr().err
    assert main(["list", "loses"]) == 2
    assert "Did you mean 'losses'" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["fit", "test", "predict", "validate", "label", "candidates", "evaluate", "list"])
def test_every_command_explains_itself(command):
    result = subprocess.run([sys.executable, "-m", "fgvr", command, "--help"], capture_output=True, text=True)
    assert result.returncode == 0
    assert "usage" in result.stdout


def test_a_file_name_in_an_error_does_not_drive_the_terminal(capsys):
    assert main(["evaluate", "--predictions", "a\x1b[2Jb.csv", "--truth", "t.csv"]) == 2
    assert "\x1b" not in capsys.readouterr().err


def test_an_old_name_of_a_command_works_and_names_the_new_one(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    said = []
    for command in ("labels", "store"):
        assert main([command, "stats", "--store", "none.sqlite"]) == 2
        said.append(capsys.readouterr().err)
    assert said[0] == f"fgvr: labels is now called store: fgvr store ...\n{said[1]}"
