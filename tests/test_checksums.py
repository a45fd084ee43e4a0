import hashlib
import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from fgvr import checksums
from fgvr.checksums import check, replacing_noted
from fgvr.errors import FgvrError
from fgvr.metrics.files import read_metrics, write_metrics


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "config.yaml").write_text("model: coop\n")
    return folder


def write(path, text):
    with replacing_noted(path) as temporary:
        temporary.write_text(text)


def lines(folder):
    return (folder / "checksums.txt").read_text().splitlines()


def line(name, text):
    return f"{hashlib.sha256(text.encode()).hexdigest()}  {name}"


def test_sha256sum_reads_the_file(run):
    write(run / "metrics.json", "one")
    write(run / "labels.parquet", "two")
    write(run / "metrics.json", "three")
    assert lines(run) == [line("labels.parquet", "two"), line("metrics.json", "three")]
    assert subprocess.run(["sha256sum", "--strict", "-c", "checksums.txt"], cwd=run, check=False).returncode == 0
    check(run / "metrics.json")
    check(run / "labels.parquet")


def test_what_was_changed_is_refused_until_its_line_is_gone(run):
    write_metrics(run / "metrics.json", {"coop": {"cacc": 50.0}})
    text = (run / "metrics.json").read_text().replace("50.0", "58.0")
    (run / "metrics.json").write_text(text)
    with pytest.raises(FgvrError) as error:
        read_metrics(run / "metrics.json")
    assert "metrics.json is damaged, or was changed since fgvr wrote it" in str(error.value)
    assert "\n" not in str(error.value)
    (run / "checksums.txt").write_text("")
    assert read_metrics(run / "metrics.json")["coop"]["cacc"] == 58.0


def test_no_run_and_other_names_have_no_checksums(run, tmp_path):
    write(tmp_path / "metrics.json", "one")
    write(run / "predictions.csv", "one")
    assert not list(tmp_path.rglob("checksums.txt"))
    check(tmp_path / "metrics.json")
    check(run / "predictions.csv")
    check(run / "labels.parquet")  # is not there
    write(tmp_path / "sweep_run.json", "{}")  # the first file of a run of a sweep
    assert lines(tmp_path) == [line("sweep_run.json", "{}")]


def test_a_run_may_be_copied_moved_and_lose_files(run, tmp_path):
    write(run / "metrics.json", "one")
    shutil.copytree(run, tmp_path / "copy")
    check(tmp_path / "copy/metrics.json")
    run.rename(tmp_path / "moved")
    (tmp_path / "moved/metrics.json").unlink()
    check(tmp_path / "moved/metrics.json")
    write(tmp_path / "moved/metrics.json", "two")
    check(tmp_path / "moved/metrics.json")


@pytest.mark.parametrize("noted", [True, False], ids=["noted", "of an older version"])
@pytest.mark.parametrize("kills", range(1, 8))
def test_a_kill_at_any_moment_leaves_a_file_that_has_its_line(run, noted, kills):
    """A child is killed at its first, second, ... renaming or removal, before and after."""
    (run / "metrics.json").write_text("old")
    if noted:
        (run / "metrics.json").unlink()
        write(run / "metrics.json", "old")
    child = os.fork()
    if child == 0:
        left = [kills]
        replace = Path.replace

        def count(self, target):
            for step in (lambda: None, lambda: replace(self, target)):
                left[0] -= 1
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                step()

        Path.replace = count
        write(run / "metrics.json", "new")
        os._exit(0)
    os.waitpid(child, 0)
    check(run / "metrics.json")
    assert (run / "metrics.json").read_text() in ("old", "new")
    write(run / "metrics.json", "newer")
    assert lines(run) == [line("metrics.json", "newer")]


def test_a_reader_beside_a_writer_sees_no_damage(run):
    write(run / "metrics.json", "0")
    child = os.fork()
    if child == 0:
        for number in range(300):
            write(run / "metrics.json", str(number))
        os._exit(0)
    while os.waitpid(child, os.WNOHANG) == (0, 0):
        check(run / "metrics.json")


@pytest.mark.parametrize(
    "content", [b"rubbish\n", b"\xff\xfe\n", b"0123  metrics.json\n", b"0" * 64 + b"\n"], ids=range(4)
)
def test_damaged_checksums_are_one_line(run, content):
    write(run / "metrics.json", "one")
    (run / "checksums.txt").write_bytes(content)
    for use in (check, lambda path: write(path, "two")):
        with pytest.raises(FgvrError, match=r"checksums\.txt, line 1: expected a SHA-256") as error:
            use(run / "metrics.json")
        assert "\n" not in str(error.value)
    assert (run / "metrics.json").read_text() == "one"


def test_every_file_that_is_checked_says_how_it_is_made_again(run):
    for name in checksums._AGAIN:
        write(run / name, "one")
        (run / name).write_text("two")
        with pytest.raises(FgvrError, match=rf"{name} is damaged.*[Rr]emove"):
            check(run / name)
