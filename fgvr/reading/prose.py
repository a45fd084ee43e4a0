"""Class names in running text: "The dog in the image appears to be a **Whippet** ..."."""

import re
from dataclasses import dataclass, replace
from itertools import islice

from fgvr.reading.cues import (
    BELONGS,
    CORRECTION,
    COUNTED,
    CUE,
    DISH,
    FURTHER,
    GENUS,
    GENUS_BEHIND,
    GENUS_ENDING,
    IMAGE,
    MAY_BE,
    NEGATED,
    OTHER_SUBJECT,
    PLURAL,
    QUESTION,
    SCIENTIFIC,
    SEEMS,
    STATES,
    STRONG,
    SUBJECT,
    TENTATIVE,
    WEAK,
)
from fgvr.reading.marked_names import bold_names, names_beside_latin
from fgvr.reading.names import (
    KIND_OF,
    LATIN_ENDING,
    LEADING,
    Reading,
    is_description,
    is_generic,
    latin_name,
    read_name,
    singular,
)

_MAX_CUES = 120
_MAX_NAMES = 5
_WINDOW = 250
# no full stop: "St." of "St. Bernard", "Conv." of "Supersports Conv. Convertible"
_NO_ABBREVIATION = "".join(
    rf"(?<!\b{word})"
    for word in ("St", "Mt", "Dr", "L", "Mr", "Mrs", "Jr", "vs", "Conv", "Ft", "var", "subsp", "ssp", "cf")
)
_UPPER = r"[^\W\d_a-z]"
# 'grey **Whippet**', 'so-called "Westie"'
_MARKED = re.compile(
    r"(?P<before>(?:[a-z][\w'-]*\s+){0,5})(?P<span>(?:\*{1,3}|[\"`])(?=[^\s*])[^*\"`\n]{1,100}(?:\*{1,3}|[\"”`]))"
)
# "small brown " of "small brown Dachshund", nothing of "Dachshund" and "3 Series"
_CAPITAL = re.compile(
    rf"(?:(?!(?:de|van|von|del|da|di|la|le|el|al|du)\s{_UPPER})[a-z][a-z0-9'-]*\s+){{0,4}}(?=(?:de|van|von|del|da|di|la|le|el|al|du)\s{_UPPER}|{_UPPER}|[a-z]+{_UPPER}|\d+\s+{_UPPER}|\d{{3}}-\d)"
)
_BOLD_BEHIND = re.compile(r"\*\*(?=[A-Z\d])([^*\n]{1,60})\*\*")
_ARTICLE = re.compile(r"\b(?:an?|the)\b", re.IGNORECASE)
_BRACKET = re.compile(r"\s*\([^()\n]{0,150}\)")  # " (Carlin)" of "Pug (Carlin)"
_APPOSED = re.compile(
    r"[*_]{0,2},?\s{0,2}[*_]{1,3}([A-Z][a-z\u00eb-]{2,} (?:x )?[a-z\u00eb-]{3,}(?: [a-z-]{3,})?)[*_]{1,3}(?!\w)"
)
# ", the common primrose" behind "Primula vulgaris"
_APPOSED_COMMON = re.compile(
    r"[*_]{0,3}(?:,\s(?:or\s)?(?:an?|the)\s|,?\sor\s|:\s|,\swhose\scommon\sname\sis\s)[*_]{0,2}([A-Za-z][\w'-]*(?:\s[\w'-]+){0,3})[*_]{0,2}(?=[.,;!)]|\Z)"
)
# what ends a name: "." of "Pug. It", not of "St. Bernard"; " with" of "Pug with a collar"; " running" of "Pug running"
_PHRASE_END = re.compile(
    rf"{_NO_ABBREVIATION}\.(?!\w)"
    r"|,(?!\s?(?:19|20)\d\d\b(?!\s?(?:-|to\b)))|[;:!?()\[\]\n\"*<>{}|=。]|\s-\s"
    r"|\s(?:with|that|which|who|whose|due|based|from(?!\s(?:19|20)\d\d\b(?!\s?(?:-|to\b|through\b|until\b|onward|and\b|or\b)))|in|on|at|for|as|because|given|although|while|but|though|however|"
    r"known|characteri[sz]ed|identifiable|identified|is|are|was|were|has|have|had|appears?|could|may|might|or(?!\s+(?:immature|juvenile|(?:fe)?male|adult))|its|it|"
    r"this|these|than|rather|when|where|during|by|likely|also|commonly|often|sometimes|recogni[sz]ed|distinguished|to|"
    r"into|if|not|native|produced|manufactured|parked|perched|similar|operated|owned|used|made|painted|served|topped|"
    r"better|best|there|here|among|then|built|flown|taken|photographed|captured|found|seen|shown|instead|over|unlike|whereas|scientifically|"
    r"(?!king\b)[a-z]{2,}ing)(?![\w'-])"
    r"|\sand\s(?=(?:is|are|has|have|it|its|the|an?|was|can|not|this|that|appears?|shows?|their|likely|in)\b)"
)
# what no name follows: "is found in North America", "is one of the Terriers"
_NO_LEAD = re.compile(
    r"\b(?:not|found|across|throughout|near|with|that|which|who|due|based|from|in|on|at|for|as|by|likely|one|to|its|"
    r"named|after|similar|and|genus|family|order|tribe|characteri[sz]ed|of(?!\s+(?:an?|the)\b))(?![\w'-])"
)
# behind bold text that is no class: "**Larus** genus", "**Sport** trim"
_NO_TAIL = re.compile(r"\s+(?:genus|family|order|tribe|version|trim|generation|variant)\b")
_OR = re.compile(r"\s*,?\s*(?:or|and/or|and(?=\s+an?\s))\s")  # "a Pug, or a Boxer", "a Pug and a Boxer"
# ". " of "a Pug. It", ".** " of "a **Pug.** It", a line break; not ". " of "St. Bernard"
SENTENCE_END = re.compile(_NO_ABBREVIATION + r"[.!?][\"”*)]{0,4}\s+(?=[A-Z\"*(-])|\n+")
# "## Breed", "1. **Coat Color:** fawn", "- **Ears** - long", "**Key Features**"
_HEADED = re.compile(
    r"\s?#|\s?(?:\d{1,3}[.)]|[-*•+])?\s?\*\*[^*\n]{1,100}(?::\*\*|\*\*\s?[:-])|\s?\*\*[^*\n]{1,100}\*\*\s?$"
)
# a heading with an answer behind: "**Breed determination:** The dog is a Pug", "**The bird is a Pug because:**"
_ANSWERS = re.compile(
    r"[\s*#\d.)]{0,12}(?:(?:here's\s+why\s+)?(?:this|it|the\s+\w+)(?:'s|\s+is)\s|(?:\w+\s+)?(?:determination|identification|conclusion|verdict|answer|classification)\b)",
    re.IGNORECASE,
)
_ALIKE = re.compile(
    r"\b(?:alike|similar|candidates?|between|confus\w+|contenders?|options?|not\s+the\s+case|exclud\w+|ruled?\s+out|eliminat\w+)\b",
    re.IGNORECASE,
)
ADJECTIVE = re.compile(
    r"(?:ed|ing|en|able|ible|ive|ful|ous|less|ly|ial|ary|ent|ant|ical|shown|seen|clear|unclear|helpful|hard|true|right|"
    r"correct|sure|certain|known|needed|best)$"
)
"""How words end that are no name at the end of a sentence: "needed", "visible", "tentative"."""


