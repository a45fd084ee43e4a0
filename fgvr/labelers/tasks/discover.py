"""What a set of photos shows, and what tells its classes apart."""

import re
from typing import Any, ClassVar

from fgvr.labelers.tasks.base import Task
from fgvr.labelers.tasks.reading import object_schema, one_line, plain_text, read_description, read_object
from fgvr.reading.names import singular
from fgvr.reading.replies import ParsedReply

_MAX_CHARACTERS = 60
_KEYS = ("super_category", "unit")
# "Super-category: bird", "**unit** = species"
_LINE = re.compile(
    r"^[^\w\n]*(super[ _-]?category|unit)[^\w\n:=]*[:=][^\w\n]*(\w[^\n]{0,100})", re.IGNORECASE | re.MULTILINE
)
_EDGES = " .,;:\"'`*_{}[]"


class DiscoverTask(Task):
    """Asks, on a few photos at once, for the super-category and the unit that the expert prompt of ``name`` needs.

    The idea is that of FiNDR (arXiv 2512.18897), which shows three photos; the words are others.
    """

    registry_name: ClassVar[str] = "discover"
    names_classes: ClassVar[bool] = False

    def prompt(self, hint: str | None = None) -> str:
        """The question; a hint is not said."""
        return (
            "These photos are a sample of a larger collection, whose photos all show things of one super-category, in "
            "many fine-grained classes. Name the super-category by a singular noun (such as bird, dog, car), and the "
            "unit by which its classes are told apart (such as species; breed; make, model and year). Reply with this "
            'JSON object and nothing else: {"super_category": "...", "unit": "..."}'
        )

    def schema(self) -> dict[str, Any] | None:
        """Super-category and unit."""
        return object_schema({key: {"type": "string"} for key in _KEYS})

    def read(self, raw: str) -> ParsedReply:
        """Super-category and unit, in this order."""
        stated = read_object(raw)
        if stated is None:
            stated = {re.sub(r"[ -]", "_", key.lower()): value for key, value in _LINE.findall(plain_text(raw))}
            stated["super_category"] = stated.get("super_category", stated.get("supercategory"))
        found = [one_line(value).strip(_EDGES) if isinstance(value := stated.get(key), str) else "" for key in _KEYS]
        if all(text and len(text) <= _MAX_CHARACTERS and any(map(str.isalpha, text)) for text in found):
            return ParsedReply((singular(found[0].lower()), found[1].lower()), (None, None), "")
        return ParsedReply((), (), read_description(raw).flag or "unparsed")
