"""Labels from replies that were recorded before: no model, no key, no cost."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Self

from fgvr.errors import FgvrError
from fgvr.labelers.image_table import ImageTable, TextFile
from fgvr.labelers.tasked import TaskedLabeler
from fgvr.labelers.tasks.base import Task
from fgvr.labelers.tasks.name import NameTask
from fgvr.labelers.tasks.wording import PAPER_PROMPT
from fgvr.photo_paths import PhotoPaths, posix_path
from fgvr.records import ImageRecord, LabelRequest, Reply
from fgvr.text import counted, visible

_LONGEST = 80


class RecordedLabeler(TaskedLabeler):
    """Replays a JSONL file of replies: one JSON object per line, with the photo and the reply as it came.

    A photo is found by its ``sample_id``, else by its file name. A reply about a group of photos has the list of their
    ``sample_id`` instead of the photo, in any order. The field ``model`` of a line, if there is one, is
    kept as the model; no other field is read. A photo or group that the file lacks is a failed reply.

    With ``question_key``, a file has the replies to several questions, and the labeler can be asked any task, as
    ``finer`` asks several. The question of a line is the prompt, word for word, or a short name that does not depend on
    the words of a prompt: ``super_category``, ``attributes``, ``description``, ``attribute: tail shape``, ``guess``; of
    other tasks the name of the task, such as ``choose``. A line about no photo answers a question about a text, or a
    question of all photos. A question that the file lacks is a failed reply that names the question.

    Args:
        path: The JSONL file, relative to the working directory.
        image_key: Field with the photo's ``sample_id`` or file name, or with a group's list.
        reply_key: Field with the reply.
        prompt: The prompt that the replies answer; it is part of their key in the label store and is never sent.
        answers: How many answers are wanted for a photo; the file has as many lines for it, in their order.
        question_key: Field with the question; lines without it answer ``prompt``. Not read if not given.
        task: How replies are read: as those to this task, such as ``guess_names`` for JSON whose keys are names;
            ``name`` if not given. A labeler that asks tasks of its own takes no account of it.

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
        question_key: str | None = None,
        task: Task | None = None,
    ) -> None:
        super().__init__(task or NameTask(), prompt, answers)
        self.path = Path(path)
        self.image_key = image_key
        self.reply_key = reply_key
        self.question_key = question_key
        self._own_prompt = prompt
        self._says_task = task is not None or question_key is not None
        # shared by the copies that are asked other tasks, so that the file is read once
        self._replies = _Replies(self.path, image_key, reply_key, question_key, answers)

    def identity(self) -> dict[str, Any]:
        """The file's content and the fields that are read; not its path, so a moved file keeps its stored replies."""
        identity: dict[str, Any] = {
            "labeler": "recorded",
            "file_sha256": self._replies.file.digest,
            "image_key": self.image_key,
            "reply_key": self.reply_key,
        }
        if self.question_key is not None:
            identity["question_key"] = self.question_key
        if self._says_task:  # stored replies of before are found again
            identity["task"] = self.task.registry_name
            identity |= {"reading": reading} if (reading := self.task.reading()) else {}
        return identity

    def for_task(self, task: Task, prompt: str | None = None) -> Self | None:
        """The replies to another question; ``None`` where the file has no questions."""
        if self.question_key is None:
            return None
        other = copy(self)
        other.task = task
        other.prompt = prompt or task.prompt()
        other.answers = 1
        return other

    def check_images(self, images: Sequence[ImageRecord]) -> None:
        """Refuse a file that has none of the photos, and a file name that several photos share."""
        self._replies.check_images(images)

    def ask(self, requests: Sequence[LabelRequest]) -> Iterator[Reply]:
        """Yield the recorded replies in the order of ``requests``."""
        self._replies.match(requests)
        for request in requests:
            questions = self._questions(request)
            recorded = self._replies.find(request, questions)
            if request.answer < len(recorded):
                yield Reply(request, raw=recorded[request.answer].raw, model=recorded[request.answer].model)
                continue
            others = f" and {len(request.others)} others" if request.others else ""
            asked = f", question {visible(questions[-1], _LONGEST)!r}," if self.question_key is not None else ""
            what = f"{request.image.sample_id!r}{others}{asked}"
            yield Reply(request, error=f"no recorded reply for {what} in {self.path}")

    def _questions(self, request: LabelRequest) -> list[str]:
        """What the question of a request may be called in the file."""
        if self.question_key is None:
            return [""]
        questions = [request.prompt, self.task_about(request.image).topic()]
        return ["", *questions] if request.prompt == self._own_prompt else questions


@dataclass(frozen=True, slots=True)
class _Recorded:
    """A reply of the file; ``question`` is ``""`` where the line has none."""

    raw: str
    model: str
    question: str


