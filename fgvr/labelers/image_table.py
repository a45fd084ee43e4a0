"""Files that say something about each photo, and which photo of a data set each entry is about."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Generic, TypeVar

from fgvr.errors import FgvrError
from fgvr.records import ImageRecord
from fgvr.tables import decode_utf8, posix_path

T = TypeVar("T")


@dataclass(frozen=True)
class TextFile:
    """A UTF-8 file, with or without a byte order mark.

    Attributes:
        text: What it says.
        digest: SHA-256 of its bytes, in hex.
    """

    text: str
    digest: str

    @classmethod
    def read(cls, path: Path, key: str) -> "TextFile":
        """Read ``path``; ``key`` is the one that names such a file, for the message.

        Raises:
            FgvrError: The file is missing, or is not UTF-8.
        """
        if not path.is_file():
            raise FgvrError(f"There is no file {str(path)!r} (seen from {Path.cwd()}): set {key} to the file")
        content = path.read_bytes()
        return cls(decode_utf8(content, path), hashlib.sha256(content).hexdigest())


class ImageTable(Generic[T]):
    """What a file says about photos, which it names by ``sample_id`` or by file name.

    Args:
        path: The file, for messages.
        entries_per_image: How many entries a photo may have.
        unit: What the file's numbers count, for messages: ``"line"``, or ``"row"`` for a table.
    """

    def __init__(self, path: Path, entries_per_image: int = 1, unit: str = "line") -> None:
        self.path = path
        self.entries_per_image = entries_per_image
        self.unit = unit
        self._entries: dict[str, list[T]] = {}
        self._numbers: dict[str, int] = {}

    def add(self, image: str, number: int, entry: T) -> None:
        """Add what line or row ``number`` of the file says about ``image``.

        Raises:
            FgvrError: It names no photo, or one that has all its entries already.
        """
        if not image.strip():
            raise FgvrError(f"{self.path}, {self.unit} {number}: the photo is empty; expected its path or file name.")
        image = posix_path(image)
        entries = self._entries.setdefault(image, [])
        first = self._numbers.setdefault(image, number)
        if len(entries) == self.entries_per_image:
            raise FgvrError(
                f"{self.path}, {self.unit} {number}: {image!r} is named in {self.unit} {first} already; expected at "
                f"most {self.entries_per_image} {self.unit}(s) per photo. Delete the surplus."
            )
        entries.append(entry)

    def find(self, image: ImageRecord) -> list[T]:
        """The entries of a photo; empty where the file has none."""
        return self._entries.get(self._name(image), [])

    def check_images(self, images: Sequence[ImageRecord]) -> None:
        """Check that the file is about these photos.

        Raises:
            FgvrError: None of them is in it, or it names two of them by one name.
        """
        self.refuse_shared_names(images)
        if images and not any(self.find(image) for image in images):
            example = (
                f"names photos such as {next(iter(self._entries))!r}" if self._entries else "names no photo at all"
            )
            raise FgvrError(
                f"None of the {len(images)} photos is in {self.path}: it {example}, but the data set has "
                f"photos such as {images[0].sample_id!r}. Name the file that belongs to this data set."
            )

    def refuse_shared_names(self, images: Sequence[ImageRecord]) -> None:
        """Check that each entry is about one photo; copies of it, which have its digest, count as one.

        Raises:
            FgvrError: The file names two photos by one name.
        """
        owners: dict[str, ImageRecord] = {}
        for image in images:
            name = self._name(image)
            owner = owners.setdefault(name, image)
            if name in self._entries and owner.digest != image.digest:
                raise FgvrError(
                    f"{self.path}, {self.unit} {self._numbers[name]}: {name!r} may be {owner.sample_id!r} or "
                    f"{image.sample_id!r}; name photos by their paths there, such as {image.sample_id!r}."
                )

    def _name(self, image: ImageRecord) -> str:
        """The name by which the file knows a photo, if it knows it."""
        return image.sample_id if image.sample_id in self._entries else PurePosixPath(image.sample_id).name
