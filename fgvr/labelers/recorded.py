"""Labels from replies that were recorded before: no model, no key, no cost."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, Generic, TypeVar

from fgvr.errors import FgvrError
from fgvr.labelers.base import PAPER_PROMPT, Labeler, LabelRequest, Reply
from fgvr.records import ImageRecord

T = TypeVar("T")


class RecordedLabeler(Labeler):
    """Replays a JSONL file of replies: one JSON object a line, with the photo and the reply as it came.

    A photo is found by its ``sample_id``, else by its file name. The field ``model`` of a line, where there is one, is
    kept as the model; no other field is read. A photo that the file lacks is a failed reply.

    Args:
        path: The JSONL file, relative to the working directory.
        image_key: Field with the photo's ``sample_id`` or file name.
        reply_key: Field with the reply.
        prompt: The prompt that the replies answer; it is part of their key in the label store and is sent to nobody.
        answers: How many answers are wanted for a photo; the file has as many lines for it, in their order.

    Example:
        >>> labeler = RecordedLabeler(Path("replies.jsonl"))
        >>> labeler.answers
        1
    """

    def __init__(
        self,
        path: Path,
        image_key: str = "image",
        reply_key: str = "raw",
        prompt: str = PAPER_PROMPT,
        answers: int = 1,
    ) -> None:
        super().__init__(prompt, answers)
        self.path = path
        self.image_key = image_key
        self.reply_key = reply_key

    def identity(self) -> dict[str, Any]:
        """The file's content and the fields that are read; not its path, so a moved file keeps its stored replies."""
        return {
            "labeler": "recorded",
            "file_sha256": self._file.digest,
            "image_key": self.image_key,
            "reply_key": self.reply_key,
        }

    def check_images(self, images: Sequence[ImageRecord]) -> None:
        """Refuse a file that has none of the photos, and a file name that several photos share."""
        self._replies.check_images(images)

    def ask(self, requests: Sequence[LabelRequest]) -> Iterator[Reply]:
        """Yield the recorded replies in the order of ``requests``."""
        self._replies.refuse_shared_names([request.image for request in requests])
        for request in requests:
            recorded = self._replies.find(request.image)
            if request.sample_index < len(recorded):
                raw, model = recorded[request.sample_index]
                yield Reply(request, raw=raw, model=model)
            else:
                yield Reply(request, error=f"no recorded reply for {request.image.sample_id!r} in {self.path}")

    @cached_property
    def _file(self) -> "TextFile":
        return TextFile.read(self.path, "--data.labeler.path FILE.jsonl")

    @cached_property
    def _replies(self) -> "PhotoTable[tuple[str, str]]":
        table: PhotoTable[tuple[str, str]] = PhotoTable(self.path, self.answers)
        # str.splitlines would also split at U+2028, which may stand inside a JSON string
        for number, line in enumerate(self._file.text.split("\n"), start=1):
            if line.strip():
                photo, raw, model = self._line(line, f"{self.path}, line {number}")
                table.add(photo, number, (raw, model))
        return table

    def _line(self, line: str, place: str) -> tuple[str, str, str]:
        """Photo, reply and model of one line."""
        example = f'{{"{self.image_key}": "a.jpg", "{self.reply_key}": "the reply"}}'
        try:
            fields = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise FgvrError(f"{place}: not JSON ({error}); expected one object a line, such as {example}.") from None
        if not isinstance(fields, dict):
            raise FgvrError(f"{place}: expected an object such as {example}, not {line.strip()[:40]!r}.")
        for key in (self.image_key, self.reply_key):
            if key not in fields:
                raise FgvrError(
                    f"{place}: no key {key!r}; expected {example}. If the keys have other names, "
                    "set --data.labeler.image_key and --data.labeler.reply_key."
                )
            if not isinstance(fields[key], str):
                raise FgvrError(f"{place}: {key!r} is {json.dumps(fields[key])[:40]}; expected text in quotes.")
        model = fields.get("model")
        return fields[self.image_key], fields[self.reply_key], model if isinstance(model, str) else ""


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
    def read(cls, path: Path, option: str) -> "TextFile":
        """Read ``path``; ``option`` is how the command line names such a file, for the message.

        Raises:
            FgvrError: The file is missing, or is not UTF-8.
        """
        if not path.is_file():
            raise FgvrError(f"There is no file {str(path)!r} (seen from {Path.cwd()}): name it with {option}")
        content = path.read_bytes()
        try:
            return cls(content.decode("utf-8-sig"), hashlib.sha256(content).hexdigest())
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            raise FgvrError(f"{path}, line {line}: not UTF-8 text ({error.reason}); save the file as UTF-8.") from None


class PhotoTable(Generic[T]):
    """What a file says of photos, which it names by ``sample_id`` or by file name.

    Args:
        path: The file, for messages.
        entries_a_photo: How many entries a photo may have.
    """

    def __init__(self, path: Path, entries_a_photo: int = 1) -> None:
        self.path = path
        self.entries_a_photo = entries_a_photo
        self._entries: dict[str, list[T]] = {}
        self._lines: dict[str, int] = {}

    def add(self, photo: str, line: int, entry: T) -> None:
        """Add what ``line`` of the file says of ``photo``.

        Raises:
            FgvrError: The line names no photo, or one that has all its entries already.
        """
        if not photo.strip():
            raise FgvrError(f"{self.path}, line {line}: the photo is empty; expected its path or file name.")
        photo = str(PurePosixPath(photo.strip().replace("\\", "/")))
        entries = self._entries.setdefault(photo, [])
        first = self._lines.setdefault(photo, line)
        if len(entries) == self.entries_a_photo:
            raise FgvrError(
                f"{self.path}, line {line}: {photo!r} is named in line {first} already; expected at most "
                f"{self.entries_a_photo} line(s) for a photo. Delete what is too much."
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
                f"None of the {len(images)} photos is in {self.path}: it {example}, and the photos are such as "
                f"{images[0].sample_id!r}. Name the file that belongs to this data set."
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
                    f"{self.path}, line {self._lines[name]}: {name!r} may be {owner.sample_id!r} or "
                    f"{image.sample_id!r}; name photos by their paths there, such as {image.sample_id!r}."
                )

    def _name(self, image: ImageRecord) -> str:
        """The name by which the file knows a photo, if it knows it."""
        return image.sample_id if image.sample_id in self._entries else PurePosixPath(image.sample_id).name