@dataclass(frozen=True, slots=True)
class Found:
    """What running text says of a photo.

    Attributes:
        readings: The names, best first.
        generic: Whether there is an answer that is no more than a kind of thing.
        aside: What was only thought at first, or is a genus.
        weak: Whether the first name was only said to be like the thing, or what it is called.
    """

    readings: tuple[Reading, ...]
    generic: bool = False
    aside: tuple[Reading, ...] = ()
    weak: bool = False


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
    text = asked if (asked := QUESTION.sub(" ", text)).strip() else text
    sentences = [each for each in SENTENCE_END.split(text) if not _HEADED.match(each) or _ANSWERS.match(each)]
    found = _scan(sentences, lower_case=False)
    if found.readings:
        return found
    aside = {reading.name for reading in found.aside}
    bold = bold_names(text)
    if (species := [each for each in bold if each.name not in aside and not each.genus]) and not found.aside:
        beside = names_beside_latin(text)
        several = len(species) > 1 and _ALIKE.search(text)
        return Found((replace(beside or species[-1 if several else 0], doubtful=True),))
    last = _scan(sentences, lower_case=True)  # last, because "a small brown one" has the shape of "a beagle"
    latin = next((each.name for each in found.aside if latin_name(each.name)), None)
    if last.readings and latin:
        last = replace(last, readings=(replace(last.readings[0], scientific=latin), *last.readings[1:]))
    readings = last.readings or tuple(species[:1]) or found.aside or last.aside or tuple(bold[:1])
    return replace(last, readings=tuple(replace(reading, doubtful=True) for reading in readings))


