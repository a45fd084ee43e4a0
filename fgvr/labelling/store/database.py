"""The SQLite file under the label store: its tables, and how it is opened."""

import logging
import os
import sqlite3
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fgvr.errors import FgvrError
from fgvr.files import is_full
from fgvr.labelling.store.row_checks import make_checks, schema_is_whole, watch
from fgvr.text import visible

log = logging.getLogger(__name__)

_APPLICATION_ID = 0x66677672  # "fgvr", in the header of the file: tells a label store from any other database
_VERSION = 3
_WITHOUT_CHECKS = 2
_BUSY_SECONDS = 60.0
_SMALLEST = 100  # bytes: the header of every SQLite file
_DAMAGED = "it is damaged, so restore it from a backup, or save what is left with: sqlite3 FILE .recover"

# The table has row ids because its rows are long: with the key as the table's own order a page holds three rows, and
# each look-up reads ten pages.
_REPLIES = """
CREATE TABLE replies (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL UNIQUE,
    sample_id TEXT NOT NULL DEFAULT '',
    photo TEXT NOT NULL,
    others TEXT,
    sample_index INTEGER NOT NULL,
    identity TEXT NOT NULL,
    prompt TEXT NOT NULL,
    raw TEXT NOT NULL,
    names TEXT,
    error TEXT NOT NULL,
    model TEXT NOT NULL,
    cost_usd REAL NOT NULL,
    seconds REAL NOT NULL,
    usage TEXT,
    attempts INTEGER NOT NULL DEFAULT 1,
    created_at TEXT NOT NULL
)
"""
_TABLES = [
    _REPLIES,
    """
    CREATE TABLE calls (
        server TEXT NOT NULL,
        day TEXT NOT NULL,
        requests INTEGER NOT NULL,
        PRIMARY KEY (server, day)
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE batches (
        id INTEGER PRIMARY KEY,
        nonce TEXT NOT NULL UNIQUE,
        server TEXT NOT NULL,
        identity TEXT NOT NULL,
        remote_id TEXT NOT NULL DEFAULT '',
        state TEXT NOT NULL,
        requests TEXT NOT NULL,
        reserved_usd REAL NOT NULL,
        created_at TEXT NOT NULL,
        updated_at TEXT NOT NULL
    )
    """,
    "CREATE TABLE corrections (key TEXT PRIMARY KEY, names TEXT NOT NULL, created_at TEXT NOT NULL) WITHOUT ROWID",
    """
    CREATE TABLE aliases (
        name_key TEXT PRIMARY KEY,
        name TEXT NOT NULL,
        canonical TEXT NOT NULL,
        created_at TEXT NOT NULL
    ) WITHOUT ROWID
    """,
]


