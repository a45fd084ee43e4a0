"""A question about one photo or several, each of which is answered by itself: what a protocol of `judging` asks."""

from copy import copy
from typing import Any, ClassVar

from fgvr.errors import FgvrError
from fgvr.labelers.tasks.base import Task
from fgvr.labelers.tasks.reading import object_schema, one_line, read_object
from fgvr.reading.replies import ParsedReply
from fgvr.text import counted

_TOKENS, _TOKENS_PER_PHOTO = 300, 30
_LONGEST = 1_000


class JudgeTask(Task):
    """Asks which class each of several photos shows, in one request: the protocols of arXiv 2603.06578 (section 3).

    The photos are shown one by one, in the order of the request. About several, the reply is a JSON object with the
    keys "1", "2", ...; about one, it is the answer alone.

    Args:
        question: What is asked of each photo; a protocol asks in its own words.
        photos: How many photos a request shows.
        structured: ``true`` has the server hold to the form of a reply about several photos, ``false`` only asks for
            it. If not given, a schema is sent unless the server is known to honour none.

    Raises:
        FgvrError: ``photos`` is below 1.
    """

    registry_name: ClassVar[str] = "judge"
    names_classes: ClassVar[bool] = False
    of_groups: ClassVar[bool] = True

    def __init__(
        self,
        question: str = "What is the most specific name of the main object?",
        photos: int = 1,
        structured: bool | None = None,
    ) -> None:
        if photos < 1:
            raise FgvrError(f"data.labeler.task.photos is {photos}; expected 1 or more.")
        self.question = question
        self.photos = photos
        self.structured = structured
        self.max_output_tokens = _TOKENS + _TOKENS_PER_PHOTO * (photos - 1)  # type: ignore[misc]
        self._has_schema = bool(structured)

    def prompt(self, hint: str | None = None) -> str:
        """The question, and the form of the reply; a hint is not said."""
        if self.photos == 1:
            return f"{self.question}\n\nReply with the answer alone."
        return (
            f"There are {counted(self.photos, 'photo')}, numbered 1 to {self.photos} in the order in which they are "
            f"shown. Answer for each of them by itself.\n\n{self.question}\n\nReply with a JSON object alone: its "
            f'keys are "1" to "{self.photos}", and the value of each is the answer for the photo of that number, as a '
            "text."
        )

    def reading(self) -> dict[str, Any]:
        """How many photos there are."""
        return {"photos": self.photos}

    def schema(self) -> dict[str, Any] | None:
        """Of a reply about several photos; ``None`` for one."""
        if self.photos == 1 or not self._has_schema:
            return None
        return object_schema({key: {"type": "string"} for key in self._keys})

    def on_server(self, honours_schemas: bool) -> "JudgeTask":
        """See the base class."""
        if self.structured is not None:
            return self
        other = copy(self)
        other._has_schema = honours_schemas
        return other

    def answers(self, raw: str) -> tuple[str, ...]:
        """The answer for each photo, in one line; ``""`` where the reply has none.

        A reply about several photos that numbers more than there are is not trusted about any of them. Of one photo,
        what is no JSON is the answer as it stands.

        Args:
            raw: The reply as it came.
        """
        stated = read_object(raw)
        if stated is not None and len(stated) == 1 and isinstance(inner := next(iter(stated.values())), dict):
            stated = inner
        if self.photos == 1:
            texts = [] if stated is None else [value for value in stated.values() if isinstance(value, str)]
            return (_answer(texts[0] if len(texts) == 1 else raw),)
        if stated is None or any(key.isdecimal() and key not in self._keys for key in stated):
            return ("",) * self.photos
        return tuple(_answer(stated.get(key)) for key in self._keys)

    def read(self, raw: str) -> ParsedReply:
        """The answers that there are, in the order of the photos."""
        found = tuple(answer for answer in self.answers(raw) if answer)
        flag = "" if found else "unparsed" if raw.strip() else "empty"
        return ParsedReply(found, (None,) * len(found), flag)

    @property
    def _keys(self) -> tuple[str, ...]:
        return tuple(str(number) for number in range(1, self.photos + 1))


def _answer(value: object) -> str:
    return one_line(value)[:_LONGEST].strip() if isinstance(value, str) else ""
