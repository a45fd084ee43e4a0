"""Bare names, alone and in lists: "Label: House Finch", "a House Finch or a Purple Finch"."""

import re
from dataclasses import replace

from fgvr.reading.names import LATIN_ENDING, Reading, latin_name, read_name
from fgvr.reading.no_answers import flag_of
from fgvr.reading.prose import SENTENCE_END
from fgvr.reading.words import pattern_of

_BULLET = re.compile(
    r"\s?(?:\d{1,3}[.):]\)?|\(\d{1,2}\)|\[\d{1,2}\]|#\d{1,2}\b|[-*•+·‣](?=\s))\s?"
)  # of "1. Royal Tern", "2) Royal Tern", "- Royal Tern"
# "Best label:" of "Best label: Pug", but not "Pug:" of "Pug: 95%"
_KEY = re.compile(
    r"\A[\s*_]{0,9}[^\W\d_][\w' -]{1,60}?[\s*_]{0,9}[:=](?=[\s*_\"\u3000-\uffff])(?![\s*_]{0,9}\d[\d.]{0,9}\s?%?$)"
)
# "Field marks ->" of "Field marks -> Elegant Tern"
_ARROW = re.compile(r"\s*(?:\u2192|\u21d2|\u27a1|=>|->|\s=|\s>\s)\s*")
# " rather than a Warbling Vireo", " over Wilson's Warbler", " vs. Royal Tern"
_INSTEAD = re.compile(
    r"[,;]?\s+(?:rather\s+than|instead\s+of|as\s+opposed\s+to|vs\.?|versus)\s.*|\s+over\s+[A-Z].*", re.DOTALL
)
# ", not Royal Tern", " rather than a Warbling Vireo", ", I think", ", because of its spots"
_TAIL = re.compile(
    r"(?:(?:[,;]\s+|\s*\()not|[,;]?\s+(?:rather\s+than|instead\s+of|as\s+opposed\s+to))\s.*|,\s+(?:i\s+(?:think|believe|guess|suppose|would\s+say)|because|due"
    r"|based|given|since|as\s|if\s|most\s+likely|likely|probably|possibly|judging)\b.*|\s*[:;]-?[)(D]$",
    re.IGNORECASE | re.DOTALL,
)
# "A terrier, specifically" of "A terrier, specifically a Cairn Terrier"
_BROADER = re.compile(r".{0,100},\s(?:more\s)?specifically(?=\s)", re.IGNORECASE)
_LATIN = r"(?P<latin>[A-Z][a-z\u00eb-]{2,} (?:x )?[a-z\u00eb-]{2,}(?: (?:var\.|subsp\.|ssp\.)? ?[a-z-]{3,})?)"
_AUTHOR = r"(?:\s*\([^()]{1,30}\))?(?:\s+(?:[A-Z][\w.&'-]{0,14}\s*){1,4}\.?)?(?:,?\s*1[789]\d\d)?"
_LATIN_FIRST = re.compile(
    rf"{_LATIN}{_AUTHOR}\s*(?:\s-\s+(?:the\s+)?|,\s+(?:or\s+)?the\s+|\s*/\s*|:\s+|\s=\s)"
    rf"(?P<common>[A-Za-z][\w' -]{{2,40}}?)(?:[,/(].*|\)?\.?)"
)
_LATIN_LAST = re.compile(
    rf"(?P<common>[A-Za-z][\w' -]{{2,40}}?)\s*(?:/|:|\s-|,|=)\s+(?:likely\s+|probably\s+)?{_LATIN}{_AUTHOR}\.?"
)
# "Moorish idol" of "Moorish idol - easily mistaken for ...",
# "Western Tanager" of "**Western Tanager**: It has a red head."
_FIRST = re.compile(
    r"[\s*_\"]*(?:(?:an?|the)\s+)?"
    r"(?!(?:these|this|those|that|the|my|our|its|it|there|here|not|no|neither|what|wait|while|although|possibilities)\b)"
    r"((?-i:[^\W\d_a-z])[\w'.-]*(?:\s[\w'.-]+){0,5}?)[*_\"]*"
    r"(?:\s-\s|\s*\((?!\*?[A-Z])|:[*_]*\s+(?=[A-Z])|!\s)",
    re.DOTALL | re.IGNORECASE,
)
_SEVERAL = re.compile(r"\sor\s|[,;](?!\s(?:19|20)\d\d)")  # "Royal Tern or Elegant Tern", but not "Acura RL, 2009"
# "is" of "This is a Pug", "'s a" of "That's a Pug", "'t" of "can't"
_SENTENCE_WORD = re.compile(
    r"(?<![\w-])(?:is|are|was|be|appears?|seems?|looks?|shows?|depicts?|showcases?|displays?|contains?|resembles?|can|"
    r"could|may|might|would|need|not|cannot|has|have|this|it|its|you|me|my|we|let|here|thanks?|please|question|think|"
    r"believe|sorry|unable|unfortunately|likely|based|suggests?|indicates?|matches|match|confirms?|fits?|stands|features|"
    r"corresponds?|supports?|belongs?|screams?|points?\s+to|identifies|leaves\s+only|narrows|there|there's)(?![\w-])|\w'(?:s\s+an?|t)\b",
    re.IGNORECASE,
)

