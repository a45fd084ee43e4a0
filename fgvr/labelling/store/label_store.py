"""The label store: every reply that was ever paid for, in one SQLite file."""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from fgvr.errors import FgvrError
from fgvr.labelling.store.batches import Batches
from fgvr.labelling.store.database import Database
from fgvr.labelling.store.keys import canonical, request_keys
from fgvr.labelling.store.row_checks import can_be_read, columns_of, is_whole, source_of
from fgvr.labelling.store.rows import (
    IMPORT_REPLY,
    PUT_REPLY,
    StoredReply,
    names_json,
    now,
    row_of_stored,
    rows_of,
    stored_reply,
)
from fgvr.records import LabelRequest, Reply
from fgvr.text import counted, encodable, visible
from fgvr.vocabulary.build import fold_name

_decode = json.JSONDecoder().decode

_KEYS_A_QUERY = 500  # SQLite builds of before 2020 take 999 variables
_ROWS_A_PAGE = 1000

# Letter case of ASCII does not count.
_FILTERS = {
    "labeler": "instr(lower(identity), lower(:labeler))",
    "model": "instr(lower(model || char(10) || COALESCE(json_extract(identity, '$.model'), '')), lower(:model))",
    "photo": "(instr(lower(sample_id), lower(:photo)) OR instr(photo, lower(:photo)) = 1)",
}


