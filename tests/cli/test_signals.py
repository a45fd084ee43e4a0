"""Control-C and SIGTERM in every stage, and the end of one process of several."""

import asyncio
import os
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from lightning.pytorch import Callback
from tiny.server import TinyAnswer, TinyServer
from tiny_run import COLOURS, OPTIONS, SUPPORT

from fgvr.cli import main
from fgvr.cli.signals import Signals
from fgvr.labelers.asking.interrupts import first_interrupt
from fgvr.labelling.store.label_store import LabelStore

PATIENCE = 240
ANSWER_SECONDS = 0.5
SIGNALS = {"SIGINT": 130, "SIGTERM": 143}


class LongTest(Callback):
    """A test that takes long, in one batch."""

    def on_test_batch_start(self, *args):
        Path("testing").touch()
        time.sleep(PATIENCE)


class Command:
    """``fgvr ARGS`` in a process group of its own, as a shell in a terminal starts it."""

    def __init__(self, *args):
        self.log = Path("said.txt")
        with self.log.open("wb") as stream:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "fgvr", *args],
                stderr=stream,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
                # pytest may have been started where Control-C is ignored
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
            )

    def wait_for(self, condition):
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def end(self):
        """The exit code, and the lines that fgvr says at the end; nothing that it started is left."""
        code = self.process.wait(PATIENCE)
        deadline = time.monotonic() + PATIENCE
        while self.members():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        text = self.log.read_text()
        assert "Traceback" not in text
        return code, [line for line in text.splitlines() if line.startswith("fgvr: ")]

    def members(self):
        """Processes of its session that run."""
        found = []
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                state, _, _, session = stat.read_text().rpartition(")")[2].split()[:4]
            except OSError:
                continue
            if int(session) == self.process.pid and state != "Z":
                found.append(int(stat.parent.name))
        return found


@pytest.mark.parametrize("name", SIGNALS)
def test_a_test_stage_stops_and_says_how_to_go_on(tiny_run, name):
    command = Command("fit", *OPTIONS, "--trainer.callbacks+", "cli.test_signals.LongTest", "--run.name", "long")
    command.wait_for(Path("testing").exists)
    command.process.send_signal(getattr(signal, name))
    code, [line] = command.end()
    assert code == SIGNALS[name]
    go_on = "fit --config runs/long/0/config.yaml --ckpt_path runs/long/0/checkpoints/last.ckpt"
    assert line.endswith(f"To go on: fgvr {go_on}")
    assert not Path("runs/long/0/metrics.json").exists()
    # but for the callback of this test
    assert main([*shlex.split(go_on), "--trainer.callbacks", "null"]) == 0
    assert Path("runs/long/0/metrics.json").exists()


@pytest.mark.parametrize("name", SIGNALS)
def test_labelling_waits_for_what_is_paid_for(tiny_run, name):
    async def answer(body):
        await asyncio.sleep(ANSWER_SECONDS)
        return TinyAnswer({"raw": "The bird is a Blue Jay.", "cost_usd": 0.01})

    with TinyServer(answer) as server:
        options = {"base_url": server.url, "price_usd": 0.01, "limits": {"concurrency": 2}}
        labeler = {"class_path": "tiny.remote.TinyRemoteLabeler", "init_args": options}
        Path("remote.yaml").write_text(yaml.safe_dump({"data": {"labeler": labeler}}))
        command = Command("label", "--config", "remote.yaml", *OPTIONS[:4], *OPTIONS[8:])
        command.wait_for(lambda: server.in_flight)
        command.process.send_signal(getattr(signal, name))
        code, [line] = command.end()
        asked = len(server.asked)
    assert code == SIGNALS[name]
    assert line.endswith("To go on, give the same command again.")
    assert 0 < asked < len(COLOURS) * SUPPORT
    with LabelStore(Path("runs/labels.sqlite")) as store:
        assert len([row for row in store.rows() if not row.error]) == asked


DDP = ["--trainer.devices", "2", "--trainer.strategy", "ddp", "--trainer.max_epochs", "2000"]


def test_a_process_that_is_killed_ends_the_others_with_one_line(tiny_run):
    command = Command("fit", *OPTIONS, *DDP)
    command.wait_for(Path("runs/run/0/checkpoints/last.ckpt").exists)
    [other] = [
        pid
        for pid in command.members()
        if pid != command.process.pid and b"--trainer.devices" in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]
    os.kill(other, signal.SIGKILL)
    code, [line] = command.end()
    assert code == 2
    assert "Process 1 of this job was ended by SIGKILL" in line


def test_all_processes_end_with_the_first(tiny_run):
    command = Command("fit", *OPTIONS, *DDP)
    command.wait_for(Path("runs/run/0/checkpoints/last.ckpt").exists)
    command.process.kill()
    _, [line] = command.end()
    assert "The process that has started this job has ended" in line


def test_sigterm_interrupts_as_control_c_does(interruptible):
    with Signals() as signals:
        assert signals.exit_code == 130
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
        assert signals.exit_code == 143
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_slurm_keeps_its_signals(monkeypatch):
    monkeypatch.setenv("SLURM_NTASKS", "1")
    with Signals():
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("in_background", [False, True])
def test_the_first_signal_of_either_kind_is_handled(in_background):
    if in_background:  # where shells have Control-C ignored
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    handled = []
    with Signals() as signals, first_interrupt(lambda: handled.append(True)):
        signal.raise_signal(signal.SIGTERM)
        assert handled == [True]
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)
    assert signals.exit_code == 143
