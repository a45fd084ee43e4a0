"""Photos listed in a CSV file."""

import csv
from pathlib import Path, PurePosixPath

from fgvr.data.base import ImageDataset, split_name
from fgvr.errors import FgvrError
from fgvr.records import ImageRecord


class ManifestDataset(ImageDataset):
    """Photos listed in a CSV with the column ``file`` and, if known, ``class_name`` and ``split``.

    ``file`` is relative to ``root``. ``split`` is ``support`` (or ``train``), ``val`` or ``test``; without the column
    every photo is a support photo. True names are used for evaluation and for drawing m shots a class, and nowhere
    else; an empty one means unknown.

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
        if not path.is_file():
            raise FgvrError(
                f"There is no {str(path)!r}. Name the CSV with --data.dataset.manifest FILE, or read the folder itself "
                "with --data.dataset folder."
            )
        rows: dict[str, int] = {}
        records = []
        try:
            with path.open(newline="", encoding="utf-8-sig") as stream:
                reader = csv.DictReader(stream)
                if "file" not in (reader.fieldnames or ()):
                    raise FgvrError(
                        f"{path}, row 1: the columns are {', '.join(reader.fieldnames or ['(none)'])}; "
                        "a column 'file' is needed ('class_name' and 'split' are optional)."
                    )
                for row in reader:
                    record = self._record(row, f"{path}, row {reader.line_num}")
                    if record.sample_id in rows:
                        first = rows[record.sample_id]
                        raise FgvrError(
                            f"{path}, row {reader.line_num}: {record.sample_id!r} is listed in row {first} already; "
                            "a photo may be listed once. Delete one of the two rows."
                        )
                    rows[record.sample_id] = reader.line_num
                    records.append(record)
        except UnicodeDecodeError as error:
            raise FgvrError(
                f"{path} is not UTF-8 text ({error.reason} at byte {error.start}): save it as UTF-8."
            ) from None
        if not records:
            raise FgvrError(f"{path} lists no photos: it has a header and no further row.")
        return sorted(records, key=lambda record: record.sample_id)

    def _record(self, row: dict[str, str | None], place: str) -> ImageRecord:
        file = (row["file"] or "").strip()
        if not file:
            raise FgvrError(f"{place}: the column 'file' is empty; it must name a photo below {str(self.root)!r}.")
        relative = PurePosixPath(file.replace("\\", "/"))
        if relative.is_absolute() or ".." in relative.parts:
            raise FgvrError(
                f"{place}: {file!r} is not below the data set's root; give it relative to {str(self.root)!r}."
            )
        split = split_name(row.get("split") or "support")
        if split is None:
            raise FgvrError(f"{place}: the split is {row['split']!r}; expected support, val or test.")
        true_name = (row.get("class_name") or "").strip() or None
        return ImageRecord(str(relative), self.root / relative, split, true_name=true_name)
