"""CSV files that people write, all read in one strict way, and the photo ids in them."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from fgvr.errors import FgvrError


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table.

    Attributes:
        number: Its number as a spreadsheet shows it: the header is row 1, and blank rows count.
        cells: Column name -> cell, without the spaces around it; an empty cell is ``""``.
    """

    number: int
    cells: Mapping[str, str]


@dataclass(frozen=True)
class Table:
    """A table of text.

    Attributes:
        path: The file.
        header: Column names, no name twice.
        rows: The rows that are not blank, each with a cell for every column.
    """

    path: Path
    header: Sequence[str]
    rows: Sequence[Row]

    def place(self, row: Row) -> str:
        """Where the row is, for messages."""
        return f"{self.path}, row {row.number}"

    def line(self, row: Row, column: str) -> str:
        """The cell, which must be a single line.

        Raises:
            FgvrError: It has several, as when a quote that nobody closed has swallowed the rows below.
        """
        cell = row.cells[column]
        if "\n" in cell or "\r" in cell:
            raise FgvrError(
                f"{self.place(row)}: the column {column!r} holds a line break: {cell[:60]!r}. Close the quote that "
                "should end before it, or remove the line break."
            )
        return cell


def read_csv(path: Path, missing: str = "") -> Table:
    """Read a CSV file with a header.

    Args:
        path: The file: UTF-8, with or without a byte order mark.
        missing: What to do when there is no such file, for the message.

    Raises:
        FgvrError: There is no such file, or it is not a CSV in UTF-8; see :func:`parse_csv`.
    """
    if not path.is_file():
        raise FgvrError(f"There is no {str(path)!r}. {missing}".rstrip())
    return parse_csv(decode_utf8(path.read_bytes(), path), path)


def parse_csv(text: str, path: Path) -> Table:
    """The table that a CSV file's text holds.

    Args:
        text: The text, line ends as in the file.
        path: The file, for messages.

    Raises:
        FgvrError: There is no header, a column name is used twice, a row has too many or too few cells, or a quote is
            not closed. The message names the row.
    """
    records: list[list[str]] = []
    try:
        for record in csv.reader(io.StringIO(text, newline=""), strict=True):
            records.append([cell.strip() for cell in record])
    except csv.Error as error:
        # the record that fails is not among them yet: for an unclosed quote, the row in which it was opened
        raise FgvrError(
            f"{path}, row {len(records) + 1}: not CSV ({error}); expected commas between the cells, a closing quote "
            "for every opening one, and doubled quotes inside quotes."
        ) from None
    header = records[0] if records else []
    if not any(header):
        raise FgvrError(f"{path} is empty, or its first row is: expected a header and one row per photo.")
    for column in header:
        # spreadsheets leave several empty columns at the right, which nobody reads
        if column and header.count(column) > 1:
            raise FgvrError(f"{path}, row 1: column {column!r} is there twice. Rename or delete one of the two.")
    rows = []
    for number, cells in enumerate(records[1:], start=2):
        if cells and len(cells) != len(header):
            hint = (
                'A cell with a comma must stand in quotes: a.jpg,"Heron, grey".'
                if len(cells) > len(header)
                else "Every column needs a cell, which may be empty: a.jpg,"
            )
            raise FgvrError(
                f"{path}, row {number}: {len(cells)} cells, but the header has {len(header)} columns. {hint}"
            )
        if cells:
            rows.append(Row(number, dict(zip(header, cells, strict=True))))
    return Table(path, header, rows)


def decode_utf8(content: bytes, path: Path) -> str:
    """The text of a file in UTF-8, with or without a byte order mark.

    Args:
        content: The file's bytes.
        path: The file, for messages.

    Raises:
        FgvrError: It is not UTF-8.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        position, reason = error.start, error.reason
    else:
        position, reason = content.find(b"\0"), "it has NUL characters, as UTF-16 does"
        if position < 0:
            return text
    line = content.count(b"\n", 0, position) + 1
    raise FgvrError(f"{path}, line {line}: not UTF-8 text ({reason}); save the file as UTF-8.")


def posix_path(text: str) -> str:
    r"""A photo's path as fgvr writes it, so that files from every system name a photo alike.

    Example:
        >>> posix_path(" .\\herons\\a.jpg")
        'herons/a.jpg'
    """
    return str(PurePosixPath(text.strip().replace("\\", "/")))
