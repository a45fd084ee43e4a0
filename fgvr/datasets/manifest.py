"""Photos listed in a CSV file."""

import logging
import os
from functools import cached_property
from itertools import pairwise
from pathlib import Path, PurePosixPath

from fgvr.datasets.base import ImageDataset, split_name
from fgvr.datasets.walk import files_below
from fgvr.errors import FgvrError
from fgvr.photo_paths import PhotoPaths, posix_path
from fgvr.records import ImageRecord
from fgvr.tables import Row, Table, read_csv

log = logging.getLogger(__name__)


class ManifestDataset(ImageDataset):
    """Photos listed in a CSV with the column ``file`` and, if known, ``class_name`` and ``split``.

    ``file`` is relative to ``root``, or another path to the same photo, as other programs write them: an absolute one,
    or one of another machine or from another folder that ends like the path of one photo below ``root``. ``split`` is
    ``support`` (or ``train``), ``val`` or ``test``; without the column every photo is a support photo. True names are
    used for evaluation and for drawing m shots per class, and nowhere else; an empty one means unknown. A name with a
    comma stands in quotes.

    Args:
        root: Folder below which the photos are.
        manifest: The CSV file, relative to ``root`` or absolute. Commas, semicolons or tabs stand between its cells.
        encoding: Its encoding, such as ``"cp1252"``, where it is not UTF-8 or UTF-16.
    """

    def __init__(self, root: Path, manifest: Path = Path("manifest.csv"), encoding: str | None = None) -> None:
        super().__init__(root)
        self.manifest = Path(manifest)
        self.encoding = encoding
        self._elsewhere: dict[str, str] = {}

    def records(self) -> list[ImageRecord]:
        """The photos of the CSV, in sorted order."""
        self.require_root()
        path = self.root / self.manifest
        table = read_csv(
            path,
            missing="Set data.dataset.manifest to the CSV, or, to read the folder itself, set data.dataset to folder.",
            encoding=self.encoding,
            option="data.dataset.encoding",
        )
        if "file" not in table.header:
            raise FgvrError(
                f"{path}, row 1: the columns are {', '.join(table.header)}; a column 'file' is needed ('class_name' "
                "and 'split' are optional)."
            )
        if not table.rows:
            raise FgvrError(f"{path} lists no photos: it has a header and no further row.")
        records = [self._record(table, row) for row in table.rows]
        if self._elsewhere:
            written, found = next(iter(self._elsewhere.items()))
            log.info(
                "Paths of %s that are not below %s as they stand were taken for photos whose paths end alike "
                "(%d of %d), such as %r for %r.", path, self.root, len(self._elsewhere), len(records), written, found,
            )  # fmt: skip
        records.sort(key=lambda record: record.sample_id)
        if any(one.sample_id == two.sample_id for one, two in pairwise(records)):
            self._refuse_twice(table)
        return records

    def _refuse_twice(self, table: Table) -> None:
        listed: dict[str, int] = {}
        for row in table.rows:
            sample_id = self._record(table, row).sample_id
            first = listed.setdefault(sample_id, row.number)
            if first != row.number:
                raise FgvrError(
                    f"{table.place(row)}: {sample_id!r} is listed in row {first} already; "
                    "a photo may be listed once. Delete one of the two rows."
                )

    def _record(self, table: Table, row: Row) -> ImageRecord:
        place = table.place(row)
        file = table.line(row, "file")
        if not file:
            raise FgvrError(f"{place}: the column 'file' is empty; it must name a photo below {str(self.root)!r}.")
        path, sample_id = self._photo(file, place)
        split = split_name(row.cells.get("split") or "support")
        if split is None:
            raise FgvrError(f"{place}: the split is {row.cells['split']!r}; expected support, val or test.")
        true_name = table.line(row, "class_name") if "class_name" in table.header else ""
        return ImageRecord(sample_id=sample_id, path=path, split=split, true_name=true_name or None)

    def _photo(self, file: str, place: str) -> tuple[Path, str]:
        """The photo that a cell names, and its path below ``root``."""
        written = posix_path(file)
        # as nearly all cells of nearly all files are; a path keeps what it is asked, so a text is asked
        if not written.startswith("/") and ".." not in written and os.path.isfile(f"{self.root}/{written}"):  # noqa: PTH113
            return self.root / written, file if file == written else written.strip()
        path = self._path(file, place)
        return path, posix_path(str(path.relative_to(self.root)))

    def _path(self, file: str, place: str) -> Path:
        """The photo that a cell means; where there is none, the file that the cell names below ``root``.

        Raises:
            FgvrError: It may be several photos, or is no path below ``root``.
        """
        relative = PurePosixPath(posix_path(file))
        if relative.is_absolute():
            for root in (self.root.absolute(), self.root.resolve()):
                if relative.is_relative_to(posix_path(str(root))):
                    relative = relative.relative_to(posix_path(str(root)))
        below = not relative.is_absolute() and ".." not in relative.parts
        if below and (self.root / relative).is_file():
            return self.root / relative
        found = self._photos.find(str(relative))
        if len(found) > 1:
            raise FgvrError(
                f"{place}: {file!r} may be {found[0]!r} or {found[1]!r}; give it relative to {str(self.root)!r}."
            )
        if found:
            if str(relative) != found[0]:
                self._elsewhere[file] = found[0]
            return self._files[found[0]]
        if not below:
            raise FgvrError(
                f"{place}: {file!r} is not below the data set's root, and no photo there has a path that ends like it; "
                f"give it relative to {str(self.root)!r}."
            )
        return self.root / relative

    @cached_property
    def _files(self) -> dict[str, Path]:
        """All files below the root, by their paths there."""
        return {posix_path(str(path.relative_to(self.root))): path for path in files_below(self.root)}

    @cached_property
    def _photos(self) -> PhotoPaths:
        return PhotoPaths(self._files)
