"""The label store: every reply that was ever paid for, in one SQLite file."""

import hashlib
import json
import math
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from fgvr.errors import FgvrError
from fgvr.labelers.base import LabelRequest, Reply
from fgvr.text import encodable

_APPLICATION_ID = 0x66677672  # "fgvr", in the header of the file: tells a label store from any other database
_VERSION = 1
_BUSY_SECONDS = 60.0
_KEYS_A_QUERY = 500  # SQLite builds of before 2020 take 999 variables

_SCHEMA = f"""
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS replies (
    key TEXT PRIMARY KEY,
    photo TEXT NOT NULL,
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
) WITHOUT ROWID;
PRAGMA application_id = {_APPLICATION_ID};
PRAGMA user_version = {_VERSION};
COMMIT;
"""

# A success stays as it is, whatever comes later. A failure makes way, but the money that it cost is still spent.
_PUT = """
INSERT INTO replies (key, photo, sample_index, identity, prompt, raw, names, error, model, cost_usd, seconds, usage,
                     created_at)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (key) DO UPDATE SET
    raw = excluded.raw,
    names = excluded.names,
    error = excluded.error,
    model = excluded.model,
    cost_usd = replies.cost_usd + excluded.cost_usd,
    seconds = excluded.seconds,
    usage = excluded.usage,
    attempts = replies.attempts + 1,
    created_at = excluded.created_at
WHERE replies.error != ''
"""


def request_key(identity: Mapping[str, Any], request: LabelRequest) -> str:
    """SHA-256, in hex, of all that a reply depends on: the photo's bytes, the labeler, the prompt, the answer number.

    Raises:
        ValueError: The photo has no digest; all photos without one would share their replies.
    """
    if not request.image.digest:
        raise ValueError(f"{request.image.sample_id!r} has no digest: fgvr.data.scan computes it.")
    question = {
        "photo": request.image.digest,
        "identity": identity,
        "prompt": request.prompt,
        "sample_index": request.sample_index,
    }
    return hashlib.sha256(_canonical(question).encode()).hexdigest()


class LabelStore:
    """Replies by request, one row each, in a SQLite file that other tools can read (table ``replies``).

    A reply is on the disk when ``put`` returns, so a process may be killed at any moment. Several processes may use
    one store at once; the file must be on a local disk, because SQLite's write-ahead log needs shared memory.

    Failures are rows too, with their ``error``: ``get`` returns them so that they can be counted and asked again. A
    later success replaces a failure; nothing replaces a success. ``cost_usd`` and ``attempts`` of a row are the sums
    over its failures and the success, every other column is of the latest attempt.

    Args:
        path: The SQLite file; it and its folder are made where they do not exist.

    Raises:
        FgvrError: The file is no label store, is of a newer fgvr, or cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with self._explained("opened"):
            path.parent.mkdir(parents=True, exist_ok=True)
            # without an isolation level every statement is a transaction of its own
            self._database = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)
        try:
            with self._explained("opened"):
                self._prepare()
        except BaseException:
            self._database.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file. All replies are on the disk already."""
        self._database.close()

    def put(self, identity: Mapping[str, Any], reply: Reply) -> None:
        """Store one reply or failure of the labeler with this ``identity``; it is on the disk on return.

        Raises:
            FgvrError: The file cannot be written (disk full, read-only, locked for a minute).
        """
        request = reply.request
        row = (
            request_key(identity, request),
            request.image.digest,
            request.sample_index,
            _canonical(identity),
            request.prompt,
            encodable(reply.raw),
            None if reply.names is None else json.dumps([encodable(name) for name in reply.names], ensure_ascii=False),
            encodable(reply.error),
            encodable(reply.model),
            reply.cost_usd if math.isfinite(reply.cost_usd) else 0.0,
            reply.seconds if math.isfinite(reply.seconds) else 0.0,
            # a paid reply must not be lost because a server's token counts came as objects
            None if reply.usage is None else json.dumps(dict(reply.usage), default=str, skipkeys=True),
            datetime.now(UTC).isoformat(timespec="seconds"),
        )
        with self._explained("written"):
            self._database.execute(_PUT, row)

    def get(self, identity: Mapping[str, Any], requests: Sequence[LabelRequest]) -> list[Reply | None]:
        """What is stored for each of ``requests``, in their order: a reply, a failure (with ``error``), or ``None``.

        Raises:
            FgvrError: The file cannot be read.
        """
        keys = [request_key(identity, request) for request in requests]
        rows: dict[str, tuple[Any, ...]] = {}
        with self._explained("read"):
            for start in range(0, len(keys), _KEYS_A_QUERY):
                part = keys[start : start + _KEYS_A_QUERY]
                query = (
                    "SELECT key, raw, names, error, model, cost_usd, seconds, usage FROM replies "
                    f"WHERE key IN ({', '.join('?' * len(part))})"
                )
                rows.update((row[0], row[1:]) for row in self._database.execute(query, part))
        return [
            _reply(request, *rows[key]) if key in rows else None for key, request in zip(keys, requests, strict=True)
        ]

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
        if version < _VERSION:
            self._use_write_ahead_log()
            self._database.executescript(_SCHEMA)
        self._database.execute("PRAGMA synchronous = FULL")  # replies cost money: each is on the disk at once

    def _header(self) -> tuple[int, int, int]:
        """Application id, version and number of tables, of one moment: another process may be making the store."""
        self._database.execute("BEGIN")
        statements = ("PRAGMA application_id", "PRAGMA user_version", "SELECT COUNT(*) FROM sqlite_master")
        application, version, tables = (int(self._database.execute(sql).fetchone()[0]) for sql in statements)
        self._database.execute("COMMIT")
        return application, version, tables

    def _use_write_ahead_log(self) -> None:
        # SQLite answers "locked" at once, without waiting, when two processes switch a new file at the same moment
        deadline = time.monotonic() + _BUSY_SECONDS
        while True:
            try:
                self._database.execute("PRAGMA journal_mode = WAL")
            except sqlite3.OperationalError as error:
                if "locked" not in str(error) or time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
            else:
                return

    @contextmanager
    def _explained(self, done: str) -> Iterator[None]:
        """Say of SQLite's and the system's errors which file they are about and what to do."""
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            if "not a database" in str(error):
                advice = "name another file; a new store is made where there is none"
            elif "malformed" in str(error):
                advice = "restore it from a backup, or save what is left with: sqlite3 FILE .recover"
            else:
                advice = "check the path, its permissions, the space on the disk, and what other programs hold it"
            raise FgvrError(f"The label store {str(self.path)!r} cannot be {done} ({error}): {advice}.") from error


def _reply(
    request: LabelRequest,
    raw: str,
    names: str | None,
    error: str,
    model: str,
    cost_usd: float,
    seconds: float,
    usage: str | None,
) -> Reply:
    return Reply(
        request=request,
        raw=raw,
        names=None if names is None else tuple(json.loads(names)),
        error=error,
        model=model,
        cost_usd=cost_usd,
        seconds=seconds,
        usage=None if usage is None else json.loads(usage),
    )


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
