import asyncio
import os
import signal
import subprocess
import sys
import threading

import pytest

from fgvr.errors import FgvrError
from fgvr.labelling.run_lock import RunLock
from fgvr.labelling.store.label_store import LabelStore

IDENTITY = {"labeler": "tiny"}
HOLD = """
import pathlib, sys, time
from fgvr.labelling.run_lock import RunLock
from fgvr.labelling.store.label_store import LabelStore
with LabelStore(pathlib.Path(sys.argv[1])) as store, RunLock(store, {"labeler": "tiny"}, print).held():
    print("held", flush=True)
    time.sleep(60)
"""


async def take(lock):
    async with lock.held_async():
        pass


def test_one_at_a_time_and_who_waits_says_so_once(store):
    order, waits, lines = [], threading.Event(), []

    def notify(line):
        lines.append(line)
        waits.set()

    def second():
        with RunLock(store, IDENTITY, notify).held():
            order.append("second")

    with RunLock(store, IDENTITY, lines.append).held():
        thread = threading.Thread(target=second)
        thread.start()
        assert waits.wait(10)
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"]
    assert len(lines) == 1
    assert "Another run is asking this labeler" in lines[0]


def test_labelers_and_stores_do_not_wait_for_each_other(store, tmp_path):
    def fail(line):
        raise AssertionError(line)

    with RunLock(store, IDENTITY, fail).held():
        with RunLock(store, {"labeler": "other"}, fail).held():
            asyncio.run(take(RunLock(store, {"labeler": "third"}, fail)))
        with LabelStore(tmp_path / "other.sqlite") as other, RunLock(other, IDENTITY, fail).held():
            pass
    with RunLock(store, IDENTITY, fail).held():
        pass
    asyncio.run(take(RunLock(store, IDENTITY, fail)))


def test_a_store_under_two_names_has_one_lock(store, tmp_path):
    (tmp_path / "link.sqlite").symlink_to(store.path)

    def interrupt(line):
        raise InterruptedError

    with (
        LabelStore(tmp_path / "link.sqlite") as link,
        RunLock(store, IDENTITY, print).held(),
        pytest.raises(InterruptedError),
        RunLock(link, IDENTITY, interrupt).held(),
    ):
        pass


def test_a_killed_process_holds_nothing(store):
    child = subprocess.Popen([sys.executable, "-c", HOLD, str(store.path)], stdout=subprocess.PIPE, text=True)
    assert child.stdout.readline() == "held\n"
    lines = []

    def kill(line):
        lines.append(line)
        child.kill()

    with RunLock(store, IDENTITY, kill).held():
        assert len(lines) == 1
    child.wait(10)
    child.stdout.close()


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize("asynchronous", [False, True])
def test_waiting_can_be_interrupted(store, asynchronous):
    def wait():
        lock = RunLock(store, IDENTITY, lambda line: os.kill(os.getpid(), signal.SIGINT))
        if asynchronous:
            asyncio.run(take(lock))
        else:
            with lock.held():
                pass

    with RunLock(store, IDENTITY, print).held(), pytest.raises(KeyboardInterrupt):
        wait()
    with RunLock(store, IDENTITY, pytest.fail).held():
        pass


def test_a_folder_that_cannot_be_written_is_named(store):
    store.path.with_name("labels.sqlite-locks").write_text("a file")
    with pytest.raises(FgvrError, match=r"labels\.sqlite-locks.*cannot be locked"), RunLock(store, {}, print).held():
        pass
