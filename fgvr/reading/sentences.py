"""Sentences in other languages than English: "Das ist ein Dackel", "这是一只柴犬"."""

import re
from collections.abc import Iterator
from functools import cache
from itertools import islice

from fgvr.reading.names import Reading, read_name
from fgvr.reading.no_answers import flag_of
from fgvr.reading.words import lines_of, pattern_of

_MAX_SENTENCES = 40
_NAME = r"(?P<name>[^\u3002.!?;:,()\n\u0964\u3001\u060c]{1,60}?)"
_ANY = r"[^\u3002.!?;\n\u0964]{0,80}?"
_END = r"(?=\s?[\u3002.!?;:,()\n\u0964\u3001\u060c]|\s-\s|\Z)"
_SENTENCE = re.compile(r"[^\u3002!?\n\u0964.]+(?:\.(?=\w)[^\u3002!?\n\u0964.]*)*")
_MARKS = re.compile(r"[*_`\"\u300c-\u300f\u300a\u300b\u00ab\u00bb\u201e]")
_BRACKET = re.compile(r"\s?(\([^()\n]{1,150}\))")
_ENGLISH = re.compile(
    r"\b(?:the|this|these|that|which|appears?|looks?|shows?|would|could|its|it's|i'm|with|here|you|you're|likely)\b",
    re.IGNORECASE,
)
_NOT = re.compile(
    r"\b(?:nicht|kein\w*|pas|ne|no|non|não|niet|geen|nie|inte|ikke|değil|не|нет|bukan|không)\b"
    r"|不|没|沒|无法|無法|ない|아니|ليس|नहीं",
    re.IGNORECASE,
)
_PARTICLE = re.compile("[\u304c\u3092]")  # of a Japanese sentence
_COMMA = re.compile(r"[,;:\u3001\u060c]\s?(?=\w)|\s-\s")
# "aber" of "Ich bin mir nicht sicher, aber das ist ein Dackel"
_BUT = re.compile(
    r"(?:aber|jedoch|doch|mais|cependant|pero|aunque|mas|porém|ma|però|maar|men|ale|jednak|ama|fakat|"
    r"ancak|но|однако|\u0430|але|"
    r"проте|tetapi|tapi|namun|nhưng|αλλά|όμως|אבל|אך|لكن|ولكن|ولكنه|اما|ولی|dar|de|ám|pak|avšak|लेकिन|परंतु|किन्तु|แต่)"
    r"[\s,]|(?:但是?|不过|不過|然而|可是|でも|しかし|ただし|하지만|그러나|다만)[\s,]?",
    re.IGNORECASE,
)
_BUT_BEHIND = re.compile(
    "(?:\u304c|\u3051\u3069|\uc9c0\ub9cc|\u306f\u306a\u304f|\u5c3d\u7ba1|\u96d6\u7136|\u867d\u7136)[,\u3001\\s]*$"
)
_MAX_CLAUSES = 6


@cache
def _templates() -> tuple[tuple[re.Pattern[str], bool], ...]:
    """Patterns of sentences, and whether each may say "not" before the name ("kein Kranich, sondern ein ...")."""
    found = []
    for line in lines_of("sentences"):
        pattern = line.removeprefix("!").replace("~", _ANY).replace("…", _NAME)
        end = _END if line.endswith("…") else ""
        found.append((re.compile(rf"\s*{pattern}{end}", re.IGNORECASE), line.startswith("!")))
    return tuple(found)


def names_in_sentences(text: str) -> list[Reading]:
    """The name that a sentence states in one of the languages of ``words/sentences.txt``; empty where none does.

    Args:
        text: A reply without tags. English is left alone.
    """
    if _ENGLISH.search(text) or flag_of(text) == "error":
        return []
    for sentence in islice(_SENTENCE.finditer(_MARKS.sub("", text)), _MAX_SENTENCES):
        for clause in islice(_clauses(sentence[0]), _MAX_CLAUSES):
            reading = _read(clause)
            if reading and flag_of(clause) != "refusal":
                return [reading]
    return []


def _clauses(sentence: str) -> Iterator[str]:
    """A sentence, then what stands behind each comma in it, but for what goes on with a "not"."""
    yield sentence
    for comma in _COMMA.finditer(sentence):
        before, after = sentence[: comma.start()], sentence[comma.end() :]
        but = _BUT.match(after)
        if but or _BUT_BEHIND.search(sentence[: comma.end()]) or not _NOT.search(before):
            yield after[but.end() :] if but else after


def _read(clause: str) -> Reading | None:
    for template, negated in _templates():
        match = template.match(clause)
        if not match or (not negated and _NOT.search(match[0][: match.start("name") - match.start()])):
            continue
        name = match["name"].strip()
        if _PARTICLE.search(name) or pattern_of("sentence_words").search(name) or flag_of(name):
            continue
        bracket = _BRACKET.match(clause, match.end())
        reading = read_name(name + (f" {bracket[1]}" if bracket else ""))
        if reading.name or reading.flag == "generic":
            return reading
    return None