_SMALL = frozenset(("of", "the", "and", "to", "a", "in", "for", "on", "de", "du", "la", "le"))
# ", commonly known as the" of "Sylvia atricapilla, commonly known as the Eurasian Blackcap"
_ALSO = re.compile(
    r"[\s,*_]{1,6}(?:\(|-\s)?(?:(?:and|or|which\sis|is|also|more|most|better)\s){0,3}"
    r"(?:(?:commonly|popularly|often|usually|generally|widely|locally|simply)\s)?(?:known|referred\sto|called)"
    r"(?:\s(?:simply|locally))?\s(?:as\s)?(?:the\s|an?\s)?",
    re.IGNORECASE,
)


def is_short(text: str) -> bool:
    """Whether a text is too short, and without the words that make one, to be a sentence."""
    return (
        len(text) <= 100
        and len(text.split()) <= 10
        and (_is_title(text) or not _SENTENCE_WORD.search(_ALSO.sub(" ", text, count=1)))
        and not pattern_of("sentence_words").search(text)
        and not SENTENCE_END.search(text)
    )


def _is_title(text: str) -> bool:
    """Whether a text has the capitals of a name: "Question Mark", "Let It Be"."""
    words = re.findall(r"[\w'-]+", text)
    return (
        len(words) > 1
        and "'" not in text
        and all(word[:1].isupper() or word.isdigit() or word in _SMALL for word in words)
    )


def without_bullet(line: str) -> str:
    """A line without its number or dash."""
    bullet = _BULLET.match(line)
    return line[bullet.end() :] if bullet else line


def read_short_lines(lines: list[str], several: bool) -> list[Reading]:
    """The names of a list of short lines; empty where it is none.

    Args:
        lines: With their numbers or dashes.
        several: Whether the reply has other lines beside them.
    """
    alike = len({bool(_BULLET.match(line)) for line in lines}) == 1  # else a name, and a list of what it looks like
    items = [without_bullet(line) for line in lines]
    if len({item.rstrip().endswith(".") for item in items}) > 1:
        return []  # a description, and a name
    if several and alike and all(map(is_short, items)) and not any(map(flag_of, items)):
        return _together([read_name(item) for item in items])
    return []


def without_key(text: str) -> str:
    """What stands behind a key: "Pug" of "My best label: Pug"."""
    return _KEY.sub("", text, count=1)


def from_phrase(text: str) -> list[Reading]:
    """Names of a text that is no sentence, or one reading with the flag that says why there is none."""
    *before, last = _ARROW.split(text)
    if before and not read_name(last).name:
        last = before[0]
    if latin := _latin_and_common(last):
        return [latin]
    head, _, rest = last.partition(" - ")
    if rest and not read_name(head).name and read_name(rest).name:
        last = rest
    phrase = _INSTEAD.sub("", _BROADER.sub("", without_key(last), count=1))
    also = _ALSO.search(phrase)
    if also and "(" not in phrase[: also.end()] and (named := _renamed(phrase[: also.start()], phrase[also.end() :])):
        return [named]
    return _together([read_name(part) for part in _SEVERAL.split(phrase)])


def named_first(text: str) -> list[Reading]:
    """The name that a text begins with, before words about it: "Caspian Tern, not Royal Tern"; else empty."""
    shorter = _TAIL.sub("", text)
    if shorter != text and shorter and is_short(shorter) and (found := from_phrase(shorter))[0].name:
        return found if found[0].name[:1].isupper() else []
    first = _FIRST.match(text)
    reading = read_name(first[1]) if first and is_short(first[1]) else None
    return [reading] if reading and reading.name else []


def _latin_and_common(text: str) -> Reading | None:
    """The one class of "Vanessa atalanta - Red admiral", "Common daisy: Bellis perennis"; else ``None``."""
    bare = re.sub("[*_]", "", text)
    match = _LATIN_FIRST.fullmatch(bare) or _LATIN_LAST.fullmatch(bare)
    if not match or not LATIN_ENDING.search(match["latin"]):
        return None
    reading = read_name(match["common"])
    return (
        replace(reading, scientific=match["latin"])
        if reading.name and latin_name(reading.name) != match["latin"]
        else None
    )


def _renamed(before: str, after: str) -> Reading | None:
    """The one class of "X, commonly known as Y": Y where X is Latin, else X."""
    first, second = read_name(before), read_name(after)
    latin = latin_name(first.name)
    if latin and LATIN_ENDING.search(latin) and second.name:
        return replace(second, scientific=latin)
    return first if first.name else None


def _together(readings: list[Reading]) -> list[Reading]:
    """Readings of the parts of one answer, without the parts that are no name of their own."""
    first, *others = readings
    if len(others) == 1 and (latin := latin_name(others[0].name)) and LATIN_ENDING.search(latin):
        return [replace(first, scientific=latin)]
    # "Yoghurt, natural": what follows in lower case describes
    return [first, *(other for other in others if first.name.islower() or not other.name.islower())]
