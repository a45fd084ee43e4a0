"""CSV files as people and spreadsheets write them, read in one strict way, and written so that they open in both."""

import codecs
import csv
import re
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from io import StringIO
from itertools import islice
from pathlib import Path
from typing import Any, TextIO, overload

from fgvr.errors import FgvrError
from fgvr.files import replacing
from fgvr.text import composed, encodable

_SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab"}
_DECLARED = re.compile(r"sep=([,;\t])\r?\n", re.IGNORECASE)
"""First line that tells Excel what stands between the cells."""
# The longer marks first: that of UTF-32 begins with that of UTF-16.
_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_MOST_SEEN = 2**16
_LINES = re.compile(r"[^\r\n]*(?:\r\n?|\n)|[^\r\n]+")
_WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")  # .xlsx and .ods; .xls
# What a spreadsheet takes for a formula. An apostrophe before it makes it text; one that was there gets another one, so
# that nothing is lost.
_FORMULA = re.compile(r"'*[=+\-@\t\r\n＝＋－＠]")  # noqa: RUF001  # the wide forms are formulas too


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table.

    Attributes:
        number: Its number as a spreadsheet shows it: the header is row 1, and blank rows count.
        cells: Column name -> cell, without the spaces around it; an empty cell is ``""``.
    """

    number: int
    cells: Mapping[str, str]


class _Rows(Sequence[Row]):
    """The rows of a file that are not blank, made when they are asked for: a million mappings would fill the memory."""

    def __init__(self, header: Sequence[str], records: Sequence[tuple[str, ...]]) -> None:
        self._header = header
        self._records = records
        self._places = array("L", (place for place in range(1, len(records)) if any(records[place])))

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, index: int) -> Row: ...

    @overload
    def __getitem__(self, index: slice) -> list[Row]: ...

    def __getitem__(self, index: int | slice) -> Row | list[Row]:
        if isinstance(index, slice):
            return [self._row(place) for place in self._places[index]]
        return self._row(self._places[index])

    def _row(self, place: int) -> Row:
        return Row(place + 1, dict(zip(self._header, self._records[place], strict=False)))


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


def read_csv(path: Path, missing: str = "", encoding: str | None = None, option: str = "") -> Table:
    """Read a CSV file with a header.

    Args:
        path: The file: UTF-8, or UTF-16 with its mark.
        missing: What to do when there is no such file, for the message.
        encoding: Its encoding, where it is another one.
        option: The option that sets ``encoding``, for the message.

    Raises:
        FgvrError: There is no such file, or it is not a CSV in this encoding; see :func:`parse_csv`.
    """
    if not path.is_file():
        raise FgvrError(f"There is no {str(path)!r}. {missing}".rstrip())
    return parse_csv(decode_text(path.read_bytes(), path, encoding, option), path)


def parse_csv(text: str, path: Path) -> Table:
    """The table that a CSV file's text holds, with accents composed and without apostrophes that guard formulas.

    Between the cells stand commas, semicolons or tabs: what divides the header into the most cells, and every row into
    as many.

    Args:
        text: The text, line ends as in the file.
        path: The file, for messages.

    Raises:
        FgvrError: There is no header, a column name is used twice, a row has too many or too few cells, or a quote is
            not closed. The message names the row.
    """
    text = composed(text)
    if declared := _DECLARED.match(text):
        return _parse(text[declared.end() :], path, declared.group(1))
    counts = {separator: _header_cells(text, separator) for separator in _SEPARATORS}
    likely = sorted((each for each in counts if counts[each] > 1), key=lambda each: -counts[each]) or [","]
    first, *others = likely
    try:
        return _parse(text, path, first)
    except FgvrError:
        for separator in others:  # a comma may stand in the header's names, in a table with semicolons
            with suppress(FgvrError):
                return _parse(text, path, separator)
        raise


def _header_cells(text: str, separator: str) -> int:
    try:
        return len(next(csv.reader(_lines(text), delimiter=separator, strict=True), []))
    except csv.Error:
        return 0


def _lines(text: str) -> Iterator[str]:
    """The lines with their ends, one at a time: a stream of the text would be a copy of it, four bytes a character."""
    return (line[0] for line in _LINES.finditer(text))


def _parse(text: str, path: Path, separator: str) -> Table:
    records: list[tuple[str, ...]] = []
    name = _SEPARATORS[separator]
    seen: dict[str, str] = {}  # classes and splits come again and again, and are kept once
    try:
        for record in csv.reader(_lines(text), delimiter=separator, strict=True):
            stripped = (unescape_formula(cell.strip()) for cell in record)
            records.append(tuple(seen.setdefault(cell, cell) for cell in stripped))
            if len(seen) > _MOST_SEEN:
                seen.clear()
    except csv.Error as error:
        # the record that fails is not among them yet: for an unclosed quote, the row in which it was opened
        raise FgvrError(
            f"{path}, row {len(records) + 1}: not CSV ({error}); expected {name}s between the cells, a closing quote "
            "for every opening one, and doubled quotes inside quotes."
        ) from None
    header = list(records[0]) if records else []
    if not any(header):
        raise FgvrError(f"{path} is empty, or its first row is: expected a header and one row per photo.")
    for column in header:
        # spreadsheets leave several empty columns at the right, which nobody reads
        if column and header.count(column) > 1:
            raise FgvrError(f"{path}, row 1: column {column!r} is there twice. Rename or delete one of the two.")
    for number, cells in enumerate(islice(records, 1, None), start=2):
        if any(cells[len(header) :]) or (cells and len(cells) < len(header)):
            hint = (
                f'A cell with a {name} must stand in quotes: a.jpg{separator}"Heron{separator} grey".'
                if len(cells) > len(header)
                else f"Every column needs a cell, which may be empty: a.jpg{separator}"
            )
            raise FgvrError(
                f"{path}, row {number}: {len(cells)} cells, but the header has {len(header)} columns. {hint}"
            )
    return Table(path, header, _Rows(header, records))


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> int:
    """Write a table for spreadsheets; a file of that name is replaced when the new one is complete.

    It is UTF-8 with a byte order mark, without which some spreadsheets take it for something else. An apostrophe stands
    before a text that a spreadsheet would take for a formula; :func:`read_csv` takes it off again.

    Args:
        path: The file.
        header: Column names.
        rows: A cell for each column: text, a number, or ``None`` for an empty one.

    Returns:
        The number of rows.
    """
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8-sig", newline="") as stream:
        return _write_rows(stream, header, rows)


def csv_text(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """The same table as text, for where there is no file.

    Args:
        header: Column names.
        rows: A cell for each column.
    """
    stream = StringIO()
    _write_rows(stream, header, rows, "\n")
    return stream.getvalue()


def _write_rows(stream: TextIO, header: Sequence[str], rows: Iterable[Sequence[Any]], line_end: str = "\r\n") -> int:
    writer = csv.writer(stream, lineterminator=line_end)
    writer.writerow(map(escape_formula, header))
    total = 0
    for row in rows:
        writer.writerow(escape_formula(encodable(cell)) if isinstance(cell, str) else cell for cell in row)
        total += 1
    return total


def escape_formula(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula.

    Example:
        >>> escape_formula("=1+1")
        "'=1+1"
    """
    return f"'{cell}" if _FORMULA.match(cell) else cell


