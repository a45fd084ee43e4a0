"""The conclusion of a reply that reasons first: "Therefore, the exact species is the **X**"."""

import re
from dataclasses import replace
from itertools import islice

from fgvr.reading.marked_names import bold_names, names_beside_latin
from fgvr.reading.names import Reading, read_name, singular
from fgvr.reading.phrases import is_short
from fgvr.reading.prose import ADJECTIVE, names_in_prose
from fgvr.reading.sentences import names_in_sentences
from fgvr.reading.words import lines_of

_MAX_PARTS = 200
_AFTER = 3
"""Sentences that a conclusion may take, the one with its mark included."""

# a sentence or line with what ends it; not "St." of "St. Bernard"
_PART = re.compile(r"\s*(\S(?:[^.!?\n]|(?<=\bSt)\.|(?<=\bMt)\.|[.!?](?=[^\s*\"”)]))*[.!?]{0,3}[*\"”)_]{0,4})")
_MARK = re.compile(
    r"[\s#>*_•+(-]{0,9}(?:\d{1,2}[.)]\s{0,3})?[\s*_]{0,4}(?:"
    + "|".join(f"(?:{line})" for line in lines_of("conclusions"))
    + r")(?!(?<=\w)\w)",
    re.IGNORECASE,
)
_STATES = re.compile(r"[\s*_]{0,6}(?::|[-\u2013]\s|\bis\b(?:\s*:)?|$|\n)")
# "pyrite" of "what we have here is pyrite."
_LOWER_CASE = re.compile(r"\b(is|are|be)\s+(?:an?\s+|the\s+)?((?:[a-z][\w'-]{2,}\s)?[a-z][\w'-]{3,})[.!]*$")
_EDGES = " \n*_#:,.-"
_LEAD = re.compile(
    r"\A(?:(?:(?:the|this)\s+[a-z]+|it|this|that|we\s+have)\s+)?(?:is|are|would\s+be|it's|that's|i\s+(?:say|think|believe))"
    r"\s+(?:an?\s+|the\s+)?",
    re.IGNORECASE,
)


def conclude(text: str) -> list[Reading]:
    """The names of the last conclusion that has one; empty where the reply draws none.

    Args:
        text: A reply without tags.
    """
    parts = [match[1] for match in islice(_PART.finditer(text), _MAX_PARTS)]
    if len(parts) < 2:
        return []
    for index in range(len(parts) - 1, -1, -1):
        if (mark := _MARK.match(parts[index])) and (found := _from_conclusion(parts, index, mark.end())):
            return found
    return []


def _from_conclusion(parts: list[str], index: int, end: int) -> list[Reading]:
    rest = parts[index][end:]
    following = [part for part in parts[index + 1 : index + _AFTER] if not _MARK.match(part)]
    stated = bool(_STATES.match(rest) and rest.strip(_EDGES))
    bare = rest.strip(_EDGES)
    if again := _MARK.match(_LEAD.sub("", bare, count=1)):  # "Final answer: the final answer is ..."
        bare = _LEAD.sub("", bare, count=1)[again.end() :].strip(_EDGES)
        stated = True
    if not bare:  # a heading: "**Answer**"
        if not following:
            return []
        bare, following, stated = following[0].strip(_EDGES), following[1:], True
    if stated or bare[:1].isupper():
        reading = _phrase(bare)
        if reading.name:
            return [reading]
    for sentence in ("\n".join((rest, *parts[index + 1 :])), bare, *following):
        prose = names_in_prose(sentence)
        found = prose.readings or tuple(names_in_sentences(sentence))
        if found and found[0].name and not found[0].doubtful and not prose.weak:
            return [found[0], *(other for other in found[1:] if " with " not in other.name)]
        if beside := names_beside_latin(sentence):
            return [beside]
    for sentence in (bare, *following):
        if bold := bold_names(sentence):
            return [replace(bold[-1], doubtful=True)]
        if last := lower_case_name(sentence):
            return [last]
    return []


def lower_case_name(sentence: str) -> Reading | None:
    """A last word without an article that is no adjective: "pyrite" of "what we have here is pyrite."."""
    last = _LOWER_CASE.search(sentence)
    if not last or ADJECTIVE.search(last[2]):
        return None
    reading = read_name(singular(last[2]) if last[1] == "are" else last[2])
    return replace(reading, doubtful=True) if reading.name else None


def _phrase(text: str) -> Reading:
    """A conclusion that is no more than a name."""
    phrase = _LEAD.sub("", text, count=1)
    return read_name(phrase) if is_short(phrase) else Reading("", None, "unparsed")
