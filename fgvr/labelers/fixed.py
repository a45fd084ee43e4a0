"""Names from a CSV: those of a person, of another program, or the true ones for an upper bound."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from fgvr.errors import FgvrError
from fgvr.labelers.base import Labeler
from fgvr.labelers.image_table import ImageTable, TextFile
from fgvr.records import ImageRecord, LabelRequest, Reply
from fgvr.tables import parse_csv


class FixedLabeler(Labeler):
    """Takes the names of a CSV as they are; nothing is parsed.

    A photo is found by its ``sample_id``, else by its file name or a longer path that ends in it, as other programs
    write them. One that the CSV lacks is a failed reply; an empty cell is a label without names.

    Args:
        path: The CSV file with a header, relative to the working directory. Commas, semicolons or tabs stand between
            its cells.
        image_column: Column with the photo's ``sample_id`` or file name.
        name_column: Column with the name. One with a comma stands in quotes.
        separator: What stands between several names in one cell, best first, such as ``";"``; ``None`` takes the whole
            cell as one name.
        encoding: The file's encoding, such as ``"cp1252"``, where it is not UTF-8 or UTF-16.
    """

    def __init__(
        self,
        path: Path,
        image_column: str = "file",
        name_column: str = "name",
        separator: str | None = None,
        encoding: str | None = None,
    ) -> None:
        super().__init__()
        if separator == "":
            raise FgvrError("separator is empty: give the text between two names, such as ';', or leave it out.")
        self.path = Path(path)
        self.image_column = image_column
        self.name_column = name_column
        self.separator = separator
        self.encoding = encoding

    def identity(self) -> dict[str, Any]:
        """The file's content, and how it is read; not its path, so a moved file keeps its stored replies."""
        return {
            "labeler": "fixed",
            "file_sha256": self._file.digest,
            "image_column": self.image_column,
            "name_column": self.name_column,
            "separator": self.separator,
            **({} if self.encoding is None else {"encoding": self.encoding}),
        }

    def check_images(self, images: Sequence[ImageRecord]) -> None:
        """Refuse a file that has none of the photos, and a file name that several photos share."""
        self._names.check_images(images)

    def ask(self, requests: Sequence[LabelRequest]) -> Iterator[Reply]:
        """Yield the names in the order of ``requests``."""
        self._names.match([request.image for request in requests])
        for request in requests:
            cells = self._names.find(request.image)
            if cells:
                yield Reply(request, names=self._split(cells[0]))
            else:
                yield Reply(request, error=f"no name for {request.image.sample_id!r} in {self.path}")

    def _split(self, cell: str) -> tuple[str, ...]:
        parts = [cell] if self.separator is None else cell.split(self.separator)
        return tuple(part.strip() for part in parts if part.strip())

    @cached_property
    def _file(self) -> TextFile:
        return TextFile.read(self.path, "data.labeler.path", self.encoding, "data.labeler.encoding")

    @cached_property
    def _names(self) -> ImageTable[str]:
        table = parse_csv(self._file.text, self.path)
        for column in (self.image_column, self.name_column):
            if column not in table.header:
                raise FgvrError(
                    f"{self.path}, row 1: no column {column!r}, the columns are {', '.join(table.header)}. "
                    "If they have other names, set data.labeler.image_column and data.labeler.name_column."
                )
        names: ImageTable[str] = ImageTable(self.path, unit="row")
        for row in table.rows:
            # several names of one cell may stand on lines of their own; one name may not
            name = table.line(row, self.name_column) if self.separator is None else row.cells[self.name_column]
            names.add(table.line(row, self.image_column), row.number, name)
        return names
