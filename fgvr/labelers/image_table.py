"""Files that say something about each photo, and which photo of a data set each entry is about."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from fgvr.errors import FgvrError
from fgvr.photo_paths import PhotoPaths, posix_path, shared_ending
from fgvr.records import ImageRecord
from fgvr.tables import decode_text
from fgvr.text import none_of

T = TypeVar("T")


@dataclass(frozen=True)
class TextFile:
    """A text file.

    Attributes:
        text: What it says.
        digest: SHA-256 of its bytes, in hex.
    """

    text: str
    digest: str

    @classmethod
    def read(cls, path: Path, key: str, encoding: str | None = None, option: str = "") -> "TextFile":
        """Read ``path``; ``key`` is the one that names such a file, for the message, and ``option`` its encoding.

        Raises:
            FgvrError: The file is missing, or is not text of this encoding; see :func:`fgvr.tables.decode_text`.
        """
        if not path.is_file():
            raise FgvrError(f"There is no file {str(path)!r} (seen from {Path.cwd()}): set {key} to the file")
        content = path.read_bytes()
        return cls(decode_text(content, path, encoding, option), hashlib.sha256(content).hexdigest())


class ImageTable(Generic[T]):
    """What a file says about photos, which it names by ``sample_id``, by file name, or by another path to them.

    Which photo a path means depends on what photos there are; see :class:`fgvr.photo_paths.PhotoPaths`.

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
        self._images: dict[str, ImageRecord] = {}
        self._owners: dict[str, str] = {}
        self._paths = PhotoPaths(())

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

    @property
    def is_empty(self) -> bool:
        """Whether the file says nothing about any photo."""
        return not self._entries

    def find(self, image: ImageRecord) -> list[T]:
        """The entries of a photo, which :meth:`match` has seen; empty where the file has none."""
        return self._entries.get(self._owners.get(image.sample_id, ""), [])

    def check_images(self, images: Sequence[ImageRecord]) -> None:
        """Check that the file is about these photos.

        Raises:
            FgvrError: None of them is in it, or it names two of them by one path, or one of them by two.
        """
        self.match(images)
        if images and not any(self.find(image) for image in images):
            example = (
                f"names photos such as {next(iter(self._entries))!r}" if self._entries else "names no photo at all"
            )
            splits = {image.split for image in images}
            # a file may have the support photos of this data set, and the labeler be asked about the evaluated ones
            photos = f"{splits.pop()} photo" if len(splits) == 1 else "photo"
            raise FgvrError(
                f"{none_of(len(images), photos)} is in {self.path}: it {example}, but the data set has "
                f"{photos}s such as {images[0].sample_id!r}. Name a file that has the {photos}s of this data set."
            )

    def match(self, images: Sequence[ImageRecord]) -> PhotoPaths:
        """Find out which entry is about which of these photos, and of those of earlier calls.

        Returns:
            All these photos, for other paths.

        Raises:
            FgvrError: The file names two photos by one path (copies, which have one digest, count as one photo), or
                one photo by two paths.
        """
        images_by_id = self._images | {image.sample_id: image for image in images}
        if len(images_by_id) == len(self._images):
            return self._paths
        paths = PhotoPaths(images_by_id)
        owners = {sample_id: sample_id for sample_id in images_by_id if sample_id in self._entries}
        for written in self._entries:
            if written in images_by_id:
                continue
            found = [images_by_id[each] for each in paths.find(written) if each not in self._entries]
            means = [image for image in found if not _is_another(written, image)]
            if len({image.digest for image in means}) > 1:
                raise FgvrError(
                    f"{self._place(written)}: {written!r} may be {means[0].sample_id!r} or {means[1].sample_id!r}; "
                    f"name photos by their paths there, such as {means[0].sample_id!r}."
                )
            for image in means:
                owners[image.sample_id] = self._nearer(image, owners.get(image.sample_id, written), written)
        self._images, self._owners, self._paths = images_by_id, owners, paths
        return paths

    def _nearer(self, image: ImageRecord, first: str, written: str) -> str:
        """Which of two paths that end in a photo's is the photo's: the one with more of where the file is."""
        if first == written:
            return written
        there = posix_path(str(image.path.absolute()))
        alike = [shared_ending(there, path) for path in (first, written)]
        if alike[0] == alike[1]:
            raise FgvrError(
                f"{self._place(written)}: {written!r} may be {image.sample_id!r}, and so may {first!r} of {self.unit} "
                f"{self._numbers[first]}. Delete one of the two, or name the photo by its path: {image.sample_id!r}."
            )
        return first if alike[0] > alike[1] else written

    def _place(self, written: str) -> str:
        return f"{self.path}, {self.unit} {self._numbers[written]}"


def _is_another(written: str, image: ImageRecord) -> bool:
    """Whether a path that is longer than a photo's is that of another file below the data set's folder."""
    if written.startswith("/") or not written.endswith(f"/{image.sample_id}"):
        return False
    depth = image.sample_id.count("/")
    return image.path.parents[depth].joinpath(written).is_file()
