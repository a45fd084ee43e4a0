"""Checksums of rows of the label store: what tells a row that was damaged from the one that was written."""

import sqlite3
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from typing import Any

from fgvr.labelling.store.rows import REPLY_COLUMNS, StoredBatch, stored_batch, stored_reply

CHECKED: dict[str, tuple[str, tuple[str, ...]]] = {
    "replies": ("id", REPLY_COLUMNS),
    "batches": ("id", tuple(field.name for field in fields(StoredBatch))),
    "corrections": ("key", ("key", "names", "created_at")),
    "aliases": ("name_key", ("name_key", "name", "canonical", "created_at")),
}
"""Table -> what tells its rows apart, and the columns that are checked."""

_READERS = {"replies": stored_reply, "batches": stored_batch}
_UNREADABLE = -1
"""In the place of a checksum: the row could not be read when its store got checksums."""
_ROWS_AT_ONCE = 1000


def checksum_of(*values: Any) -> int:
    """CRC-32 of the values of a row, as SQLite gives them."""
    return zlib.crc32("\0".join(map(str, values)).encode("utf-8", "surrogateescape"))


def is_whole(values: Sequence[Any], checksum: int | None) -> bool:
    """Whether a row is what was written; one without a checksum, which an older fgvr has written meanwhile, counts."""
    return checksum is None or checksum == checksum_of(*values)


def columns_of(table: str, checked: bool) -> str:
    """The checked columns of a table and their checksum, for a SELECT from ``source_of``."""
    names = ", ".join(f"{table}.{column} AS {column}" for column in CHECKED[table][1])
    return f"{names}, {'checks.checksum' if checked else 'NULL'}"


def source_of(table: str, checked: bool) -> str:
    """The table with the checksums of its rows, if it has any."""
    return (
        f"{table} LEFT JOIN {table}_checks AS checks ON checks.id = {table}.{CHECKED[table][0]}" if checked else table
    )


def watch(connection: sqlite3.Connection) -> None:
    """Have each row that this connection writes get its checksum, in the same transaction."""
    connection.create_function("checksum_of", -1, checksum_of)
    for table, (key, columns) in CHECKED.items():
        new, old = (", ".join(f"{which}.{column}" for column in columns) for which in ("NEW", "OLD"))
        # without OR REPLACE, whose place a clause of the statement outside would take
        note = (
            f"DELETE FROM {table}_checks WHERE id = NEW.{key}; "
            f"INSERT INTO {table}_checks VALUES (NEW.{key}, checksum_of({new}));"
        )
        # a damaged row stays one, whatever is added to its cost
        damaged = f"SELECT 1 FROM {table}_checks WHERE id = OLD.{key} AND checksum != checksum_of({old})"
        for name, event in {
            "added": f"INSERT ON main.{table} BEGIN {note} END",
            "changed": f"UPDATE ON main.{table} WHEN NOT EXISTS ({damaged}) BEGIN {note} END",
            "taken_out": f"DELETE ON main.{table} BEGIN DELETE FROM {table}_checks WHERE id = OLD.{key}; END",
        }.items():
            connection.execute(f"CREATE TEMP TRIGGER {table}_{name} AFTER {event}")


def make_checks(connection: sqlite3.Connection) -> None:
    """Make the tables of checksums, with those of the rows that are there, in the transaction that is open."""
    for table, (key, columns) in CHECKED.items():
        connection.execute(
            f"CREATE TABLE IF NOT EXISTS {table}_checks "
            f"(id {'INTEGER' if key == 'id' else 'TEXT'} PRIMARY KEY, checksum INTEGER NOT NULL)"
        )
        with any_text(connection):
            rows = connection.execute(f"SELECT {key}, {', '.join(columns)} FROM {table}")
            while part := rows.fetchmany(_ROWS_AT_ONCE):
                checks = [
                    (number, checksum_of(*values) if can_be_read(table, values) else _UNREADABLE)
                    for number, *values in part
                ]
                connection.executemany(f"INSERT OR IGNORE INTO {table}_checks VALUES (?, ?)", checks)

    connection.execute("CREATE TABLE IF NOT EXISTS schema_check (checksum INTEGER NOT NULL)")
    connection.execute("DELETE FROM schema_check")
    connection.execute("INSERT INTO schema_check VALUES (?)", (_schema_checksum(connection),))


def schema_is_whole(connection: sqlite3.Connection) -> bool:
    """Whether the tables are what they were made as: a column of another name or kind would hide rows and checksums."""
    return bool(connection.execute("SELECT checksum FROM schema_check").fetchone() == (_schema_checksum(connection),))


def _schema_checksum(connection: sqlite3.Connection) -> int:
    names = [name for table in CHECKED for name in (table, f"{table}_checks")]
    query = f"SELECT sql FROM sqlite_master WHERE name IN ({', '.join('?' * len(names))}) ORDER BY name"
    return checksum_of(*(sql for (sql,) in connection.execute(query, names)))


def can_be_read(table: str, values: Sequence[Any]) -> bool:
    """Whether the values of a row make a record."""
    try:
        "".join(map(str, values)).encode()
        if table in _READERS:
            _READERS[table](values)
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return False
    return True


@contextmanager
def any_text(connection: sqlite3.Connection) -> Iterator[None]:
    """Read texts that are not UTF-8 any more, too, with a half surrogate pair for each byte that does not belong."""
    connection.text_factory = lambda content: content.decode("utf-8", "surrogateescape")
    try:
        yield
    finally:
        connection.text_factory = str
