"""Several class names a photo, the best first: candidate sets from the model itself."""

from copy import copy
from dataclasses import replace
from typing import Any, ClassVar

from fgvr.errors import FgvrError
from fgvr.labelers.tasks.base import Task
from fgvr.labelers.tasks.reading import object_schema
from fgvr.labelers.tasks.wording import expert_question
from fgvr.reading.replies import ParsedReply, parse_reply

_MAX = 10  # names that are read out of a reply


class NamesTask(Task):
    """Asks for the ``k`` likeliest classes of a photo: the MLLM-direct candidate sets of the FGVR paper's table 4.

    The paper does not print the prompt of this table; the words follow its prompt for one name.

    Args:
        k: Names, from 1 to 10.
        category: What all photos show, in the singular, such as ``bird``: asks an expert's question, as ``name`` does.
        unit: What tells the classes apart, such as ``species``; with ``category`` only.
        structured: ``true`` has the server reply with JSON, ``false`` with text. If not given, the plain question is
            asked and a schema sent beside it, unless the server is known to honour none; of one that does not, the text
            is read.

    Raises:
        FgvrError: ``k`` is out of range.
    """

    registry_name: ClassVar[str] = "names"

    def __init__(
        self, k: int = 3, category: str | None = None, unit: str | None = None, structured: bool | None = None
    ) -> None:
        if not 1 <= k <= _MAX:
            raise FgvrError(f"data.labeler.task.k is {k}; expected 1 to {_MAX} names.")
        if category is not None:
            expert_question(category, unit)  # complains where something is wrong
        self.k = k
        self.category = category
        self.unit = unit
        self.structured = structured
        self._has_schema = bool(structured)

    def prompt(self, hint: str | None = None) -> str:
        """The question; a hint is not said."""
        form = "" if self.structured else ", one per line"
        if self.category is None:
            return f"Provide the {self.k} best fine-grained class labels for this image, the best first{form}"
        question = expert_question(self.category, self.unit)
        form = "." if self.structured else ", one per line and nothing else."
        return f"{question} Give the common names of the {self.k} likeliest, the best first{form}"

    def reading(self) -> dict[str, Any]:
        """How many names count."""
        return {"k": self.k}

    def schema(self) -> dict[str, Any] | None:
        """Of the structured reply."""
        if not self._has_schema:
            return None
        names = {
            "type": "array",
            "items": {"type": "string"},
            "description": f"The {self.k} likeliest names, each as specific as the photo allows, the best first.",
        }
        return object_schema({"names": names})

    def on_server(self, honours_schemas: bool) -> "NamesTask":
        """See the base class."""
        if self.structured is not None:
            return self
        other = copy(self)
        other._has_schema = honours_schemas
        return other

    def read(self, raw: str) -> ParsedReply:
        """The first ``k`` names of the reply."""
        parsed = parse_reply(raw)
        return replace(parsed, names=parsed.names[: self.k], scientific_names=parsed.scientific_names[: self.k])
