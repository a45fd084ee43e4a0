"""Class names in running text: "The dog in the image appears to be a **Whippet** ..."."""

import re
from dataclasses import dataclass, replace
from itertools import islice

from fgvr.labelers.reading.names import (
    KIND_OF,
    KINDS,
    LEADING,
    Reading,
    is_description,
    is_generic,
    read_name,
    singular,
)

_MAX_CUES = 300
_MAX_NAMES = 5
_WINDOW = 250

# " most likely" of "is most likely a Pug"
_ADVERB = (
    r"(?:\s+(?:most|very|likely|probably|possibly|indeed|clearly|potentially|more|also|closely|best|actually|"
    r"definitely|accurately))*"
)
# " best described as" of "is best described as a Pug"
_AS = rf"{_ADVERB}(?:\s+(?:identified|classified|described|recogni[sz]ed|labell?ed|known)\s+as)?"
# what a name follows: "appears to be" a Pug, "photo shows" a Pug, not a Boxer "but" a Pug, "consistent with" a Pug
_CUE = re.compile(
    r"\b(?:"
    rf"(?P<plural>(?:are|appear{_ADVERB}\s+to\s+(?:be|resemble)|seem{_ADVERB}\s+to\s+be|look{_ADVERB}\s+like){_AS})"
    rf"|(?:is|was|be|(?:it|this|that)[']s|appears{_ADVERB}\s+to\s+(?:be|resemble)|seems{_ADVERB}\s+to\s+be){_AS}"
    r"|(?P<specifically>specifically|more\s+precisely)"
    r"|(?P<alias>known\s+as|called|named)"
    r"|(?P<but>but(?:\s+(?:rather|instead)|(?=\s+an?\s)))"
    r"|(?:image|photo|picture)(?:\s+[\w']+){0,5}?\s+(?:shows|depicts|features|showcases|displays|captures|portrays|"
    r"presents|contains)"
    r"|(?:shared|provided|uploaded|posted|sent)\s+(?:an?|the)\s+(?:\w+\s+)?(?:image|photo|photograph|picture)\s+of"
    r"|(?:identify|classify|label|describe)\s+(?:it|this|that|(?:the|this)\s+\w+)\s+as"
    r"|(?:identified|classified|recogni[sz]ed|labell?ed)\s+as|consistent\s+with|aligns?\s+(?:\w+\s+)?with"
    rf"|looks{_ADVERB}\s+like|resembl(?:e|es|ing)|resemblance\s+to|(?:characteristic|typical|indicative|suggestive)\s+of"
    r"|belongs?\s+to|best\s+guess|most\s+likely"
    r")(?![\w'-])",
    re.IGNORECASE,
)
# before a cue: "It does not " of "It does not appear to be a Pug"
_NEGATED = re.compile(r"(?:\b(?:not|never|unlike|than)|n[']t)\s+(?:\w+\s+){0,2}$", re.IGNORECASE)
# the answer after it counts: "On closer inspection, it is a Silky Terrier"
_CORRECTION = re.compile(
    r"\bcloser\s+(?:inspection|look|examination)\b|\bmore\s+likely\b|\bconclu(?:de|sion)\b|\bto\s+summari[sz]e\b",
    re.IGNORECASE,
)
# the answer after it is one more: "It could also be an Elegant Tern", "The dog on the left is a Pug"
_FURTHER = re.compile(
    r"\b(?:(?:could|might|may)\s+also|(?:another|other)\s+(?:possibilit(?:y|ies)|candidates?|options?)|alternatively"
    r"|also\s+bears?|(?:in|on)\s+the\s+(?:background|foreground|left|right|middle|center)|the\s+other)\b",
    re.IGNORECASE,
)
# before a cue that is singular: "These dogs might " of "These dogs might be Beagles"
_PLURAL = re.compile(
    r"\b(?:they|(?:the|these|two|three|both|several)\s+\w+s)\s+(?:could|may|might|must|would)\s+(?:\w+\s+)?$",
    re.IGNORECASE,
)
# before a cue, where it speaks of the photo: "The dog pictured here is", "I believe this is"
_IMAGE = re.compile(rf"\b(?:pictured|shown|depicted|this|it|i|{'|'.join(sorted(KINDS))})\b", re.IGNORECASE)

