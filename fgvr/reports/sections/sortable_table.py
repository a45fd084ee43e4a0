"""The tables of a page, which readers can sort; most sections have one."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

MOST_TABLE_ROWS = 1000

MINUS = "\u2212"


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        title: Its heading.
        form: Format specification of its numbers; ``""`` for a column of text.
    """

    title: str
    form: str = ""


@dataclass(frozen=True)
class Table:
    """A table that readers can sort.

    Attributes:
        caption: What it shows.
        columns: Its columns.
        rows: Text or numbers; ``None`` where there is none.
        total: How many rows there would be if all were shown.
    """

    caption: str
    columns: tuple[Column, ...]
    rows: Sequence[Sequence[Any]]
    total: int


def table(caption: str, columns: Sequence[Column], rows: Sequence[Sequence[Any]]) -> Table:
    """The first rows, as many as a page can show."""
    return Table(caption, tuple(columns), rows[:MOST_TABLE_ROWS], len(rows))
