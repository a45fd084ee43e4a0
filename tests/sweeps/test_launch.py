import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest
import torch

from fgvr import __version__
from fgvr.runs import RunFolder, write_run_config
from fgvr.sweeps.launch import Launcher, launching, resume_args


@pytest.mark.parametrize("fork", [False, True])
def test_a_command_runs_on_its_own_and_leaves_its_output_in_the_log(tmp_path, monkeypatch, fork):
    monkeypatch.setenv("LOCAL_RANK", "1")  # would make it a second process of this one
    monkeypatch.chdir(tmp_path)
    Path("spy.py").write_text("import os\nprint(os.environ.get('LOCAL_RANK'), os.environ['GIVEN'], os.getcwd())\n")
    with launching(fork) as launcher:
        assert launcher.run(["--version"], log=Path("log")) == 0
        assert launcher.run(["fitt"], log=Path("log")) == 2
        command = ["show", "labeler", "spy.Nothing"]
        assert launcher.run(command, {"GIVEN": "yes"}, log=Path("log")) != 0
    text = Path("log").read_text()
    assert text.startswith(f"fgvr {__version__}\nfgvr: error: 'fitt' is not a command.")
    assert f"None yes {tmp_path}" in text


@pytest.mark.parametrize("fork", [False, True])
def test_what_runs_is_ended_and_nothing_else_is_started(tmp_path, monkeypatch, fork):
    monkeypatch.chdir(tmp_path)
    Path("sleeper.py").write_text("import time, pathlib\npathlib.Path('awake').touch()\ntime.sleep(600)\n")
    launcher, codes = Launcher(fork), []
    command = ["show", "labeler", "sleeper.Nothing"]
    thread = threading.Thread(target=lambda: codes.append(launcher.run(command, log=Path("log"))))
    thread.start()
    wait_for(Path("awake").exists)
    launcher.stop()
    thread.join(10)
    assert len(codes) == 1
    assert codes[0] != 0
    assert launcher.run(["--version"]) != 0


def test_a_process_ends_with_the_one_that_started_it(tmp_path):
    """Though that one is killed, and can do nothing about it."""
    (tmp_path / "sleeper.py").write_text(
        "import os, pathlib, time\npathlib.Path('pid').write_text(str(os.getpid()))\ntime.sleep(600)\n"
    )
    starter = """
        from pathlib import Path
        from fgvr.sweeps.launch import Launcher
        Launcher().run(["show", "labeler", "sleeper.Nothing"], log=Path("log"))
    """
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(starter)], cwd=tmp_path)
    wait_for(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())
    pid = int((tmp_path / "pid").read_text())
    assert alive(pid)
    process.send_signal(signal.SIGKILL)
    process.wait()
    wait_for(lambda: not alive(pid))


def test_only_a_run_with_a_checkpoint_goes_on(tmp_path):
    folder = RunFolder(tmp_path)
    folder.config.touch()
    assert resume_args(folder) is None
    folder.checkpoints.mkdir()
    checkpoint = tmp_path / "checkpoints/last.ckpt"
    torch.save({"fgvr": {}}, checkpoint)
    assert resume_args(folder) == ["fit", "--config", str(tmp_path / "config.yaml"), "--ckpt_path", str(checkpoint)]
    # a folder that somebody has put there is no code
    assert resume_args(folder, ["fit", "--config", "mine"]) == [
        "fit",
        "--config",
        "mine",
        "--ckpt_path",
        str(checkpoint),
    ]
    write_run_config(folder.config, "model: coop")
    assert resume_args(folder) is not None
    folder.config.write_text(folder.config.read_text()[:50])
    assert resume_args(folder) is None, "its configuration is cut off"
    write_run_config(folder.config, "model: coop")
    checkpoint.write_bytes(checkpoint.read_bytes()[:100])
    assert resume_args(folder) is None, "its checkpoint is cut off"


def wait_for(condition, seconds=240):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # one that has ended and that nobody has waited for yet
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


def test_a_long_name_of_the_folder_for_temporary_files_makes_the_start_slower_alone(tmp_path):
    long = tmp_path / ("temporary_" * 12)
    long.mkdir()
    script = "from fgvr.sweeps.launch import Launcher; print(Launcher(fork=True).run(['--version']))"
    environment = {**os.environ, "TMPDIR": str(long)}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert "A shorter TMPDIR may help" in done.stderr
    assert done.stdout.endswith("\n0\n")
