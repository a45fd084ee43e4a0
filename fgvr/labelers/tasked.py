"""Labelers that are asked a task: one for all photos, or one of its own for each."""

import hashlib
from collections.abc import Mapping
from copy import copy
from dataclasses import replace
from typing import Self

from fgvr.labelers.base import Labeler
from fgvr.labelers.tasks.base import Task
from fgvr.reading.replies import ParsedReply
from fgvr.records import ImageRecord, LabelRequest, Reply


class TaskedLabeler(Labeler):
    """A labeler that is asked a task, which says how its replies are read.

    Args:
        task: What is asked.
        prompt: Other words than the task's own.
        answers: How many answers are wanted for a photo.

    Raises:
        FgvrError: ``answers`` is below 1.
    """

    def __init__(self, task: Task, prompt: str | None = None, answers: int = 1) -> None:
        self.task = task
        self._tasks: Mapping[str, Task] = {}
        self._other: Task | None = None
        super().__init__(prompt or task.prompt(), answers)

    def for_each(self, tasks: Mapping[str, Task], other: Task | None = None) -> Self:
        """The same labeler with a task of its own for each photo.

        Of tasks that are about a text, equal prompts are one request, whichever photos they belong to.

        Args:
            tasks: ``sample_id`` -> a task like ``task``, with the same schema.
            other: The task of a photo that is not in ``tasks``, because what is to be asked about it is not known yet;
                ``task`` if not given, which then is a request for each of these photos.
        """
        labeler = copy(self)
        labeler._tasks = tasks
        labeler._other = other
        return labeler

    def request_about(self, image: ImageRecord, answer: int = 0) -> LabelRequest:
        """See the base class; what the photo's own task asks, where it has one."""
        task = self._tasks.get(image.sample_id, self._other)
        if task is None:
            return super().request_about(image, answer)
        prompt = task.prompt()
        if not task.shows_photos:
            digest = hashlib.sha256(prompt.encode(errors="replace")).hexdigest()
            image = replace(image, digest=digest)
        return LabelRequest(image, prompt, answer)

    def task_about(self, image: ImageRecord) -> Task:
        """The task that is asked about a photo."""
        return self._tasks.get(image.sample_id, self._other or self.task)

    def read(self, reply: Reply) -> ParsedReply:
        """As the task reads it."""
        if reply.names is not None or (reply.usage and reply.usage.get("blocked")):
            return super().read(reply)
        return self.task_about(reply.request.image).read(reply.raw)
