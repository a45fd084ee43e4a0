"""Labelers that show photos to a model: what remote and local ones have in common."""

import re
from collections.abc import Callable, Sequence
from copy import copy
from typing import Any, ClassVar, Self

from fgvr.errors import FgvrError
from fgvr.labelers.tasked import TaskedLabeler
from fgvr.labelers.tasks.base import Task
from fgvr.labelers.tasks.name import NameTask
from fgvr.labelers.tasks.pictures import PictureOptions

# an object whose first value is a name, and complete: what follows may be missing
_NAMED = re.compile(
    r'\s*(?:```\w*\s*)?\{\s*"\w*(?:name|label|class|category|breed|species)"\s*:\s*"(?:[^"\\]|\\.)+"\s*[,}]',
    re.IGNORECASE,
)


class ModelLabeler(TaskedLabeler):
    """A labeler that asks a model to do a task.

    Args:
        model: Model id.
        task: What is asked; ``name`` with the FGVR paper's prompt if not given.
        prompt: Other words than the task's own.
        answers: How many answers are wanted for a photo.
        pictures: How photos are made smaller, and encoded where they are sent.
        max_output_tokens: Longest reply; the task's own number if not given.

    Raises:
        FgvrError: ``answers`` is below 1, or the task is about texts.
    """

    of_groups: ClassVar[bool] = True

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
        task = task or NameTask()
        if not task.shows_photos:
            raise FgvrError(
                f"data.labeler.task is {task.registry_name!r}, which shows no photo; expected a task about "
                "photos, such as name. `fgvr show task` says which labeler asks this one."
            )
        super().__init__(task, prompt, answers)
        self.pictures = pictures or PictureOptions()
        self.max_output_tokens = max_output_tokens or self.task.max_output_tokens
        self._length_is_given = max_output_tokens is not None

    def identity(self) -> dict[str, Any]:
        """Model, task with its schema, pictures and length of the reply; subclasses add provider and sampling."""
        return {
            "model": self.model,
            "task": self.task.registry_name,
            "schema": self.task.schema(),
            **({"reading": reading} if (reading := self.task.reading()) else {}),
            **({"pictures": self.pictures.identity()} if self.task.shows_photos else {}),
            "max_output_tokens": self.max_output_tokens,
        }

    def other_identities(self) -> Sequence[dict[str, Any]]:
        """With a schema and without one, where the task leaves that open."""
        schemas = [self.task.on_server(honours).schema() for honours in (True, False)]
        return [{**self.identity(), "schema": schema} for schema in schemas if schema != self.task.schema()]

    def for_task(self, task: Task, prompt: str | None = None) -> Self | None:
        """The same model and settings with another task; what was loaded or connected stays with this one."""
        if not (task.shows_photos or self.of_texts):
            return None
        other = copy(self)
        other.task = self._as_asked(task)
        other.prompt = prompt or task.prompt()
        other.answers = 1
        if not self._length_is_given:
            other.max_output_tokens += task.max_output_tokens - self.task.max_output_tokens
        return other

    def with_classes(self, names: Callable[[], Sequence[str]]) -> Self:
        """See the base class; a prompt of the user's own words stays."""
        task = self.task.with_classes(names)
        if task is self.task:
            return self
        other = copy(self)
        other.task = task
        if self.prompt == self.task.prompt():
            other.prompt = task.prompt()
        return other

    def _as_asked(self, task: Task) -> Task:
        """The task as the model is asked; in a subclass, where it is known what the server honours."""
        return task

    def cut_off(self, raw: str) -> str:
        """Why a reply that ended at its longest is a failure; ``""`` where it is JSON that has its name complete.

        The last word may be half a name, and nothing tells which one is.
        """
        if self.task.names_classes and _NAMED.match(raw):
            return ""
        longest = f"data.labeler.max_output_tokens, which is {self.max_output_tokens}"
        return f"The reply was cut off before its end: raise {longest}."
