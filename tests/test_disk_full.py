"""A full disk at every stage: one line that names the file, and the same command ends well once there is room.

The disk is a small tmpfs, which only root may mount.
"""

import os
import shlex
from pathlib import Path

import pytest
import yaml
from small_disk import mounted
from tiny.server import TinyAnswer, TinyServer
from tiny_run import OPTIONS
from tower_run import QUIET

from fgvr.cli import main

pytestmark = QUIET

MEGABYTE = 1 << 20
SIZE = 24 * MEGABYTE
FIT = [*OPTIONS, "--run.root", "disk/runs", "--data.label_store", "labels.sqlite", "--seed_everything", "0"]


@pytest.fixture
def disk(tiny_run):
    with mounted(tiny_run / "disk", SIZE) as disk:
        yield disk


@pytest.fixture
def fails_in_a_line(capfd):
    """Run a command that must fail with one line, which this returns."""

    def run(*args):
        capfd.readouterr()
        code = main(list(args))
        out, err = capfd.readouterr()
        said = [line for line in err.splitlines() if line.startswith("fgvr: ")]
        assert code == 2, f"exit code {code}\n{err}"
        assert len(said) == 1
        assert "Traceback" not in out + err
        return said[0], out

    return run


def names_the_full_disk(line):
    return "the disk is full" in line


def test_labels(disk, fails_in_a_line):
    command = ["label", *OPTIONS, "--data.label_store", "disk/labels.sqlite"]
    for free in (0, 16_384):
        disk.leave(free)
        line, _ = fails_in_a_line(*command)
        assert "labels.sqlite" in line
        assert names_the_full_disk(line)
    disk.free()
    assert main(command) == 0


def test_image_features(disk, fails_in_a_line, monkeypatch):
    monkeypatch.setenv("FGVR_CACHE", str(disk.path / "cache"))
    command = ["fit", *OPTIONS, "--trainer.max_epochs", "1"]
    for free in (0, 40_960):
        disk.leave(free)
        line, _ = fails_in_a_line(*command)
        assert str(disk.path) in line
        assert names_the_full_disk(line)
    disk.free()
    assert main(command) == 0


def test_candidates(disk, fails_in_a_line):
    assert main(["label", *OPTIONS, "--data.label_store", "labels.sqlite"]) == 0
    for free in (0, 8192, 16_384):
        disk.leave(free)
        line, _ = fails_in_a_line("candidates", *FIT)
        assert "disk/runs" in line
        assert names_the_full_disk(line)
    disk.free()
    assert main(["candidates", *FIT]) == 0


@pytest.mark.parametrize("free", [0, 24_576, 36_864, 49_152, 65_536, 90_112])
def test_fit(disk, fails_in_a_line, free):
    """Configuration, candidate sets, log, checkpoint, predictions, report: what comes when the room is used up."""
    disk.leave(free)
    line, out = fails_in_a_line("fit", *FIT)
    assert "disk/runs" in line
    assert names_the_full_disk(line)
    assert "report: " not in out
    disk.free()
    assert main(shlex.split(line.partition("To go on: fgvr ")[2]) or ["fit", *FIT]) == 0


def test_a_report_that_cannot_be_written_is_not_announced(disk, fails_in_a_line, monkeypatch):
    import fgvr.reports.recorder as recorder

    write = recorder.write_report

    def on_a_full_disk(*args):
        disk.leave(0)
        write(*args)

    monkeypatch.setattr(recorder, "write_report", on_a_full_disk)
    line, out = fails_in_a_line("fit", *FIT)
    assert "report.html" in line
    assert names_the_full_disk(line)
    assert "To go on: fgvr fit --config disk/runs/run/0/config.yaml --ckpt_path " in line
    assert "report: " not in out
    assert "coop" in out, "the table is computed, and printed"
    monkeypatch.undo()
    os.chdir(disk.path.parent)
    disk.free()
    assert main(["report", "disk/runs/run/0"]) == 0


def test_metrics_that_cannot_be_written_are_printed(disk, fails_in_a_line, monkeypatch):
    import fgvr.reports.recorder as recorder

    write = recorder.write_predictions

    def on_a_full_disk(*args):
        disk.leave(0)
        write(*args)

    with monkeypatch.context() as patch:
        patch.setattr(recorder, "write_predictions", on_a_full_disk)
        line, out = fails_in_a_line("fit", *FIT)
    assert "predictions.parquet" in line
    assert names_the_full_disk(line)
    assert "coop" in out
    assert "report: " not in out
    disk.free()
    folder = "disk/runs/run/0"
    assert main(["fit", "--config", f"{folder}/config.yaml", "--ckpt_path", f"{folder}/checkpoints/last.ckpt"]) == 0


async def answer(body):
    return TinyAnswer({"raw": f"Something seen after {len(body['prompt'])} letters.", "cost_usd": 0.01})


def test_descriptions(disk, fails_in_a_line):
    with TinyServer(answer) as server:
        options = {"base_url": server.url, "price_usd": 0.01, "task": "name"}
        labeler = {"class_path": "tiny.remote.TinyRemoteLabeler", "init_args": options}
        describe = {"domain": "bird", "groups_per_class": 2, "group_size": 2}
        Path("described.yaml").write_text(yaml.safe_dump({"data": {"labeler": labeler, "describe": describe}}))
        known = [*OPTIONS[:4], *OPTIONS[8:], "--data.class_names", "dataset", "--run.root", "disk/runs"]
        command = ["describe", "--config", "described.yaml", *known, "--data.label_store", "labels.sqlite"]
        for free in (0, 8192):
            disk.leave(free)
            line, _ = fails_in_a_line(*command)
            assert "disk/runs" in line
            assert names_the_full_disk(line)
        asked = len(server.asked)
        disk.free()
        assert main(command) == 0
        assert len(server.asked) == asked, "replies are not paid for again"


def test_a_sweep(disk, fails_in_a_line):
    Path("base.yaml").write_text(yaml.safe_dump({"seed_everything": 0}))
    keys = dict(zip([key[2:] for key in OPTIONS[::2]], map(yaml.safe_load, OPTIONS[1::2]), strict=True))
    grid = {
        "base": "base.yaml",
        "seeds": [0],
        "set": {**keys, "trainer.max_epochs": 1},
        "vary": {"data.candidates": ["knn"]},
    }
    Path("grid.yaml").write_text(yaml.safe_dump(grid, sort_keys=False))
    command = ["sweep", "--config", "grid.yaml", "--root", "disk/runs", "--jobs", "1"]
    disk.leave(0)
    line, _ = fails_in_a_line(*command)
    assert names_the_full_disk(line)
    disk.free()
    assert main(command) == 0


def test_an_export_of_the_store(disk, fails_in_a_line):
    assert main(["label", *OPTIONS, "--data.label_store", "labels.sqlite"]) == 0
    command = ["store", "export", "disk/labels.csv", "--store", "labels.sqlite"]
    disk.leave(0)
    line, _ = fails_in_a_line(*command)
    assert "labels.csv" in line
    assert names_the_full_disk(line)
    disk.free()
    assert main(command) == 0