class Database:
    """An open label store.

    A new store is made under another name and gets its own when it is whole, so that an empty file under this name is
    one that was damaged, and not a store in which nothing was ever asked.

    Attributes:
        checked: Whether rows have checksums; not in an older store that cannot be written.

    Args:
        path: The SQLite file; it and its folder are made where they do not exist.

    Raises:
        FgvrError: The file is empty, no label store, is of a newer fgvr, or cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.checked = True
        with self.explained("opened"):
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                self._make_new(Path(os.path.realpath(path)))  # where a link points that leads nowhere
            if path.is_file() and (size := path.stat().st_size) < _SMALLEST:
                # SQLite would make a new store of it, and delete what is in its write-ahead log
                raise FgvrError(
                    f"The label store {str(path)!r} is empty or cut off (bytes: {size}): what was in it is lost here. "
                    "Restore a copy of it, or delete it to begin anew, which asks and pays for every reply again."
                )
            self.connection = _connected(path)
        try:
            with self.explained("opened"):
                self._prepare()
        except BaseException:
            self.connection.close()
            raise

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction: all of it is on the disk at the end, or, after an error, nothing of it.

        Raises:
            FgvrError: The file cannot be written (disk full, read-only, locked for a minute).
        """
        with self.explained("written"):
            self.connection.execute("BEGIN IMMEDIATE")
            try:
                yield self.connection
                self.connection.execute("COMMIT")
            except BaseException:
                # a full disk may have ended the transaction already
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")
                raise

    @contextmanager
    def explained(self, done: str) -> Iterator[None]:
        """Say of SQLite's and the system's errors which file they are about and what to do."""
        try:
            yield
        except UnicodeDecodeError as error:  # of SQLite's own words about a damaged file
            raise FgvrError(f"The label store {str(self.path)!r} cannot be {done}: {_DAMAGED}.") from error
        except (sqlite3.Error, OSError) as error:
            if "not a database" in str(error):
                advice = "name another file; a new store is made where there is none"
            elif "malformed" in str(error):
                advice = _DAMAGED
            elif "decode to UTF-8" in str(error):
                raise FgvrError(
                    f"The label store {str(self.path)!r} has a text that is damaged: `fgvr store check` says which."
                ) from None
            elif is_full(self.path.parent):  # SQLite calls that an I/O error, too
                advice = "the disk is full, so make room on it"
            else:
                advice = "check the path, its permissions, the space on the disk, and what other programs hold it"
            reason = visible(str(error), 200)
            raise FgvrError(f"The label store {str(self.path)!r} cannot be {done} ({reason}): {advice}.") from error

    def _prepare(self) -> None:
        application, version, tables = self._header()
        if application != _APPLICATION_ID and (application or version or tables):
            raise FgvrError(
                f"{str(self.path)!r} is a SQLite database of another program, not a label store of fgvr: "
                "name another file; a new one is made where there is none."
            )
        if version > _VERSION:
            raise FgvrError(
                f"{str(self.path)!r} is a label store of version {version}, and this fgvr knows version {_VERSION}: "
                "upgrade with pip install -U fgvr, or name another file."
            )
        if 0 < version < _WITHOUT_CHECKS:
            raise FgvrError(
                f"{str(self.path)!r} is a label store of version {version}, of before the first release. Export its "
                "replies with the fgvr that made it, and import them into a new one: `fgvr store import FILE.parquet`"
            )
        if version == 0:
            self._use_write_ahead_log()
            self._make()
        elif version == _WITHOUT_CHECKS:
            self._add_checks()
        if self.checked and not schema_is_whole(self.connection):
            raise FgvrError(f"The tables of the label store {str(self.path)!r} are not what fgvr made: {_DAMAGED}.")
        if self.checked:
            watch(self.connection)
        self.connection.execute("PRAGMA synchronous = FULL")  # replies cost money: each is on the disk at once

    def _header(self) -> tuple[int, int, int]:
        """Application id, version and number of tables, of one moment: another process may be making the store."""
        self.connection.execute("BEGIN")
        statements = ("PRAGMA application_id", "PRAGMA user_version", "SELECT COUNT(*) FROM sqlite_master")
        application, version, tables = (int(self.connection.execute(sql).fetchone()[0]) for sql in statements)
        self.connection.execute("COMMIT")
        return application, version, tables

    def _make(self) -> None:
        with self.writing() as connection:
            # another process may have been faster
            if int(connection.execute("PRAGMA user_version").fetchone()[0]) == _VERSION:
                return
            for statement in _TABLES:
                connection.execute(statement)
            make_checks(connection)
            connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            connection.execute(f"PRAGMA user_version = {_VERSION}")

    def _add_checks(self) -> None:
        """Give the rows of a store from before checksums theirs."""
        try:
            with self.writing() as connection:
                if int(connection.execute("PRAGMA user_version").fetchone()[0]) == _WITHOUT_CHECKS:
                    log.info("The label store %r gets checksums, once.", str(self.path))
                    make_checks(connection)
                    connection.execute(f"PRAGMA user_version = {_VERSION}")
        except FgvrError as error:
            if "readonly" not in str(error.__cause__):
                raise
            self.checked = False  # it can be read all the same

    def _make_new(self, path: Path) -> None:
        """Make a store that is there as a whole or not at all; another process may do the same."""
        new = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
        try:
            self.connection = _connected(new)
            try:
                self._use_write_ahead_log()
                self._make()
            finally:
                self.connection.close()
            try:
                os.link(new, path)  # which replaces nothing
            except FileExistsError:
                pass
            except OSError:  # a disk without links
                if not path.exists():
                    new.rename(path)
        finally:
            for file in path.parent.glob(f"{new.name}*"):
                file.unlink(missing_ok=True)

    def _use_write_ahead_log(self) -> None:
        # SQLite answers "locked" at once, without waiting, when two processes switch a new file at the same moment
        deadline = time.monotonic() + _BUSY_SECONDS
        while True:
            try:
                self.connection.execute("PRAGMA journal_mode = WAL")
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
            else:
                return


def _connected(path: Path) -> sqlite3.Connection:
    # without an isolation level every statement is a transaction of its own
    return sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)
