"""The contract of a task: what a model is asked about photos, and how its reply is read."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from PIL import Image

from fgvr.errors import FgvrError
from fgvr.reading.replies import ParsedReply


class Task(ABC):
    """One kind of question.

    The prompt and the schema are part of what a reply depends on, so a changed task asks anew.
    """

    registry_name: ClassVar[str]
    """The task's name in the label store."""

    names_classes: ClassVar[bool] = True
    """Whether replies are class names, which a vocabulary can be made of."""

    of_groups: ClassVar[bool] = False
    """Whether it is about several photos at once."""

    shows_photos: ClassVar[bool] = True
    """Whether photos are shown; else it is about a text alone. Labelers that are made of others ask such tasks."""

    max_output_tokens: ClassVar[int] = 300
    """More than a useful reply has: what a server may bill at most, unless the labeler is given another number."""

    typical_output_tokens: ClassVar[int] = 60
    """What a usual reply has, for the expected cost. Of those with a name, the median is less, and JSON is more."""

    @abstractmethod
    def prompt(self, hint: str | None = None) -> str:
        """What is asked.

        Args:
            hint: What is known of the photo, such as a pseudo-label, for tasks that say it to the model.
        """

    def topic(self) -> str:
        """What is asked, in a word or a few that stay when the prompt is worded anew.

        It is not sent: files of recorded replies may name their question by it.
        """
        return self.registry_name

    def reading(self) -> dict[str, Any]:
        """What the reading of replies depends on, beside prompt and schema, as JSON values; kept with every reply."""
        return {}

    def schema(self) -> dict[str, Any] | None:
        """JSON schema of the wanted reply, for servers that honour one; ``None`` asks for plain text."""
        return None

    def on_server(self, honours_schemas: bool) -> "Task":
        """The task as a server is asked that honours schemas or does not; itself where it leaves that open to nobody.

        Args:
            honours_schemas: Whether it does.
        """
        return self

    def compose(self, images: Sequence[Image.Image]) -> list[Image.Image]:
        """The pictures that are shown for the photos of one request: each photo by itself, unless overridden."""
        return list(images)

    def with_classes(self, names: Callable[[], Sequence[str]]) -> "Task":
        """The task of a run whose class names are known before anybody is asked; itself, unless it lacks them.

        Args:
            names: Gives the names; they may have to be read from the data set first.
        """
        return self

    @classmethod
    def of_stored(cls, prompt: str, schema: Mapping[str, Any] | None, reading: Mapping[str, Any]) -> "Task | None":
        """The task that a stored reply was asked with, as far as reading it goes: by those who have no labeler at hand.

        Args:
            prompt: What was asked.
            schema: The schema that went with it.
            reading: What ``reading`` said.

        Returns:
            ``None`` where that cannot be told. Unless overridden, what the constructor makes of ``reading``.
        """
        try:
            return cls(**reading)
        except (TypeError, FgvrError):
            return None

    @abstractmethod
    def read(self, raw: str) -> ParsedReply:
        """The class names that a reply holds; for descriptions, the text itself as the only name."""
