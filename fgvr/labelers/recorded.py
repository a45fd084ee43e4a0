"""Labels from replies that were recorded before: no model, no key, no cost."""

import json
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from fgvr.errors import FgvrError
from fgvr.labelers.base import PAPER_PROMPT, Labeler, LabelRequest, Reply
from fgvr.labelers.photo_table import PhotoTable, TextFile
from fgvr.records import ImageRecord


class RecordedLabeler(Labeler):
    """Replays a JSONL file of replies: one JSON object per line, with the photo and the reply as it came.

    A photo is found by its ``sample_id``, else by its file name. The field ``model`` of a line, if there is one, is
    kept as the model; no other field is read. A photo that the file lacks is a failed reply.

    Args:
        path: The JSONL file, relative to the working directory.
        image_key: Field with the photo's ``sample_id`` or file name.
        reply_key: Field with the reply.
        prompt: The prompt that the replies answer; it is part of their key in the label store and is never sent.
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
    def _file(self) -> TextFile:
        return TextFile.read(self.path, "--data.labeler.path FILE.jsonl")

    @cached_property
    def _replies(self) -> PhotoTable[tuple[str, str]]:
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
            raise FgvrError(f"{place}: not JSON ({error}); expected one object per line, such as {example}.") from None
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
