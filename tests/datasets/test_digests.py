"""The cache of digests, whose bits may flip."""

import sqlite3
from contextlib import closing

import pytest

from fgvr.datasets.digests import known_digests, remember_digests
from fgvr.errors import FgvrError


@pytest.fixture
def cache(tmp_path):
    path = tmp_path / "photos.sqlite"
    assert known_digests(path, ["a"]) == {}
    remember_digests(path, {"a": "1", "b": "2"})
    return path


def execute(cache, *statements):
    with closing(sqlite3.connect(cache)) as database, database:
        for statement in statements:
            database.execute(statement)


def test_what_was_noted_is_known(cache):
    assert known_digests(cache, ["a", "b", "c"]) == {"a": "1", "b": "2"}


@pytest.mark.parametrize("change", ["digest = '3'", "stamp = 'c'", "checksum = NULL", "checksum = 'x'"])
def test_a_damaged_digest_is_computed_anew(cache, change):
    execute(cache, f"UPDATE digests SET {change} WHERE stamp = 'a'")
    assert known_digests(cache, ["a", "b", "c"]) == {"b": "2"}
    remember_digests(cache, {"a": "1"})
    assert known_digests(cache, ["a"]) == {"a": "1"}


OLDER = (
    "DROP TABLE digests",
    "CREATE TABLE photos (stamp TEXT PRIMARY KEY, digest TEXT NOT NULL)",
    "INSERT INTO photos VALUES ('a', '1')",
)


def test_digests_of_before_checksums_are_kept(cache):
    execute(cache, *OLDER)
    assert known_digests(cache, ["a", "b"]) == {"a": "1"}
    execute(cache, "UPDATE digests SET digest = '3'")
    assert known_digests(cache, ["a"]) == {}


def test_a_damaged_cache_is_one_line(cache):
    cache.write_bytes(b"no database" * 100)
    with pytest.raises(FgvrError, match=r"if the file is damaged, delete .*photos\.sqlite"):
        known_digests(cache, ["a"])
