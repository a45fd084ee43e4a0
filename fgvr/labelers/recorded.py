"""Labels from replies that were recorded before: no model, no key, no cost."""

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from fgvr.errors import FgvrError
from fgvr.labelers.base import Labeler
from fgvr.labelers.image_table import ImageTable, TextFile
from fgvr.labelers.tasks.wording import PAPER_PROMPT
from fgvr.photo_paths import PhotoPaths, posix_path
from fgvr.records import ImageRecord, LabelRequest, Reply
from fgvr.text import counted


class RecordedLabeler(Labeler):
    """Replays a JSONL file of replies: one JSON object per line, with the photo and the reply as it came.

    A photo is found by its ``sample_id``, else by its file name. A reply about a group of photos has the list of their
    ``sample_id`` instead of the photo, in any order. The field ``model`` of a line, if there is one, is
    kept as the model; no other field is read. A photo or group that the file lacks is a failed reply.

    Args:
        path: The JSONL file, relative to the working directory.
        image_key: Field with the photo's ``sample_id`` or file name, or with a group's list.
        reply_key: Field with the reply.
        prompt: The prompt that the replies answer; it is part of their key in the label store and is never sent.
        answers: How many answers are wanted for a photo; the file has as many lines for it, in their order.

    Example:
        >>> labeler = RecordedLabeler(Path("replies.jsonl"))
        >>> labeler.answers
        1
    """

    of_groups: ClassVar[bool] = True

    def __init__(
        self,
        path: Path,
        image_key: str = "image",
        reply_key: str = "raw",
        prompt: str = PAPER_PROMPT,
        answers: int = 1,
    ) -> None:
        super().__init__(prompt, answers)
        self.path = Path(path)
        self.image_key = image_key
        self.reply_key = reply_key
        self._grouped: set[str] = set()

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
        self._replies.match([request.image for request in requests if not request.others])
        groups = self._groups_of([request for request in requests if request.others])
        for request in requests:
            recorded = groups.get(_group(request), []) if request.others else self._replies.find(request.image)
            if request.answer < len(recorded):
                raw, model = recorded[request.answer]
                yield Reply(request, raw=raw, model=model)
            else:
                others = f" and {len(request.others)} others" if request.others else ""
                what = f"{request.image.sample_id!r}{others}"
                yield Reply(request, error=f"no recorded reply for {what} in {self.path}")

    @cached_property
    def _file(self) -> TextFile:
        return TextFile.read(self.path, "data.labeler.path")

    @property
    def _replies(self) -> ImageTable[tuple[str, str]]:
        return self._tables[0]

    def _groups_of(self, requests: Sequence[LabelRequest]) -> Mapping[tuple[str, ...], Sequence[tuple[str, str]]]:
        """Replies about groups by the ``sample_id`` of their photos, however the file writes their paths."""
        recorded = self._tables[1]
        self._grouped.update(image.sample_id for request in requests for image in request.images)
        if all(_group(request) in recorded for request in requests):
            return recorded
        paths = PhotoPaths(self._grouped)
        groups: dict[tuple[str, ...], Sequence[tuple[str, str]]] = {}
        for written, replies in recorded.items():
            meant = [paths.find(path) for path in written]
            if all(len(found) == 1 for found in meant):
                groups[_group_of([found[0] for found in meant])] = replies
        return groups | recorded

    @cached_property
    def _tables(self) -> tuple[ImageTable[tuple[str, str]], dict[tuple[str, ...], list[tuple[str, str]]]]:
        """Replies about photos, and replies about groups of them."""
        images: ImageTable[tuple[str, str]] = ImageTable(self.path, self.answers)
        groups: dict[tuple[str, ...], list[tuple[str, str]]] = {}
        # str.splitlines would also split at U+2028, which may stand inside a JSON string
        for number, line in enumerate(self._file.text.split("\n"), start=1):
            if line.strip():
                place = f"{self.path}, line {number}"
                image, raw, model = self._line(line, place)
                if isinstance(image, str):
                    images.add(image, number, (raw, model))
                    continue
                recorded = groups.setdefault(_group_of(image), [])
                if len(recorded) == self.answers:
                    raise FgvrError(
                        f"{place}: this group of {counted(len(image), 'photo')} has "
                        f"{counted(self.answers, 'reply', 'replies')} already. Delete the surplus."
                    )
                recorded.append((raw, model))
        return images, groups

    def _line(self, line: str, place: str) -> tuple[str | list[str], str, str]:
        """Photo or group, reply and model of one line."""
        example = f'{{"{self.image_key}": "a.jpg", "{self.reply_key}": "the reply"}}'
        try:
            fields = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise FgvrError(f"{place}: not JSON ({error}); expected one object per line, such as {example}.") from None
        if not isinstance(fields, dict):
            raise FgvrError(f"{place}: expected an object such as {example}, not {line.strip()[:40]!r}.")
        for key in (self.image_key, self.reply_key):
            if key not in fields:
                raise FgvrError(
                    f"{place}: no key {key!r}; expected {example}. If the keys have other names, "
                    "set data.labeler.image_key and data.labeler.reply_key."
                )
            several = key == self.image_key and isinstance(fields[key], list) and len(fields[key]) > 1
            if not all(isinstance(text, str) for text in (fields[key] if several else [fields[key]])):
                raise FgvrError(f"{place}: {key!r} is {json.dumps(fields[key])[:40]}; expected text in quotes.")
        model = fields.get("model")
        return fields[self.image_key], fields[self.reply_key], model if isinstance(model, str) else ""


def _group_of(sample_ids: Sequence[str]) -> tuple[str, ...]:
    return tuple(sorted(map(posix_path, sample_ids)))


def _group(request: LabelRequest) -> tuple[str, ...]:
    return _group_of([image.sample_id for image in request.images])
