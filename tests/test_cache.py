import os

import pytest

from fgvr.cache import cache_database, default_cache_dir
from fgvr.errors import FgvrError


def test_what_was_written_is_there_and_a_failure_leaves_nothing(tmp_path):
    path = tmp_path / "deep/cache.sqlite"
    with cache_database(path) as database:
        database.execute("CREATE TABLE kept (value)")
        database.execute("INSERT INTO kept VALUES (1)")

    def fail():
        with cache_database(path) as database:
            database.execute("INSERT INTO kept VALUES (2)")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    with cache_database(path) as database:
        assert database.execute("SELECT * FROM kept").fetchall() == [(1,)]


@pytest.mark.parametrize("obstacle", ["damaged", "a file where the folder should be"])
def test_a_cache_that_cannot_be_used_says_what_to_do(tmp_path, obstacle):
    path = tmp_path / "cache/photos.sqlite"
    if obstacle == "damaged":
        path.parent.mkdir()
        path.write_bytes(b"no database" * 100)
    else:
        path.parent.write_bytes(b"")

    def use():
        with cache_database(path) as database:
            database.execute("CREATE TABLE IF NOT EXISTS photos (stamp TEXT)")

    with pytest.raises(FgvrError, match=r"photos\.sqlite' cannot be used as a cache .*FGVR_CACHE.*photos\.sqlite'"):
        use()


def test_where_it_is(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("FGVR_CACHE", raising=False)
    assert default_cache_dir() == tmp_path / "fgvr"
    monkeypatch.setenv("FGVR_CACHE", str(tmp_path / "mine"))
    assert default_cache_dir() == tmp_path / "mine"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root may become another user")
def test_a_user_whom_the_system_does_not_know_is_told_to_name_a_folder():
    read, write = os.pipe()
    if not (child := os.fork()):
        for name in ("HOME", "XDG_CACHE_HOME", "FGVR_CACHE"):
            os.environ.pop(name, None)
        os.setuid(54321)
        try:
            default_cache_dir()
        except FgvrError as error:
            os.write(write, str(error).encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(write)
    with os.fdopen(read) as said:
        assert "no home folder" in said.read()