def _scan(sentences: list[str], lower_case: bool) -> Found:
    names: list[Reading] = []
    aside: list[Reading] = []
    generic = weak = False
    named_in = 0
    cues = ((number, sentence, cue) for number, sentence in enumerate(sentences) for cue in CUE.finditer(sentence))
    for number, sentence, cue in islice(cues, _MAX_CUES):
        before = sentence[max(0, cue.start() - _WINDOW) : cue.start()]
        if NEGATED.search(before) and not cue["but"]:
            continue
        after = sentence[cue.end() : cue.end() + _WINDOW]
        near = number == named_in or (number == named_in + 1 and "common" in cue[0].lower())
        latin = _is_latin(names[0].name, cue[0]) if cue["alias"] and names and near else ""
        if latin and (common := _alias(after)):
            genus = None if " " in latin else latin
            names[0] = replace(
                common, scientific=common.scientific or names[0].scientific or (None if genus else latin), genus=genus
            )
            continue
        of_image = bool(IMAGE.search(before + cue[0]) or (SEEMS.match(cue[0]) and not before.strip()))
        found = _after_cue(
            after,
            lower_case and of_image,
            bool(lower_case and of_image and (STRONG.search(cue[0]) or DISH.search(before))),
        )
        if cue["specifically"] and lower_case and names and not found.readings:
            found = _finer_kind(after, names[0])
        generic = generic or found.generic
        if not found.readings:
            continue
        readings = found.readings
        if cue["plural"] or PLURAL.search(before) or COUNTED.match(after):
            readings = tuple(replace(reading, name=singular(reading.name)) for reading in readings)
        if not names and _is_aside(readings[0], cue, before, after):
            aside += readings
            continue
        if cue["alias"] and not names:
            readings = tuple(replace(reading, doubtful=True) for reading in readings)
        corrects = CORRECTION.search(before + cue[0]) and readings[0] not in names
        corrects = corrects or (
            weak and STATES.fullmatch(cue[0]) and not MAY_BE.search(before[-80:]) and readings[0] not in names
        )
        if not names or corrects or _narrows(readings[0], names[0], cue, number - named_in):
            names, named_in, weak = list(readings), number, bool(WEAK.search(cue[0]))
        elif FURTHER.search(before) and not cue["alias"]:
            names += readings
    return Found(tuple(names[:_MAX_NAMES]), generic, tuple(aside), weak)


def _is_aside(reading: Reading, cue: re.Match[str], before: str, after: str) -> bool:
    """Whether a name is no answer: thought at first, a genus, a Latin name beside another, or the name of a part."""
    clause, near = re.split("[,;]", before)[-1][-120:], (before + cue[0])[-120:]
    if TENTATIVE.search(clause) or re.search(r"\bif\b.*\bwould\s+$", before) or _is_genus(reading.name, near, after):
        return True
    latin = latin_name(reading.name)
    if latin and LATIN_ENDING.search(latin) and not reading.scientific and (cue["alias"] or SCIENTIFIC.search(near)):
        return True
    return bool(cue[0].lower() in ("is", "are", "was") and OTHER_SUBJECT.search(clause) and not SUBJECT.search(clause))


def _is_latin(name: str, cue: str) -> str:
    """The name where it is Latin, or a genus that is "commonly known as" something else; else ``""``."""
    if (latin := latin_name(name)) and LATIN_ENDING.search(latin):
        return latin
    return (
        name
        if " " not in name and GENUS_ENDING.search(name) and cue.lower().split()[0] not in ("called", "named", "known")
        else ""
    )


def _is_genus(name: str, before: str, after: str) -> bool:
    """Whether a name is that of a genus, by the words around it."""
    return " " not in name and bool(
        GENUS.search(before) or GENUS_BEHIND.match(after) or (BELONGS.search(before) and GENUS_ENDING.search(name))
    )


