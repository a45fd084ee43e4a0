"""What tells the classes of a super-category apart, asked of a model that is shown no photo."""

from typing import Any, ClassVar

from fgvr.errors import FgvrError
from fgvr.labelers.tasks.base import Task
from fgvr.labelers.tasks.lists import read_list
from fgvr.labelers.tasks.reading import object_schema
from fgvr.labelers.tasks.wording import phrase
from fgvr.reading.replies import ParsedReply, parse_reply

_EXAMPLE = (
    '["bill shape", "bill length", "crown color", "eye ring", "throat color", "breast pattern", "wing bars", '
    '"back color", "tail shape", "leg color", "body size", "habitat"]'
)
_MOST = 100


class AttributesTask(Task):
    """Asks which attributes tell the classes of a super-category apart; the labeler ``finer`` asks it, once.

    FineR (arXiv 2401.13837) asks GPT-3.5 for a Python list, after an example about birds with 29 attributes. These
    words are others, and so is the example.

    Args:
        category: The super-category, in the singular, such as ``bird``.
        unit: What its classes are, such as ``species``.
        most: How many attributes count, from 1 to 100: the first ones.

    Raises:
        FgvrError: ``category`` or ``unit`` is blank, or ``most`` is out of range.
    """

    registry_name: ClassVar[str] = "attributes"
    names_classes: ClassVar[bool] = False
    shows_photos: ClassVar[bool] = False
    max_output_tokens: ClassVar[int] = 600

    def __init__(self, category: str = "object", unit: str = "species", most: int = 30) -> None:
        if not 1 <= most <= _MOST:
            raise FgvrError(f"data.labeler.task.most is {most}; expected 1 to {_MOST} attributes.")
        self.category = phrase(category, "category")
        self.unit = phrase(unit, "unit")
        self.most = most

    def prompt(self, hint: str | None = None) -> str:
        """The question; a hint is not said."""
        return (
            "Which attributes that can be seen in a photo tell classes of one kind apart? For bird species they are "
            f"these, for example:\n{_EXAMPLE}\nName such attributes for this kind: {self.category}. By them one "
            f"{self.unit} of {self.category} is told from another in a photo. Give short phrases, {self.most} at most, "
            'those that help most first. Reply with this JSON object and nothing else: {"attributes": ["...", "..."]}'
        )

    def reading(self) -> dict[str, Any]:
        """How many attributes count."""
        return {"most": self.most}

    def schema(self) -> dict[str, Any] | None:
        """The list."""
        return object_schema({"attributes": {"type": "array", "items": {"type": "string"}}})

    def read(self, raw: str) -> ParsedReply:
        """The first attributes of the list, as names; a single one is no list."""
        found = tuple(read_list(raw)[: self.most])
        if len(found) > 1 or (found and self.most == 1):
            return ParsedReply(found, (None,) * len(found), "")
        flag = parse_reply(raw).flag
        return ParsedReply((), (), flag if flag in ("empty", "refusal", "error") else "unparsed")
