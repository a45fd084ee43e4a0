import itertools
import os
import random
import signal
import time

import pytest
import torch

from fgvr.checkpoints.checkpoint_io import WholeCheckpointIO
from fgvr.checkpoints.files import read_checkpoint
from fgvr.errors import FgvrError


def content(epoch, size=1000):
    own = {"class_names": ["Pug"], "config": ""}
    return {"fgvr": own, "state_dict": {"weight": torch.full((size,), float(epoch))}, "epoch": epoch}


def epochs(folder):
    return {path.name: read_checkpoint(path)["epoch"] for path in folder.iterdir()}


def test_the_newest_and_the_one_before_it_are_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path / "nowhere"))
    files, folder = WholeCheckpointIO(), tmp_path / "checkpoints"
    found = []
    for epoch in range(3):
        files.save_checkpoint(content(epoch), folder / "last.ckpt")
        found.append(epochs(folder))
    assert found == [
        {"last.ckpt": 0},
        {"last.ckpt": 1, "previous.ckpt": 0},
        {"last.ckpt": 2, "previous.ckpt": 1},
    ]
    files.save_checkpoint(content(1), folder / "best.ckpt")
    files.save_checkpoint(content(2), folder / "best.ckpt")
    assert epochs(folder) == {"last.ckpt": 2, "previous.ckpt": 1, "best.ckpt": 2}


def test_a_full_disk_leaves_the_one_before(small_disk):
    files, folder = WholeCheckpointIO(), small_disk.path / "checkpoints"
    small_disk.leave(40_000)
    with pytest.raises(FgvrError, match=r"cannot be written \(the disk is full\): make room.*none before"):
        files.save_checkpoint(content(0, 20_000), folder / "last.ckpt")
    files.save_checkpoint(content(1), folder / "last.ckpt")
    for _ in range(3):
        with pytest.raises(FgvrError, match=r"the disk is full.* go on from it: ckpt_path=.*last\.ckpt$"):
            files.save_checkpoint(content(2, 20_000), folder / "last.ckpt")
        assert epochs(folder) == {"last.ckpt": 1}
    small_disk.free()
    files.save_checkpoint(content(2, 20_000), folder / "last.ckpt")
    assert epochs(folder) == {"last.ckpt": 2, "previous.ckpt": 1}


def test_kill_9_leaves_a_whole_one(tmp_path):
    folder, draw, seen = tmp_path / "checkpoints", random.Random(0), set()
    WholeCheckpointIO().save_checkpoint(content(0), folder / "last.ckpt")
    # made here: PyTorch's threads do not survive a fork
    contents = [content(epoch, 4_000_000) for epoch in range(3)]
    for _ in range(8):
        child = os.fork()
        if child == 0:
            files = WholeCheckpointIO()
            for each in itertools.cycle(contents):
                files.save_checkpoint(each, folder / "last.ckpt")
        time.sleep(draw.uniform(0.05, 0.3))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        seen |= {path.name.partition(".ckpt")[0] for path in folder.glob("*")}
        found = {path.name: read_checkpoint(path)["epoch"] for path in folder.glob("[!.]*")}
        assert found.get("last.ckpt", found.get("previous.ckpt")) is not None
    assert any(name.startswith(".last") for name in seen), "no kill came while one was written"