def _alias(text: str) -> Reading | None:
    """The common name behind "commonly known as"; ``None`` where there is none."""
    span = _span(text, 0, lower_case=False)
    if span is None:
        stop = _PHRASE_END.search(text, 1)
        phrase = _OR.split(text[: stop.start() if stop else len(text)], maxsplit=1)[0]
        span = _Span(phrase, len(phrase)) if len(phrase.split()) <= 5 and not _NO_LEAD.match(phrase.strip()) else None
    reading = read_name(span.text) if span else None
    return reading if reading and reading.name else None


def _finer_kind(text: str, broader: Reading) -> Found:
    """The finer name behind a broader one: "tonkotsu ramen" behind "ramen, specifically"."""
    stop = _PHRASE_END.search(text)
    reading = read_name(text[: stop.start() if stop else len(text)])
    finer = reading.name.lower().endswith(f" {broader.name.lower()}") and len(reading.name.split()) <= 4
    return Found((reading,) if finer else ())


def _narrows(reading: Reading, broader: Reading, cue: re.Match[str], sentences_later: int) -> bool:
    """Whether a name is a finer answer: "a Shearwater ... a Sooty Shearwater", "a Spitz, specifically a Pomeranian"."""
    words, broad = reading.name.lower().split(), broader.name.lower().split()
    if cue["specifically"] and sentences_later <= 1 and set(words) & set(broad):
        return True
    if (
        len(broad) == 1 and words[0] == broad[0] and latin_name(reading.name) and LATIN_ENDING.search(reading.name)
    ):  # a genus, then the species
        return True
    if len(broad) > 1 or WEAK.search(cue[0]):
        return False
    return (len(words) > 1 and words[-1] == broad[0]) or bool(cue["specifically"] and sentences_later == 0)


def _after_cue(text: str, lower_case: bool, bare: bool = False) -> Found:
    """What directly follows a cue: "a Beagle", "a Beagle or a Basset Hound".

    Args:
        text: The text behind it.
        lower_case: Whether names may be in lower case, behind an article.
        bare: Whether they may be without one: "identified as watercress".
    """
    readings: list[Reading] = []
    span = _span(text, 0, lower_case) or (_bare_span(text) if bare else None)
    while span:
        readings.append(_with_common(read_name(span.text), text[span.end :]))
        more = _OR.match(text, span.end)
        span = _span(text, more.end(), lower_case=False) if more else None
    named = tuple(reading for reading in readings if reading.name)
    return Found(named, any(reading.flag == "generic" for reading in readings))


def _bare_span(text: str) -> _Span | None:
    """A name in lower case without an article: "fish and chips" of "contains fish and chips, served with"."""
    begin = _end_of(LEADING.match(text), 0)
    stop = _PHRASE_END.search(text, begin)
    end = stop.start() if stop else len(text)
    phrase = text[begin:end]
    named = 0 < len(phrase.split()) <= 4 and not _NO_LEAD.match(phrase) and not is_description(phrase)
    return _Span(phrase, end) if named and not ADJECTIVE.search(phrase) and not phrase[:1].isdigit() else None


def _with_common(reading: Reading, after: str) -> Reading:
    """A reading that is Latin under the common name that stands behind it: "Primula vulgaris, the common primrose"."""
    latin = latin_name(reading.name)
    common = _APPOSED_COMMON.match(after) if latin and LATIN_ENDING.search(latin) else None
    named = read_name(common[1]) if common else None
    return replace(named, scientific=latin) if named and named.name else reading


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
        if text[end : end + 2] == "**" and (bold := _BOLD_BEHIND.match(text, end)):  # "Tupolev **Tu-154M**"
            return _Span(f"{text[capital.end() : end]}{bold[1]}", bold.end())
        return None if _NO_LEAD.search(capital[0]) else _with_bracket(text, capital.end(), end)
    phrase = text[begin:end]
    article = _ARTICLE.search(text, start, begin)
    if is_generic(phrase) or (lower_case and article and len(phrase.split()) <= 4 and not is_description(phrase)):
        return _with_bracket(text, start if KIND_OF.match(text, start) else begin, end)
    return None


def _with_bracket(text: str, start: int, end: int) -> _Span:
    if apposed := _APPOSED.match(text, end):  # "the bee orchid, *Ophrys apifera*"
        return _Span(f"{text[start:end]} ({apposed[1]})", apposed.end())
    end = _end_of(_BRACKET.match(text, end), end)
    return _Span(text[start:end], end)


def _end_of(match: re.Match[str] | None, otherwise: int) -> int:
    return match.end() if match else otherwise