class LabelStore:
    """Replies by request, one row each, in a SQLite file that other tools can read (table ``replies``).

    A reply is on the disk when ``put`` returns, so a process may be killed at any moment. Several processes may use
    one store at once; the file must be on a local disk, because SQLite's write-ahead log needs shared memory.

    Failures are rows too, with their ``error``: ``get`` returns them so that they can be counted and asked again. A
    later success replaces a failure; nothing replaces a success. ``cost_usd`` and ``attempts`` of a row are the sums
    over all that was put, because what was paid stays paid; every other column is of the first success or, without one,
    of the latest failure.

    What a person says of replies (corrections, and aliases of names) stands beside them; replies are never changed.

    Args:
        path: The SQLite file; it and its folder are made where they do not exist.

    Raises:
        FgvrError: The file is no label store, is of a newer fgvr, or cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._database = Database(path)
        checked = self._database.checked
        self._select = f"SELECT {columns_of('replies', checked)} FROM {source_of('replies', checked)}"
        self.batches = Batches(self._database)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file. All replies are on the disk already."""
        self._database.connection.close()

    def put(self, identity: Mapping[str, Any], reply: Reply) -> None:
        """Store one reply or failure of the labeler with this ``identity``; it is on the disk on return.

        Raises:
            FgvrError: The file cannot be written (disk full, read-only, locked for a minute).
        """
        self.put_many(identity, [reply])

    def put_many(
        self,
        identity: Mapping[str, Any],
        replies: Sequence[Reply],
        server: str = "",
        sent: Mapping[str, int] | None = None,
    ) -> None:
        """Store replies and failures of the labeler with this ``identity``; all are on the disk on return, or none.

        Args:
            identity: The labeler.
            replies: What came; may be none.
            server: Who was asked.
            sent: Day, as the server counts days, such as ``"2026-11-21"`` -> how many requests it was sent more.

        Raises:
            FgvrError: The file cannot be written (disk full, read-only, locked for a minute).
        """
        rows = rows_of(identity, replies)
        with self._database.writing() as connection:
            connection.executemany(PUT_REPLY, rows)
            connection.executemany(
                "INSERT INTO calls (server, day, requests) VALUES (?, ?, ?) "
                "ON CONFLICT (server, day) DO UPDATE SET requests = requests + excluded.requests",
                [(server, day, number) for day, number in (sent or {}).items()],
            )

    def requests_on(self, server: str, day: str) -> int:
        """How many requests reached ``server`` on ``day``, from all processes that use this store."""
        query = "SELECT requests FROM calls WHERE server = ? AND day = ?"
        with self._database.explained("read"):
            found = self._database.connection.execute(query, (server, day)).fetchone()
        return int(found[0]) if found else 0

    def get(self, identity: Mapping[str, Any], requests: Sequence[LabelRequest]) -> list[Reply | None]:
        """What is stored for each of ``requests``, in their order: a reply, a failure (with ``error``), or ``None``.

        Raises:
            FgvrError: The file cannot be read, or a reply in it is damaged.
        """
        keys = request_keys(identity, requests)
        # neighbours in the index are asked for together
        order = sorted(range(len(keys)), key=keys.__getitem__)
        shared: dict[str, str] = {}  # models, which are alike in many rows
        found: list[Reply | None] = [None] * len(keys)
        damaged: list[str] = []
        for start in range(0, len(order), _KEYS_A_QUERY):
            part = order[start : start + _KEYS_A_QUERY]
            query = f"{self._select} WHERE key IN ({', '.join('?' * len(part))})"
            with self._database.explained("read"):
                rows = {
                    row[0]: row for row in self._database.connection.execute(query, [keys[number] for number in part])
                }
            for number in part:
                if (row := rows.get(keys[number])) is not None:
                    *_, raw, names, error, model, cost_usd, seconds, usage, attempts, _, checksum = row
                    if not is_whole(row[:-1], checksum) or (checksum is None and not can_be_read("replies", row[:-1])):
                        damaged.append(requests[number].image.sample_id)
                        continue
                    found[number] = Reply(
                        requests[number],
                        raw,
                        None if names is None else tuple(_decode(names)),
                        error,
                        shared.setdefault(model, model),
                        cost_usd,
                        seconds,
                        None if usage is None else _decode(usage),
                        attempts,
                    )
        if damaged:
            raise self._damaged(f"the photo {min(damaged)!r}", canonical(identity), len(damaged))
        return found

    def check_index(self) -> None:
        """Make sure that a reply which is there is found; seconds for a million of them.

        Raises:
            FgvrError: The file is damaged, so that what is there might be asked, and paid for, again.
        """
        with self._database.explained("read"):
            [said] = self._database.connection.execute("PRAGMA integrity_check(1)").fetchone()
        if said != "ok":
            raise FgvrError(
                f"The label store {str(self.path)!r} is damaged ({visible(said, 100)}), so that replies in it might "
                "not be found, and paid for again: nothing is asked. Restore a copy of it, or mend it with `fgvr store "
                "check --drop`."
            )

    def _damaged(self, what: str, identity: str, count: int) -> FgvrError:
        more = f" and {counted(count - 1, 'other')}" if count > 1 else ""
        return FgvrError(
            f"The label store {str(self.path)!r} is damaged: the reply about {what} of the labeler "
            f"{visible(identity, 100)}{more} is not what was stored. It is neither used nor paid for again without a "
            "word: `fgvr store check` shows it, a copy of the store may have it whole, and `fgvr store check --drop` "
            "takes it out, so that it is asked again."
        )

    def known(self, keys: Collection[str]) -> set[str]:
        """Those of ``keys`` that have a row, a success or a failure.

        Raises:
            FgvrError: The file cannot be read.
        """
        query = "SELECT 1 FROM replies WHERE key = ?"
        with self._database.explained("read"):
            return {key for key in keys if self._database.connection.execute(query, (key,)).fetchone()}

    def rows(
        self,
        labeler: str = "",
        model: str = "",
        image: str = "",
        failed: bool | None = None,
        newest_first: bool = False,
    ) -> Iterator[StoredReply]:
        """Every row, a page at a time, so that a large store needs no memory.

        Args:
            labeler: Part of the labeler's identity (JSON).
            model: Part of the name of the model that was asked or that answered.
            image: Part of the photo's ``sample_id``, or the beginning of its digest.
            failed: Only failures, or only successes.
            newest_first: Begin with the latest row.

        Raises:
            FgvrError: The file cannot be read.
        """
        conditions = ["replies.id < :at" if newest_first else "replies.id > :at"]
        given = {"labeler": labeler, "model": model, "photo": image}
        values: dict[str, Any] = {name: text for name, text in given.items() if text}
        conditions += [_FILTERS[name] for name in values]
        if failed is not None:
            conditions.append("error != ''" if failed else "error = ''")
        values["at"] = 2**62 if newest_first else -1
        order = "DESC" if newest_first else "ASC"
        query = (
            f"{self._select.replace('SELECT', 'SELECT replies.id,')} WHERE {' AND '.join(conditions)} "
            f"ORDER BY replies.id {order} LIMIT {_ROWS_A_PAGE}"
        )
        while True:
            with self._database.explained("read"):
                page = self._database.connection.execute(query, values).fetchall()
            for _, *row, checksum in page:
                if not is_whole(row, checksum) or (checksum is None and not can_be_read("replies", row)):
                    raise self._damaged(f"the photo {visible(str(row[1]), 80)!r}", str(row[5]), 1)
                yield stored_reply(row)
            if len(page) < _ROWS_A_PAGE:
                return
            values["at"] = page[-1][0]

    def merge(self, rows: Iterable[StoredReply]) -> tuple[int, int]:
        """Take rows of another store as they are, dates included.

        A success of this store stays. A failure of it makes way for a success, and their costs and attempts are added
        up; of two failures this store's stays, so that a file can be imported twice.

        Args:
            rows: Any number of them; a thousand at a time are on the disk together.

        Returns:
            How many were taken, and for how many this store's own stayed.

        Raises:
            FgvrError: The file cannot be written.
        """
        rows = iter(rows)
        taken = total = 0
        while page := list(islice(rows, _ROWS_A_PAGE)):
            with self._database.writing() as connection:
                taken += connection.executemany(IMPORT_REPLY, map(row_of_stored, page)).rowcount
            total += len(page)
        return taken, total - taken

    def retry_failed(self, error: str = "") -> int:
        """Let failures be asked again: their attempts are 0 again; what they cost stays.

        Args:
            error: Only those whose error has this text in it, letter case aside.

        Returns:
            How many failures may be asked now.

        Raises:
            FgvrError: The file cannot be written.
        """
        query = (
            "UPDATE replies SET attempts = 0 WHERE error != '' AND (:error = '' OR instr(lower(error), lower(:error)))"
        )
        with self._database.writing() as connection:
            return connection.execute(query, {"error": error}).rowcount

    def corrections(self, keys: Collection[str] | None = None) -> dict[str, tuple[str, ...]]:
        """A person's names instead of a reply's own; none where the reply names nothing.

        Args:
            keys: Keys of requests; all that were corrected if not given.

        Returns:
            Key -> names, for the replies that were corrected.

        Raises:
            FgvrError: The file cannot be read.
        """
        # a person writes hundreds, so all of them are read
        wanted = None if keys is None else set(keys)
        rows = self._said_by_a_person("corrections")
        return {key: tuple(json.loads(names)) for key, names, _ in rows if wanted is None or key in wanted}

    def aliases(self) -> dict[str, str]:
        """Folded name -> the name that a person put in its place.

        Raises:
            FgvrError: The file cannot be read.
        """
        return {fold_name(name): canonical for name, canonical in self.written_aliases().items()}

    def written_aliases(self) -> dict[str, str]:
        """The same, each name as the person wrote it.

        Raises:
            FgvrError: The file cannot be read.
        """
        return {name: canonical for _, name, canonical, _ in sorted(self._said_by_a_person("aliases"))}

    def _said_by_a_person(self, table: str) -> list[tuple[Any, ...]]:
        checked = self._database.checked
        query = f"SELECT {columns_of(table, checked)} FROM {source_of(table, checked)}"
        with self._database.explained("read"):
            rows = self._database.connection.execute(query).fetchall()
        for *row, checksum in rows:
            if not is_whole(row, checksum):
                raise FgvrError(
                    f"The label store {str(self.path)!r} is damaged: what a person wrote for "
                    f"{visible(str(row[1]), 80)!r} ({table}) is not what was stored. `fgvr store check` shows it, and "
                    "`fgvr store check --drop` takes it back, so that it can be written again with `fgvr store review`."
                )
        return [row[:-1] for row in rows]

    def revise(
        self,
        corrections: Mapping[str, Sequence[str] | None] | None = None,
        aliases: Mapping[str, str | None] | None = None,
    ) -> None:
        """Put down what a person says; all of it or, after an error, nothing.

        Args:
            corrections: Key of a request -> the names of its reply; ``None`` takes a correction back.
            aliases: Name, in any spelling -> the name in its place; ``None`` takes an alias back.

        Raises:
            FgvrError: The file cannot be written.
        """
        with self._database.writing() as connection:
            for key, names in (corrections or {}).items():
                if names is None:
                    connection.execute("DELETE FROM corrections WHERE key = ?", (key,))
                else:
                    connection.execute(
                        "INSERT OR REPLACE INTO corrections (key, names, created_at) VALUES (?, ?, ?)",
                        (key, names_json(names), now()),
                    )
            for name, canonical in (aliases or {}).items():
                if canonical is None:
                    connection.execute("DELETE FROM aliases WHERE name_key = ?", (fold_name(name),))
                else:
                    connection.execute(
                        "INSERT OR REPLACE INTO aliases (name_key, name, canonical, created_at) VALUES (?, ?, ?, ?)",
                        (fold_name(name), encodable(name), encodable(canonical), now()),
                    )