def unescape_formula(cell: str) -> str:
    """The cell that :func:`escape_formula` was given."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def decode_text(content: bytes, path: Path, encoding: str | None = None, option: str = "") -> str:
    """The text of a file: in UTF-8, UTF-16 or UTF-32 if its mark says so, else in the encoding that is given, or UTF-8.

    Args:
        content: The file's bytes.
        path: The file, for messages.
        encoding: Its encoding, such as ``"cp1252"``, where it has no mark. If it has one byte for each letter, it is
            meant for files that are not UTF-8: text in it is never UTF-8 by accident, but for plain ASCII.
        option: The option that sets ``encoding``, for the message; ``""`` where there is none.

    Raises:
        FgvrError: It is not text of this encoding, or there is no such encoding; or the file is a spreadsheet's own.
    """
    if content.startswith(_WORKBOOKS):
        raise FgvrError(f"{path} is a spreadsheet's own file or an archive, and no text: save it as CSV in UTF-8.")
    marked = next((name for mark, name in _MARKS.items() if content.startswith(mark)), None)
    used = marked or encoding or "utf-8-sig"
    try:
        if encoding is not None and marked is None and _has_one_byte_a_letter(encoding) and _is_utf8(content):
            used = "utf-8-sig"
        text = content.decode(used)
    except LookupError:
        raise FgvrError(f"{option} is {encoding!r}, which is no encoding; expected one such as 'cp1252'.") from None
    except UnicodeError as error:
        position, reason = getattr(error, "start", 0), getattr(error, "reason", str(error))
    else:
        position, reason = text.find("\0"), "it has NUL characters, as UTF-16 without its mark does"
        if position < 0:
            return text.removeprefix("\ufeff")
        position = content.find(b"\0") if used == "utf-8-sig" else position
    line = content.count(b"\n", 0, position) + 1
    name = "UTF-8" if used == "utf-8-sig" else used.upper()
    fix = f", or set {option} to what it is, such as cp1252" if option else ""
    raise FgvrError(f"{path}, line {line}: not {name} text ({reason}); save the file as UTF-8{fix}.")


def _has_one_byte_a_letter(encoding: str) -> bool:
    return len(bytes(range(128, 256)).decode(encoding, "replace")) == 128


def _is_utf8(content: bytes) -> bool:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
