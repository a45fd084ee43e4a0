"""Labelers that show photos to a model: what remote and local ones have in common."""

from typing import Any

from fgvr.labelers.base import Labeler, Reply
from fgvr.labelers.pictures import PictureOptions
from fgvr.labelers.reading.replies import ParsedReply
from fgvr.labelers.tasks.base import Task
from fgvr.labelers.tasks.name import NameTask


class ModelLabeler(Labeler):
    """A labeler that asks a model to do a task.

    Args:
        model: Model id.
        task: What is asked; ``name`` with the FGVR paper's prompt if not given.
        prompt: Other words than the task's own.
        answers: How many answers are wanted for a photo.
        pictures: How photos are re-encoded.
        max_output_tokens: Longest reply; the task's own number if not given.

    Raises:
        FgvrError: ``answers`` is below 1.
    """

    def __init__(
        self,
        model: str,
        task: Task | None = None,
        prompt: str | None = None,
        answers: int = 1,
        pictures: PictureOptions | None = None,
        max_output_tokens: int | None = None,
    ) -> None:
        self.model = model
        self.task = task or NameTask()
        super().__init__(prompt or self.task.prompt(), answers)
        self.pictures = pictures or PictureOptions()
        self.max_output_tokens = max_output_tokens or self.task.max_output_tokens

    def identity(self) -> dict[str, Any]:
        """Model, task with its schema, pictures and length of the reply; subclasses add provider and sampling."""
        return {
            "model": self.model,
            "task": self.task.registry_name,
            "schema": self.task.schema(),
            **({"reading": reading} if (reading := self.task.reading()) else {}),
            "pictures": self.pictures.identity(),
            "max_output_tokens": self.max_output_tokens,
        }

    def read(self, reply: Reply) -> ParsedReply:
        """As the task reads it."""
        if reply.names is not None or (reply.usage and reply.usage.get("blocked")):
            return super().read(reply)
        return self.task.read(reply.raw)