_UPPER = r"[^\W\d_a-z]"
# 'grey **Whippet**', 'so-called "Westie"'
_MARKED = re.compile(
    r"(?P<before>(?:[a-z][\w'-]*\s+){0,5})(?P<span>(?:\*{1,3}|[\"`])(?=[^\s*])[^*\"`\n]{1,100}(?:\*{1,3}|[\"”`]))"
)
# "small brown " of "small brown Dachshund", nothing of "Dachshund" and "3 Series"
_CAPITAL = re.compile(rf"(?:[a-z][\w'-]*\s+){{0,4}}(?={_UPPER}|\d+\s+{_UPPER})")
_ARTICLE = re.compile(r"\b(?:an?|the)\b", re.IGNORECASE)
_BRACKET = re.compile(r"\s*\([^()\n]{0,150}\)")  # " (Carlin)" of "Pug (Carlin)"
# what ends a name: "." of "Pug. It", not of "St. Bernard"; " with" of "Pug with a collar"; " running" of "Pug running"
_PHRASE_END = re.compile(
    r"(?<!\bSt)\.(?!\w)|[,;:!?()\[\]\n\"*<>{}|=。]|\s-\s"
    r"|\s(?:with|that|which|who|whose|due|based|from|in|on|at|for|as|because|given|although|while|but|though|however|"
    r"known|characteri[sz]ed|identifiable|identified|is|are|was|were|has|have|had|appears?|could|may|might|or|its|it|"
    r"this|these|than|rather|when|where|during|by|likely|also|commonly|often|sometimes|recogni[sz]ed|distinguished|to|"
    r"into|if|not|native|produced|manufactured|parked|perched|similar|(?!king\b)[a-z]{2,}ing)(?![\w'-])"
    r"|\sand\s(?=(?:is|are|has|have|it|its|the|an?|was|can|not|this|that|appears?|shows?|their|likely|in)\b)"
)
# what no name follows: "is found in North America", "is one of the Terriers"
_NO_LEAD = re.compile(
    r"\b(?:not|found|across|throughout|near|with|that|which|who|due|based|from|in|on|at|for|as|by|likely|one|to|its|"
    r"similar|and|genus|family|order|tribe|characteri[sz]ed|of(?!\s+(?:an?|the)\b))(?![\w'-])"
)
# behind bold text that is no class: "**Larus** genus", "**Sport** trim"
_NO_TAIL = re.compile(r"\s+(?:genus|family|order|tribe|version|trim|generation|variant)\b")
_OR = re.compile(r"\s*,?\s*(?:or|and/or|and(?=\s+an?\s))\s")  # "a Pug, or a Boxer", "a Pug and a Boxer"

# ". " of "a Pug. It", ".** " of "a **Pug.** It", a line break; not ". " of "St. Bernard"
SENTENCE_END = re.compile(r"(?<!\bSt)(?<!\bMt)(?<!\bDr)(?<!\bvs)[.!?][\"”*)]{0,4}\s+(?=[A-Z\"*(-])|\n+")
# "## Breed", "1. **Coat Color:** fawn", "- **Ears** - long", "**Key Features**"
_HEADED = re.compile(
    r"\s?#|\s?(?:\d{1,3}[.)]|[-*•+])?\s?\*\*[^*\n]{1,100}(?::\*\*|\*\*\s?[:-])|\s?\*\*[^*\n]{1,100}\*\*\s?$"
)
HEADING = re.compile(
    r"#|\b(?:key|note|step|features?|characteristics|identification|conclusion|description|analysis|summary|overview|"
    r"observations?|reasoning)\b",
    re.IGNORECASE,
)
"""What is a heading, or may be one, where a name is looked for."""
# "**Basenji**", "**Basenji** (Congo dog)", but not "**Coat**: short"
_BOLD = re.compile(r"\*\*([^*\n:]{1,100})\*\*(?!\s*:)(\s*\([^()\n]{0,150}\))?")


@dataclass(frozen=True, slots=True)
class Found:
    """What running text says of a photo.

    Attributes:
        readings: The names, best first.
        generic: Whether there is an answer that is no more than a kind of thing.
    """

    readings: tuple[Reading, ...]
    generic: bool = False


@dataclass(frozen=True, slots=True)
class _Span:
    text: str
    end: int


