from concurrent.futures import ThreadPoolExecutor

import pytest

from fgvr.errors import FgvrError
from fgvr.runs import new_run_folder


def test_versions_count_up(tmp_path):
    assert [new_run_folder(tmp_path, "a").path.name for _ in range(3)] == ["0", "1", "2"]
    (tmp_path / "a/notes").mkdir()
    (tmp_path / "a/7").mkdir()
    assert new_run_folder(tmp_path, "a").path == tmp_path / "a/8"
    assert new_run_folder(tmp_path, "b").path == tmp_path / "b/0"


def test_a_given_version_must_not_hold_a_run(tmp_path):
    folder = new_run_folder(tmp_path, "a", "mine")
    assert new_run_folder(tmp_path, "a", "mine") == folder, "nothing was written yet"
    folder.config.write_text("")
    with pytest.raises(FgvrError, match=r"holds a run already.*config=.*config\.yaml, ckpt_path=.*last\.ckpt"):
        new_run_folder(tmp_path, "a", "mine")


def test_runs_started_at_once_have_folders_of_their_own(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        paths = list(pool.map(lambda _: new_run_folder(tmp_path, "a").path, range(40)))
    assert len(set(paths)) == 40
