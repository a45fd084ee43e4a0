import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from tiny_run import OPTIONS

from fgvr import runs
from fgvr.cli import main

RUN = Path("runs/run/mine")
WRITER = "import sys; from fgvr.runs import *; lock = only_writer(RunFolder(Path(sys.argv[1]))); print(); input()"


def files():
    return {path: path.stat().st_mtime_ns for path in RUN.rglob("*")}


def test_a_run_that_is_being_written_is_left_alone(tiny_run, capsys, monkeypatch):
    """A second ``fit`` of the same version, and a second one that goes on with it, write nothing."""
    monkeypatch.setattr(runs, "_WAIT_SECONDS", 0.2)
    fit = ["fit", *OPTIONS, "--trainer.max_epochs"]
    assert main([*fit, "1", "--run.version", "mine"]) == 0
    go_on = [*fit, "2", "--ckpt_path", str(RUN / "checkpoints/last.ckpt")]
    capsys.readouterr()
    with subprocess.Popen([sys.executable, "-c", WRITER, RUN], stdin=-1, stdout=-1) as other:
        other.stdout.readline()
        before = files()
        for options in ([*fit, "1", "--run.version", "mine"], go_on):
            assert main(options) == 2
            assert "Another process writes into 'runs/run/mine': wait until it has ended" in capsys.readouterr().err
        assert files() == before
        # what only reads may go on
        assert main(["report", str(RUN)]) == 0
        other.kill()
    assert main(go_on) == 0


def test_a_damaged_newest_checkpoint_goes_on_from_the_one_before(tiny_run, capsys, caplog):
    fit = ["fit", *OPTIONS, "--trainer.max_epochs"]
    assert main([*fit, "4", "--run.version", "mine"]) == 0
    expected = pq.read_table(RUN / "predictions.parquet").to_pylist()
    assert main([*fit, "2", "--run.version", "broken"]) == 0
    last = Path("runs/run/broken/checkpoints/last.ckpt")
    last.write_bytes(last.read_bytes()[:-50])
    capsys.readouterr()
    # who predicts would get other names
    assert main(["predict", *OPTIONS, "--ckpt_path", str(last)]) == 2
    assert "last.ckpt" in capsys.readouterr().err
    assert main([*fit, "4", "--ckpt_path", str(last)]) == 0
    assert "Taking the checkpoint before it: runs/run/broken/checkpoints/previous.ckpt" in caplog.text
    assert pq.read_table("runs/run/broken/predictions.parquet").to_pylist() == expected


@pytest.mark.parametrize("share", [1 / 3, 0.9])
def test_a_configuration_that_is_cut_off_is_not_gone_on_with(tiny_run, capsys, share):
    assert main(["fit", *OPTIONS, "--trainer.max_epochs", "1", "--run.version", "mine"]) == 0
    config = RUN / "config.yaml"
    lines = config.read_text().splitlines(keepends=True)
    config.write_text("".join(lines[: round(len(lines) * share)]))
    go_on = ["fit", "--config", str(config), "--ckpt_path", str(RUN / "checkpoints/last.ckpt")]
    capsys.readouterr()
    assert main(go_on) == 2
    assert "config.yaml is cut off" in capsys.readouterr().err
