"""What is damaged in a label store, and the two things that can be done with it: take it out, or take it as it is."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from fgvr.labelling.store.database import Database
from fgvr.labelling.store.row_checks import CHECKED, can_be_read, columns_of, is_whole, source_of
from fgvr.text import visible

_SHOWN = 200


@dataclass(frozen=True)
class DamagedRow:
    """A row that is not what was written.

    Attributes:
        table: Where it is.
        id: Which row of the table.
        values: What stands there now; half a surrogate pair for each byte of a text that is no UTF-8.
        readable: Whether these values can be taken as they are.
    """

    table: str
    id: int | str
    values: tuple[Any, ...]
    readable: bool

    @property
    def described(self) -> str:
        """What it was, in one line."""
        value = {
            column: visible(str(value), _SHOWN)
            for column, value in zip(CHECKED[self.table][1], self.values, strict=True)
        }
        if self.table == "replies":
            return f"{value['sample_id']}  reply: {value['raw'] or value['error']}  labeler: {value['identity']}"
        if self.table == "batches":
            return f"batch {value['remote_id'] or value['nonce']}: {value['state']}"
        if self.table == "corrections":
            return f"correction by a person: {value['names']}"
        return f"alias by a person: {value['name']} -> {value['canonical']}"


class StoreDamage:
    """The damage of one label store; reads every row of it.

    Args:
        path: The SQLite file.

    Raises:
        FgvrError: It cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._database = Database(path)
        self._database.connection.text_factory = lambda text: text.decode("utf-8", "surrogateescape")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._database.connection.close()

    def rows(self) -> Iterator[DamagedRow]:
        """The damaged rows.

        Raises:
            FgvrError: The file is so damaged that rows cannot be read.
        """
        checked = self._database.checked
        for table, (key, _) in CHECKED.items():
            # not by an index, which may lack what is in the table
            source = source_of(table, checked).replace(table, f"{table} NOT INDEXED", 1)
            query = f"SELECT {table}.{key}, {columns_of(table, checked)} FROM {source}"
            with self._database.explained("read"):
                for number, *values, checksum in self._database.connection.execute(query):
                    readable = can_be_read(table, values)
                    if not readable or not is_whole(values, checksum):
                        yield DamagedRow(table, number, tuple(values), readable)

    def structure(self) -> str:
        """What SQLite itself finds wrong; ``""`` for nothing."""
        with self._database.explained("read"):
            [said] = self._database.connection.execute("PRAGMA integrity_check(1)").fetchone()
        return "" if said == "ok" else visible(str(said), _SHOWN)

    def drop(self, rows: Sequence[DamagedRow]) -> None:
        """Take rows out, and make the indexes anew.

        Raises:
            FgvrError: The file cannot be written.
        """
        with self._database.writing() as connection:
            for row in rows:
                connection.execute(f"DELETE FROM {row.table} WHERE {CHECKED[row.table][0]} = ?", (row.id,))
            connection.execute("REINDEX")

    def keep(self, rows: Sequence[DamagedRow]) -> None:
        """Take the values of rows as they are now for what was written; those that are not readable stay damaged.

        Raises:
            FgvrError: The file cannot be written.
        """
        with self._database.writing() as connection:
            for row in rows:
                if row.readable:
                    key = CHECKED[row.table][0]
                    connection.execute(f"DELETE FROM {row.table}_checks WHERE id = ?", (row.id,))
                    connection.execute(f"UPDATE {row.table} SET {key} = {key} WHERE {key} = ?", (row.id,))