def names_in_prose(text: str) -> Found:
    """Find the names that running text gives to the photo, not those that it only compares it with.

    Args:
        text: A reply, with its markup.

    Returns:
        At most five names: the answer, then what the text offers as further possibilities for the photo.
    """
    sentences = [sentence for sentence in SENTENCE_END.split(text) if not _HEADED.match(sentence)]
    found = _scan(sentences, lower_case=False)
    if found.readings:
        return found
    if bold := _bold_name(text):
        return Found((bold,))
    return _scan(sentences, lower_case=True)  # last, because "a small brown one" has the shape of "a beagle"


def _scan(sentences: list[str], lower_case: bool) -> Found:
    names: list[Reading] = []
    generic = False
    named_in = 0
    cues = ((number, sentence, cue) for number, sentence in enumerate(sentences) for cue in _CUE.finditer(sentence))
    for number, sentence, cue in islice(cues, _MAX_CUES):
        before = sentence[max(0, cue.start() - _WINDOW) : cue.start()]
        if _NEGATED.search(before) and not cue["but"]:
            continue
        after = sentence[cue.end() : cue.end() + _WINDOW]
        found = _after_cue(after, lower_case and bool(_IMAGE.search(before + cue[0])))
        generic = generic or found.generic
        if not found.readings:
            continue
        readings = found.readings
        if cue["plural"] or _PLURAL.search(before):
            readings = tuple(replace(reading, name=singular(reading.name)) for reading in readings)
        corrects = _CORRECTION.search(before + cue[0]) and readings[0] not in names
        if not names or corrects or _narrows(readings[0], names[0], cue, number - named_in):
            names, named_in = list(readings), number
        elif _FURTHER.search(before) and not cue["alias"]:
            names += readings
    return Found(tuple(names[:_MAX_NAMES]), generic)


def _narrows(reading: Reading, broader: Reading, cue: re.Match[str], sentences_later: int) -> bool:
    """Whether a name is a finer answer: "a Shearwater ... a Sooty Shearwater", "a Spitz, specifically a Pomeranian"."""
    words, broad = reading.name.lower().split(), broader.name.lower().split()
    if cue["specifically"] and sentences_later <= 1 and set(words) & set(broad):
        return True
    if len(broad) > 1:
        return False
    return (len(words) > 1 and words[-1] == broad[0]) or bool(cue["specifically"] and sentences_later == 0)


def _after_cue(text: str, lower_case: bool) -> Found:
    """What directly follows a cue: "a Beagle", "a Beagle or a Basset Hound"."""
    readings: list[Reading] = []
    span = _span(text, 0, lower_case)
    while span:
        readings.append(read_name(span.text))
        more = _OR.match(text, span.end)
        span = _span(text, more.end(), lower_case=False) if more else None
    named = tuple(reading for reading in readings if reading.name)
    return Found(named, any(reading.flag == "generic" for reading in readings))


def _span(text: str, start: int, lower_case: bool) -> _Span | None:
    """The span behind articles and modifiers that may be a name; ``None`` where there is none."""
    begin = _end_of(LEADING.match(text, start), start)
    marked = _MARKED.match(text, begin)
    if marked and not _NO_LEAD.search(marked["before"]) and not _NO_TAIL.match(text, marked.end()):
        return _with_bracket(text, marked.start("span"), marked.end())
    if _NO_LEAD.match(text, begin):
        return None
    stop = _PHRASE_END.search(text, begin)
    end = stop.start() if stop else len(text)
    if capital := _CAPITAL.match(text, begin, end):
        return None if _NO_LEAD.search(capital[0]) else _with_bracket(text, capital.end(), end)
    phrase = text[begin:end]
    article = _ARTICLE.search(text, start, begin)
    if is_generic(phrase) or (lower_case and article and len(phrase.split()) <= 4 and not is_description(phrase)):
        return _with_bracket(text, start if KIND_OF.match(text, start) else begin, end)
    return None


def _with_bracket(text: str, start: int, end: int) -> _Span:
    end = _end_of(_BRACKET.match(text, end), end)
    return _Span(text[start:end], end)


def _end_of(match: re.Match[str] | None, otherwise: int) -> int:
    return match.end() if match else otherwise


def _bold_name(text: str) -> Reading | None:
    """The first bold span that is a name and no heading."""
    for bold in islice(_BOLD.finditer(text), _MAX_CUES):
        reading = read_name(bold[0])
        if reading.name and not reading.name.islower() and not HEADING.search(reading.name):
            return reading
    return None
