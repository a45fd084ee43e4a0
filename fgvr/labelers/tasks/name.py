"""One class name a photo: the FGVR paper's question, or an expert's."""

from collections.abc import Mapping
from copy import copy
from typing import Any, ClassVar, Literal

from fgvr.errors import FgvrError
from fgvr.labelers.tasks.base import Task
from fgvr.labelers.tasks.reading import has_object, object_schema
from fgvr.labelers.tasks.wording import PAPER_PROMPT, expert_question
from fgvr.reading.replies import ParsedReply, parse_reply


class NameTask(Task):
    """Asks for the class of a photo.

    Args:
        style: ``paper`` asks with the FGVR paper's prompt, word for word; ``expert`` names the super-category, which
            FiNDR (arXiv 2512.18897) found to be worth 5 points of cACC and 9 of sACC. The command
            ``fgvr discover`` finds category and unit.
        category: What all photos show, in the singular, such as ``bird``. Said by ``expert`` alone, which needs it.
        unit: What tells the classes apart, such as ``species`` or ``make, model and year``, for ``expert``.
        structured: ``true`` has the server reply with JSON: common name, scientific name, alternatives and confidence.
            Alternatives stay out of the vocabulary. ``false`` asks for text: the paper to the letter. If not given, the
            plain question is asked and a schema sent beside it, unless the server is known to honour none; of one that
            does not, the text is read.

    Raises:
        FgvrError: ``style`` is unknown, or is ``expert`` and there is no ``category``.
    """

    registry_name: ClassVar[str] = "name"

    def __init__(
        self,
        style: Literal["paper", "expert"] = "paper",
        category: str | None = None,
        unit: str | None = None,
        structured: bool | None = None,
    ) -> None:
        if style not in ("paper", "expert"):
            raise FgvrError(f"data.labeler.task.style is {style!r}; expected 'paper' or 'expert'.")
        if style == "expert":
            expert_question(category, unit)  # complains where something is missing
        self.style = style
        self.category = category
        self.unit = unit
        self.structured = structured
        self._has_schema = bool(structured)

    def prompt(self, hint: str | None = None) -> str:
        """The question; a hint is not said."""
        if self.style == "paper":
            return PAPER_PROMPT
        question = f"{expert_question(self.category, self.unit)} Be as specific as the photo allows"
        if self.structured:
            return f"{question}."
        return f"{question}, prefer a common name to a scientific one, and reply with the name alone."

    def schema(self) -> dict[str, Any] | None:
        """Of the structured reply."""
        if not self._has_schema:
            return None
        # no limits of numbers and lengths: not all servers that honour schemas know them
        properties = {
            "common_name": {"type": "string", "description": "The most specific common name."},
            "scientific_name": {
                "type": ["string", "null"],
                "description": "The scientific name, null where there is none.",
            },
            "alternatives": {
                "type": "array",
                "items": {"type": "string"},
                "description": "Other names that are possible, the likeliest first; empty where none is.",
            },
            "confidence": {
                "type": "number",
                "description": "Probability that common_name is right, from 0 to 1.",
            },
        }
        return object_schema(properties)

    def on_server(self, honours_schemas: bool) -> "NameTask":
        """See the base class."""
        if self.structured is not None:
            return self
        other = copy(self)
        other._has_schema = honours_schemas
        return other

    @classmethod
    def of_stored(cls, prompt: str, schema: Mapping[str, Any] | None, reading: Mapping[str, Any]) -> "NameTask":
        """Structured where there was a schema."""
        return cls(structured=schema is not None)

    def read(self, raw: str) -> ParsedReply:
        """The name; of a structured reply the answer alone is one, and the alternatives are kept beside it."""
        return parse_reply(raw, first_only=self._has_schema and has_object(raw))