class _Replies:
    """The file, read when it is first needed."""

    def __init__(self, path: Path, image_key: str, reply_key: str, question_key: str | None, answers: int) -> None:
        self.path = path
        self.image_key = image_key
        self.reply_key = reply_key
        self.question_key = question_key
        self.answers = answers
        self._grouped: set[str] = set()
        self._groups: Mapping[tuple[str, ...], Sequence[_Recorded]] = {}

    @cached_property
    def file(self) -> TextFile:
        return TextFile.read(self.path, "data.labeler.path")

    def check_images(self, images: Sequence[ImageRecord]) -> None:
        photos, groups, texts = self._tables
        if texts and photos.is_empty and not groups:
            return  # all questions are about texts
        photos.check_images(images)

    def match(self, requests: Sequence[LabelRequest]) -> None:
        """Find out which line is about which photo or group of these requests."""
        self._tables[0].match([request.image for request in requests if not request.others])
        self._groups = self._groups_of([request for request in requests if request.others])

    def find(self, request: LabelRequest, questions: Sequence[str]) -> Sequence[_Recorded]:
        """The replies to the first of these questions that has some, about the photos of a request or about none."""
        photos, _, texts = self._tables
        about = self._groups.get(_group(request), ()) if request.others else photos.find(request.image)
        if self.question_key is None:
            return about
        for question in map(_bare, questions):
            if found := [reply for reply in about if reply.question == question] or texts.get(question, []):
                return found
        return ()

    def _groups_of(self, requests: Sequence[LabelRequest]) -> Mapping[tuple[str, ...], Sequence[_Recorded]]:
        """Replies about groups by the ``sample_id`` of their photos, however the file writes their paths."""
        recorded = self._tables[1]
        self._grouped.update(image.sample_id for request in requests for image in request.images)
        if all(_group(request) in recorded for request in requests):
            return recorded
        paths = PhotoPaths(self._grouped)
        groups: dict[tuple[str, ...], Sequence[_Recorded]] = {}
        for written, replies in recorded.items():
            meant = [paths.find(path) for path in written]
            if all(len(found) == 1 for found in meant):
                groups[_group_of([found[0] for found in meant])] = replies
        return groups | recorded

    @cached_property
    def _tables(
        self,
    ) -> tuple[ImageTable[_Recorded], dict[tuple[str, ...], list[_Recorded]], dict[str, list[_Recorded]]]:
        """Replies about photos, replies about groups of them, and replies about no photo by their question."""
        # str.splitlines would also split at U+2028, which may stand inside a JSON string
        lines = [(number, line) for number, line in enumerate(self.file.text.split("\n"), start=1) if line.strip()]
        many = self.question_key is not None
        images: ImageTable[_Recorded] = ImageTable(self.path, len(lines) if many else self.answers)
        groups: dict[tuple[str, ...], list[_Recorded]] = {}
        texts: dict[str, list[_Recorded]] = {}
        counts: Counter[tuple[Any, str]] = Counter()
        for number, line in lines:
            place = f"{self.path}, line {number}"
            image, recorded = self._line(line, place)
            about = image if image is None or isinstance(image, str) else _group_of(image)
            counts[about, recorded.question] += 1
            if counts[about, recorded.question] > self.answers and (many or not isinstance(image, str)):
                raise FgvrError(f"{place}: {self._surplus(image, recorded.question)} already. Delete the surplus.")
            if image is None:
                texts.setdefault(recorded.question, []).append(recorded)
            elif isinstance(image, str):
                images.add(image, number, recorded)
            else:
                groups.setdefault(_group_of(image), []).append(recorded)
        return images, groups, texts

    def _surplus(self, image: str | list[str] | None, question: str) -> str:
        """Which photo, group or question has more replies than there are answers."""
        has = f"has {counted(self.answers, 'reply', 'replies')}"
        asked = f" to the question {visible(question, _LONGEST)!r}" if self.question_key is not None else ""
        if image is None:
            return f"the question {visible(question, _LONGEST)!r} about no photo {has}"
        what = repr(image) if isinstance(image, str) else f"this group of {counted(len(image), 'photo')}"
        return f"{what} {has}{asked}"

    def _line(self, line: str, place: str) -> tuple[str | list[str] | None, _Recorded]:
        """Photo, group or nothing, and the reply of one line."""
        example = f'{{"{self.image_key}": "a.jpg", "{self.reply_key}": "the reply"}}'
        try:
            fields = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise FgvrError(f"{place}: not JSON ({error}); expected one object per line, such as {example}.") from None
        if not isinstance(fields, dict):
            raise FgvrError(f"{place}: expected an object such as {example}, not {line.strip()[:40]!r}.")
        question = "" if self.question_key is None else fields.get(self.question_key) or ""
        if not isinstance(question, str):
            raise FgvrError(
                f"{place}: {self.question_key!r} is {json.dumps(question)[:40]}; expected the question in quotes."
            )
        of_all = bool(question) and fields.get(self.image_key) is None
        for key in (self.reply_key,) if of_all else (self.image_key, self.reply_key):
            if key not in fields:
                raise FgvrError(
                    f"{place}: no key {key!r}; expected {example}. If the keys have other names, "
                    "set data.labeler.image_key and data.labeler.reply_key."
                )
            several = key == self.image_key and isinstance(fields[key], list) and len(fields[key]) > 1
            if not all(isinstance(text, str) for text in (fields[key] if several else [fields[key]])):
                raise FgvrError(f"{place}: {key!r} is {json.dumps(fields[key])[:40]}; expected text in quotes.")
        model = fields.get("model")
        recorded = _Recorded(fields[self.reply_key], model if isinstance(model, str) else "", _bare(question))
        return fields.get(self.image_key), recorded


def _bare(question: str) -> str:
    return " ".join(question.split()).casefold()


def _group_of(sample_ids: Sequence[str]) -> tuple[str, ...]:
    return tuple(sorted(map(posix_path, sample_ids)))


def _group(request: LabelRequest) -> tuple[str, ...]:
    return _group_of([image.sample_id for image in request.images])
