import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from fgvr import runs
from fgvr.errors import FgvrError
from fgvr.runs import RunFolder, check_run_config, new_run_folder, only_writer, run_config, write_run_config


def new_folder(*args):
    folder, lock = new_run_folder(*args)
    lock.release()
    return folder


def test_versions_count_up(tmp_path):
    assert [new_folder(tmp_path, "a").path.name for _ in range(3)] == ["0", "1", "2"]
    (tmp_path / "a/notes").mkdir()
    (tmp_path / "a/7").mkdir()
    assert new_folder(tmp_path, "a").path == tmp_path / "a/8"
    assert new_folder(tmp_path, "b").path == tmp_path / "b/0"


def test_a_given_version_must_not_hold_a_run(tmp_path):
    folder = new_folder(tmp_path, "a", "mine")
    assert new_folder(tmp_path, "a", "mine") == folder, "nothing was written yet"
    folder.config.write_text("")
    with pytest.raises(FgvrError, match=r"holds a run already.*config=.*config\.yaml, ckpt_path=.*last\.ckpt"):
        new_run_folder(tmp_path, "a", "mine")


def test_runs_started_at_once_have_folders_of_their_own(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        paths = list(pool.map(lambda _: new_folder(tmp_path, "a").path, range(40)))
    assert len(set(paths)) == 40


@pytest.fixture
def other_process(tmp_path):
    """Another process that writes into the run folder ``tmp_path``."""
    code = "import sys; from fgvr.runs import *; lock = only_writer(RunFolder(Path(sys.argv[1]))); print(); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        process.stdout.readline()
        yield process
        process.kill()


def test_one_process_writes_into_a_run_folder(tmp_path, monkeypatch, other_process):
    monkeypatch.setattr(runs, "_WAIT_SECONDS", 0.2)
    for take in (lambda: only_writer(RunFolder(tmp_path)), lambda: new_run_folder(tmp_path.parent, tmp_path.name, ".")):
        with pytest.raises(FgvrError, match=r"Another process writes into .*: wait until it has ended, or choose"):
            take()
    other_process.kill()
    other_process.wait()
    (tmp_path / ".metrics.json.abc.tmp").write_text("half of it")
    lock = only_writer(RunFolder(tmp_path))
    assert lock.is_locked
    assert [path.name for path in tmp_path.iterdir()] == [".lock"], "what it was writing is removed"
    lock.release()


def test_who_waited_for_a_folder_that_was_taken_away_makes_it_anew(tmp_path, other_process):
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(only_writer, RunFolder(tmp_path))
        (tmp_path / ".lock").unlink()
        tmp_path.rmdir()
        other_process.kill()
        lock = waiting.result(timeout=30)
    assert (tmp_path / ".lock").is_file()
    lock.release()


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").touch()
    for version in (None, "1"):
        with pytest.raises(FgvrError, match=r"The run folder .* cannot be written \(Not a directory\): choose another"):
            new_run_folder(tmp_path / "file", "a", version)


def test_a_configuration_that_nobody_could_read_again_is_refused(tmp_path):
    with pytest.raises(FgvrError, match=r"has 2\.1 MB, and at most 2 are read again\. Give long lists as files"):
        write_run_config(tmp_path / "config.yaml", "names:\n" + "- Pug\n" * 350_000)
    assert not list(tmp_path.iterdir())


def test_a_configuration_says_that_it_is_whole(tmp_path, caplog):
    path, config = tmp_path / "config.yaml", "data:\n  shots: 3\nmodel: coop\n"
    write_run_config(path, config)
    text = path.read_text()
    assert run_config(text) == run_config(config) == config
    for fine in (text, text.replace("\n", "\r\n"), config, ""):
        check_run_config(tmp_path / "copy.yaml", fine)
    assert not caplog.text
    for lines in range(1, 4):
        with pytest.raises(FgvrError, match=r"config\.yaml is cut off"):
            check_run_config(path, "".join(text.splitlines(keepends=True)[:lines]))
    path.write_text(text.replace("shots: 3", "shots: 5"))
    check_run_config(path, path.read_text())
    assert "config.yaml was changed since the run wrote it" in caplog.text
