"""Photos listed in a CSV file."""

from pathlib import Path, PurePosixPath

from fgvr.datasets.base import ImageDataset, split_name
from fgvr.errors import FgvrError
from fgvr.records import ImageRecord
from fgvr.tables import Row, Table, posix_path, read_csv


class ManifestDataset(ImageDataset):
    """Photos listed in a CSV with the column ``file`` and, if known, ``class_name`` and ``split``.

    ``file`` is relative to ``root``. ``split`` is ``support`` (or ``train``), ``val`` or ``test``; without the column
    every photo is a support photo. True names are used for evaluation and for drawing m shots per class, and nowhere
    else; an empty one means unknown. A name with a comma stands in quotes.

    Args:
        root: Folder below which the photos are.
        manifest: The CSV file, relative to ``root`` or absolute.
    """

    def __init__(self, root: Path, manifest: Path = Path("manifest.csv")) -> None:
        super().__init__(root)
        self.manifest = Path(manifest)

    def records(self) -> list[ImageRecord]:
        """The photos of the CSV, in sorted order."""
        self.require_root()
        path = self.root / self.manifest
        table = read_csv(
            path,
            missing="Set data.dataset.manifest to the CSV, or, to read the folder itself, set data.dataset to folder.",
        )
        if "file" not in table.header:
            raise FgvrError(
                f"{path}, row 1: the columns are {', '.join(table.header)}; a column 'file' is needed ('class_name' "
                "and 'split' are optional)."
            )
        if not table.rows:
            raise FgvrError(f"{path} lists no photos: it has a header and no further row.")
        listed: dict[str, int] = {}
        records = []
        for row in table.rows:
            record = self._record(table, row)
            first = listed.setdefault(record.sample_id, row.number)
            if first != row.number:
                raise FgvrError(
                    f"{table.place(row)}: {record.sample_id!r} is listed in row {first} already; "
                    "a photo may be listed once. Delete one of the two rows."
                )
            records.append(record)
        return sorted(records, key=lambda record: record.sample_id)

    def _record(self, table: Table, row: Row) -> ImageRecord:
        place = table.place(row)
        file = table.line(row, "file")
        if not file:
            raise FgvrError(f"{place}: the column 'file' is empty; it must name a photo below {str(self.root)!r}.")
        relative = PurePosixPath(posix_path(file))
        if relative.is_absolute() or ".." in relative.parts:
            raise FgvrError(
                f"{place}: {file!r} is not below the data set's root; give it relative to {str(self.root)!r}."
            )
        split = split_name(row.cells.get("split") or "support")
        if split is None:
            raise FgvrError(f"{place}: the split is {row.cells['split']!r}; expected support, val or test.")
        true_name = table.line(row, "class_name") if "class_name" in table.header else ""
        return ImageRecord(str(relative), self.root / relative, split, true_name=true_name or None)
