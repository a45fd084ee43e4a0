"""What a photo shows, by the broadest word that is of use: FineR's first question."""

import re
from typing import ClassVar

from fgvr.labelers.tasks.base import Task
from fgvr.labelers.tasks.reading import plain_text, read_description
from fgvr.reading.names import singular
from fgvr.reading.replies import ParsedReply

_MAX_CHARACTERS = 40
_SHORT = 3
_BOLD = re.compile(r"\*\*([^*\n]{1,60})\*\*")
# "The main object in this photo is a dog, which ...", "Category: bird", "It shows a red car."
_SAID = re.compile(r"(?:\b(?:is|are|shows?|depicts|as)\b(?:\s+(?:of|that\s+of))?|:)\s+(?=\w)", re.IGNORECASE)
_REST = re.compile(
    r"[,.;:!?()\n]|\s(?:in|on|at|with|which|that|who|of|from|by|for|standing|sitting|perched|and|or|because)\s",
    re.IGNORECASE,
)
_EDGES = " .,;:!?\"'`*_{}[]()<>"


class SuperCategoryTask(Task):
    """Asks what kind of thing a photo shows, such as a bird or a car; the labeler ``finer`` asks it.

    FineR (arXiv 2401.13837) asks BLIP-2 the same, and names six kinds to choose from; these words are others, and
    leave it open.
    """

    registry_name: ClassVar[str] = "super_category"
    names_classes: ClassVar[bool] = False
    max_output_tokens: ClassVar[int] = 50

    def prompt(self, hint: str | None = None) -> str:
        """The question; a hint is not said."""
        return (
            "What kind of thing is the main object in this photo? Answer with one everyday noun in the singular, such "
            "as bird, dog, car or flower, and nothing else."
        )

    def read(self, raw: str) -> ParsedReply:
        """The noun, in lower case and in the singular: the last word of what a short reply says, as in FineR's code.

        Of a sentence, what it says that the object is counts, and not its last word: "It is a bird on a branch."
        """
        described = read_description(raw)
        if described.flag:
            return described
        plain = plain_text(raw).strip()
        bold, first = _BOLD.search(plain), plain.partition("\n")[0]
        text = described.names[0]
        if bold:
            text = bold[1]
        elif len(first.split()) <= _SHORT and any(map(str.isalpha, first)) and not {*":{"} & {*first}:
            text = first  # what follows explains it
        if (len(text.split()) > _SHORT or ":" in text) and (said := _SAID.search(text)):
            text = text[said.end() :]
        words = [word for word in _REST.split(text, maxsplit=1)[0].split() if any(map(str.isalpha, word))]
        noun = words[-1].strip(_EDGES).lower() if words else ""
        if not noun or len(noun) > _MAX_CHARACTERS:
            return ParsedReply((), (), "unparsed")
        return ParsedReply((singular(noun),), (None,), "")
