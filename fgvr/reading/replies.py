"""Raw reply -> class names.

A multimodal LLM asked for a name answers with anything from one word to an essay with headings, in JSON or not. What
comes out here is a bare class name, or the reason why there is none. A reply is looked at in this order: thoughts are
cut out (`thoughts.py`); a structure is read as one (`structures.py`); what is text is read as the kind of text that it
is (`texts.py`). A new kind is a class with its examples in one of these lists. The kinds were collected from real
replies of several models; no list of classes is used, so that a reply about any kind of thing can be read.
"""

from dataclasses import dataclass

from fgvr.reading.names import Reading
from fgvr.reading.plain import MAX_REPLY, decoded, plain
from fgvr.reading.structures import STRUCTURES
from fgvr.reading.tables import without_tables
from fgvr.reading.texts import read_text
from fgvr.reading.thoughts import without_thoughts
from fgvr.reading.turns import last_turn
from fgvr.vocabulary.build import fold_name

_MAX_NAMES = 10
_LOOKED_AT = 200_000
"""Characters of a reply in which the end of its thoughts is looked for."""


@dataclass(frozen=True, slots=True)
class ParsedReply:
    """What a reply says.

    Attributes:
        names: Class names, best first; empty exactly where ``flag`` is set. Each has at most 60 characters and 8 words.
        scientific_names: One entry per name: the Latin name given beside it, else ``None``.
        flag: ``""``, ``"empty"``, ``"refusal"``, ``"error"``, ``"generic"`` or ``"unparsed"``, as in
            ``LabelRecord.flag``.
        confidence: How sure the reply says it is of the first name, in [0, 1]; ``None`` where it gives no number.
        alternatives: The names after the first, where only the first was asked for; else they are in ``names``.
        genus: Of the first name: the first word of its Latin name, or a genus that the reply gives alone.
        individual: What the reply says of this one individual beside the first name: ``"adult male"``.
        doubtful: Whether the first name was found by rules that are right less often than others.
    """

    names: tuple[str, ...]
    scientific_names: tuple[str | None, ...]
    flag: str
    confidence: float | None = None
    alternatives: tuple[str, ...] = ()
    genus: str | None = None
    individual: str = ""
    doubtful: bool = False


def parse_reply(raw: str, first_only: bool = False) -> ParsedReply:
    """Read the class names out of a reply.

    Args:
        raw: The reply as it came; untrusted. Thoughts are looked for in the first 200,000 characters; of what is
            left, the first 5,000 and the last 5,000 are read.
        first_only: Whether ``names`` holds only the best name, and ``alternatives`` the others.

    Returns:
        The names, without thoughts, markup, articles, Latin names, nicknames and words such as "breed" or "puppy".

    Example:
        >>> reply = parse_reply("The bird is a **House Finch** (*Haemorhous mexicanus*), not a sparrow.")
        >>> reply.names, reply.scientific_names
        (('House Finch',), ('Haemorhous mexicanus',))
        >>> raw = '{"common_name": "Pug", "confidence": "90 %", "alternatives": ["Boxer"]}'
        >>> reply = parse_reply(raw, first_only=True)
        >>> reply.names, reply.confidence, reply.alternatives
        (('Pug',), 0.9, ('Boxer',))
        >>> parse_reply("I can't tell which breed this is.").flag
        'refusal'
    """
    if len(raw) > MAX_REPLY:
        raw = _ends(without_thoughts(raw[:_LOOKED_AT]))
    text = last_turn(without_thoughts(decoded(raw)))
    readings = _readings(text)
    if not readings:
        return ParsedReply((), (), "empty")
    names: dict[str, Reading] = {}
    for reading in readings:
        if reading.name:
            names.setdefault(fold_name(reading.name), reading)
    if names:
        first, *others = list(names.values())[:_MAX_NAMES]
        answers = [first] if first_only else [first, *others]
        return ParsedReply(
            names=tuple(reading.name for reading in answers),
            scientific_names=tuple(reading.scientific for reading in answers),
            flag="",
            confidence=first.confidence,
            alternatives=tuple(reading.name for reading in others) if first_only else (),
            genus=first.genus or (first.scientific or "").split(" ")[0] or None,
            individual=first.individual,
            doubtful=first.doubtful,
        )
    flags = {reading.flag for reading in readings}
    return ParsedReply((), (), next((flag for flag in ("error", "refusal", "generic") if flag in flags), "unparsed"))


def _readings(text: str) -> list[Reading]:
    """What is read out of a reply without thoughts; nothing where it is blank."""
    for kind in STRUCTURES:
        if (found := kind.read(text)) is not None:
            return found
    bare = plain(without_tables(text))
    return read_text(bare) if bare else []


def _ends(text: str) -> str:
    """The beginning and the end of a long text."""
    half = MAX_REPLY // 2 - 1
    return text if len(text) <= MAX_REPLY else f"{text[:half]}\n\n{text[-half:]}"
