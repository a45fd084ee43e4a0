"""Raw reply -> class names.

A multimodal LLM asked for a name answers with anything from one word to an essay with headings, in JSON or not. What
comes out here is a bare class name, or the reason why there is none. The shapes were collected from real replies of
several models; no list of classes is used, so that a reply about any kind of thing can be read.
"""

import html
import json
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from fgvr.labelers.reading.names import LATIN_ENDING, Reading, is_generic, latin_name, read_name
from fgvr.labelers.reading.prose import HEADING, SENTENCE_END, names_in_prose
from fgvr.vocabulary.build import APOSTROPHES, HYPHENS, fold_name

_MAX_REPLY = 10_000
_MAX_NAMES = 10
_MAX_DEPTH = 4
_MAX_BRACKETS = 20

_NAME_KEYS = (
    "commonname", "name", "label", "class", "answer", "prediction", "guess", "breed", "model", "species",
    "identification", "classification", "result",
)  # fmt: skip
_LATIN_KEYS = ("scientificname", "latinname", "binomialname", "binomial", "scientific", "latin")
_LIST_KEYS = ("candidates", "names", "labels", "predictions", "answers", "results")
_OTHERS = "alternat"  # how keys of further possibilities begin: "alternatives", "alternative_names", "alternates"

# ```json
# {"breed": "Pug"}
# ```
_FENCE = re.compile(r"```[\w-]{0,20}\s?(.*?)(?:```|\Z)", re.DOTALL)
# "{" of 'Here is the JSON: {"breed": "Pug"}'
_JSON = re.compile(r"""[{\[]\s{0,20}["']|\[\s{0,20}\{\s{0,20}["']""")
_JSON_MARK = re.compile(r'"(?:[^"\\]|\\.)*+"|["{}\[\],]', re.DOTALL)  # a string, a bracket, a comma or a string cut off
_EXTRA_COMMA = re.compile(r",(?=\s{0,20}[}\]])")
# '"breed": "Pug"' in '{"breed": "Pug" "colo'
_PAIR = re.compile(r'"([^"\n]{1,60})" ?: ?"([^"\n]{1,200})"')
# "'breed': 'Pug'" in "{'breed': 'Pug'}"
_PYTHON_PAIR = re.compile(r"""'([^'"\n]{1,60})' ?: ?(["'])([^\n]{1,200}?)\2(?=\s{0,20}[,}])""")
_PERCENT = re.compile(r"(?<![\d.,-])(\d{1,3}(?:[.,]\d{1,9})?)\s?%")  # "90%" of "high (90%)"
_NUMBER = re.compile(r"\d{1,3}(?:[.,]\d{1,9})?")
_BOXED = re.compile(r"\\boxed\{(?:\\text\w{0,3}\{)?([^{}\n]{1,100})\}")  # "\boxed{\text{Pug}}" of models that reason
_TYPOGRAPHY = str.maketrans(
    dict.fromkeys(APOSTROPHES.replace("`", ""), "'")  # backticks are markup here
    | dict.fromkeys(HYPHENS.replace("\u00ad", ""), "-")  # a soft hyphen is not shown
    | {"\u2014": " - ", "\u2015": " - ", "\u201c": '"', "\u201d": '"', "\u00d7": "x"}
)
# "<script>alert(1)</script>", "<style>..."
_SCRIPT = re.compile(r"<(script|style)\b.*?(?:</\1[^<>]{0,20}>|\Z)", re.DOTALL | re.IGNORECASE)
_TAG = re.compile(r"<[^<>]{0,300}>")
_LINK = re.compile(r"!?\[([^\[\]\n]{1,100})\]\([^()\s]{0,300}\)")  # "[Pug](https://example.org/pug)"
_GREETING = re.compile(r"\A(?:sure|certainly|of course|ok|okay|hello|hi|yes)[,.!]\s+", re.IGNORECASE)
_BULLET = re.compile(r"\s?(?:\d{1,3}[.):]|[-*•+](?=\s))\s?")  # of "1. Royal Tern", "2) Royal Tern", "- Royal Tern"
# "B. " of "B. Pug", "The correct answer is (B) " of "The correct answer is (B) Pug", not "E. " of "E. coli"
_CHOICE = re.compile(
    r"\A[\s*]{0,4}(?:(?:the\s)?(?:(?:correct|best|final|right)\s)?(?:answer|option|choice)(?:\sis)?:?[\s*]{0,4})?"
    r"(?:\([A-H]\)|[A-H][.)]|(?<=\s)\d[.:)])\s(?=[*\s]{0,4}(?-i:[A-Z]))",
    re.IGNORECASE,
)
_ROW = re.compile(r"\A\s?\|([^|\n]{1,60})\|([^|\n]{1,200})\|\s?\Z")  # "| Breed | Pug |"
# "**Common name:** House Finch", "- Breed = Pug"
_KEYED = re.compile(r"[\s*_#>-]{0,9}([A-Za-z][A-Za-z -]{2,60}?)[\s*_]{0,9}[:=][\s*_]{0,9}(\S.{0,200})")
# "Best label:" of "Best label: Pug", but not "Pug:" of "Pug: 95%"
_KEY = re.compile(r"[\s*_]{0,9}[A-Za-z][A-Za-z -]{2,60}?[\s*_]{0,9}[:=](?=[\s*_])(?![\s*_]{0,9}\d[\d.]{0,9}\s?%?$)")
# "A terrier, specifically" of "A terrier, specifically a Cairn Terrier"
_BROADER = re.compile(r".{0,100},\s(?:more\s)?specifically(?=\s)", re.IGNORECASE)
_SEVERAL = re.compile(r"\sor\s|[,;](?!\s(?:19|20)\d\d)")  # "Royal Tern or Elegant Tern", but not "Acura RL, 2009"
# "is" of "This is a Pug", "'s a" of "That's a Pug", "'t" of "can't"
_SENTENCE_WORD = re.compile(
    r"\b(?:is|are|was|be|appears?|seems?|looks?|shows?|depicts?|showcases?|displays?|contains?|resembles?|can|"
    r"could|may|might|would|need|not|cannot|has|have|this|it|its|you|me|my|we|let|here|thanks?|please|question|think|"
    r"believe|sorry|unable|unfortunately|likely|based)\b|\w'(?:s\s+an?|t)\b",
    re.IGNORECASE,
)
# Sentences that are not read, most of them because of their language, so that they do not become classes. It has only
# words that no name of a breed, a dish or a species has: not "sind", because of the Sind Sparrow.
_UNREAD_SENTENCE = re.compile(
    # "Das ist ein Dackel", "Das Bild zeigt einen Dackel", "Il s'agit d'un teckel", "To jest jamnik"
    r"\b(?:ist|zeigt|lautet|handelt\s+sich|s'agit|jest)\b"
    # "Le chien est un teckel", "La raza es el teckel", "Questo è un bassotto", "Este é um teckel", "Det är en tax"
    r"|\b(?:est|es|è|é|är|er)\s+(?:une?|una|uno|uma?|ett?|en|el|la|le|il|lo)\b"
    # "C'est probablement un teckel", "Ich sehe einen Dackel", "No puedo ver la raza", "I'd say Dachshund"
    r"|\A\W*(?:c'est|ceci\s+est|esto\s+es|questo\s+è|ich|je|ik|yo|no\s+puedo|non\s+posso|não\s+posso|i(?:'\w+)?)(?=\s)"
    # "Это такса", "这是腊肠犬", "これは..."
    r"|\A\W*(?:это\s|这是|這是|これは)",
    re.IGNORECASE,
)
# "cannot tell the breed", "not enough detail", "would need a clearer photo"
_REFUSAL = re.compile(
    r"\b(?:can(?:not|'t|\snot)|unable\sto|not\s(?:able|possible|enough|sufficient|clear)|impossible|"
    r"do(?:es)?(?:\snot|n't)|sorry|apologi[sz]e|(?:would|I'd)\sneed|insufficient|challenging|difficult)\b",
    re.IGNORECASE,
)
# "2009", but not in "2009s", "1990-2009", "2009 or later"
_YEAR = r"(?<![\d-])(?:19|20)\d\d(?![\d-]|s\b|\s+or\s+later|\s+onwards?\b)"
# "2009 to 2012", "2009-12"
_YEAR_RANGE = re.compile(r"\b(?:19|20)\d\d\s*(?:[-/]|to|through|and|or|until)\s*(?:19|20)?\d\d\b")
# "a 2009 model", "the model year is likely 2009"
_MODEL_YEARS = (
    re.compile(rf"({_YEAR})\s+(?:model|production)\b", re.IGNORECASE),
    re.compile(rf"\b(?:model|production)\s+years?\b[^.\n]{{0,80}}?(?<!from )(?<!between )({_YEAR})", re.IGNORECASE),
)


@dataclass(frozen=True, slots=True)
class ParsedReply:
    """What a reply says.

    Attributes:
        names: Class names, best first; empty exactly where ``flag`` is set. Each has at most 60 characters and 8 words.
        scientific_names: One entry per name: the Latin name given beside it, else ``None``.
        flag: ``""``, ``"empty"``, ``"refusal"``, ``"generic"`` or ``"unparsed"``, as in ``LabelRecord.flag``.
        confidence: How sure the reply says it is of the first name, in [0, 1]; ``None`` where it gives no number.
        alternatives: The names after the first, where only the first was asked for; else they are in ``names``.
    """

    names: tuple[str, ...]
    scientific_names: tuple[str | None, ...]
    flag: str
    confidence: float | None = None
    alternatives: tuple[str, ...] = ()


def parse_reply(raw: str, first_only: bool = False) -> ParsedReply:
    """Read the class names out of a reply.

    Args:
        raw: The reply as it came; untrusted. Only the first 10,000 characters are read.
        first_only: Whether ``names`` holds only the best name, and ``alternatives`` the others.

    Returns:
        The names, without markup, articles, Latin names, nicknames and words such as "breed" or "puppy".

    Example:
        >>> reply = parse_reply("The bird is a **House Finch** (*Haemorhous mexicanus*), not a sparrow.")
        >>> reply.names, reply.scientific_names
        (('House Finch',), ('Haemorhous mexicanus',))
        >>> parse_reply('{"common_name": "Pug", "confidence": "90 %", "alternatives": ["Boxer"]}', first_only=True)
        ParsedReply(names=('Pug',), scientific_names=(None,), flag='', confidence=0.9, alternatives=('Boxer',))
        >>> parse_reply("I can't tell which breed this is.").flag
        'refusal'
    """
    text = _plain(raw)
    if not text:
        return ParsedReply((), (), "empty")
    readings = list(_readings(text))
    names: dict[str, Reading] = {}
    for reading in readings:
        if reading.name:
            names.setdefault(fold_name(reading.name), reading)
    if names:
        best = list(names.values())[:_MAX_NAMES]
        answers = best[:1] if first_only else best
        return ParsedReply(
            names=tuple(reading.name for reading in answers),
            scientific_names=tuple(reading.scientific for reading in answers),
            flag="",
            confidence=best[0].confidence,
            alternatives=tuple(reading.name for reading in best[len(answers) :]),
        )
    flags = {reading.flag for reading in readings}
    return ParsedReply((), (), next((flag for flag in ("refusal", "generic") if flag in flags), "unparsed"))


def _plain(raw: str) -> str:
    """The reply without tags, link targets, characters that only control the display, and runs of spaces."""
    text = html.unescape(raw[:_MAX_REPLY]).translate(_TYPOGRAPHY)  # NFKC makes a space and more of an acute accent
    text = unicodedata.normalize("NFKC", text)[:_MAX_REPLY].rpartition("</think>")[2]
    text = _LINK.sub(r"\1", _TAG.sub("", _SCRIPT.sub("", text)))
    # category C is also halves of surrogate pairs
    text = "".join(char for char in text if char in "\n\t" or unicodedata.category(char)[0] != "C")
    return _CHOICE.sub("", _GREETING.sub("", re.sub(r"[^\S\n]+", " ", text).strip(), count=1), count=1)


def _readings(text: str) -> Iterator[Reading]:
    if boxed := _BOXED.findall(text):
        text = boxed[-1].strip() or text
    fenced = _FENCE.search(text)
    inner = (fenced[1].strip() if fenced else "") or text
    start = 0 if inner[:1] in ("{", "[") else next((match.start() for match in _JSON.finditer(inner)), len(inner))
    readings = list(_from_json(inner[start:])) if start < len(inner) else []
    yield from readings
    before = inner[:start].strip()
    introduces = before.endswith(":")  # "Here is the JSON:"
    if before and not introduces and not any(reading.name for reading in readings):
        yield from _from_lines(before) or _from_text(before)


def _from_json(text: str) -> Iterator[Reading]:
    value, complete = _decoded(text)
    readings = list(_from_value(value, depth=0))
    yield from readings or [Reading("", None, "refusal" if complete else "unparsed")]


def _decoded(text: str) -> tuple[object, bool]:
    """The first JSON value of a text, or what can be read of it, and whether nothing had to be mended."""
    decoder = json.JSONDecoder(strict=False)  # line breaks in strings too
    for attempt in (text, *_mended(_EXTRA_COMMA.sub("", text))):
        try:
            return decoder.raw_decode(attempt)[0], attempt == text
        except (ValueError, RecursionError):
            continue
    pairs: dict[str, str] = {}
    for key, value in (*_PAIR.findall(text), *((key, value) for key, _, value in _PYTHON_PAIR.findall(text))):
        pairs.setdefault(key, value)  # the answer is before its alternatives
    return pairs, False


def _mended(text: str) -> Iterator[str]:
    """JSON with its brackets closed: as far as it goes, then without its last part.

    A list of plain names that was cut off is left out, unless it is all there is.
    """
    closing: list[str] = []
    cut, before = "", ""
    for mark in _JSON_MARK.finditer(text):
        if mark[0] in ("{", "["):
            closing.insert(0, "}" if mark[0] == "{" else "]")
        elif mark[0] == '"' or (mark[0] in ("}", "]") and (not closing or closing.pop(0) != mark[0])):
            break
        elif mark[0] == "," and closing and (closing[0] == "}" or len(closing) == 1 or before == "}"):
            cut = "".join((text[: mark.start()], *closing))
        if len(closing) > _MAX_BRACKETS:
            return
        before = mark[0]
    if not text[-1:].isdigit():  # "8" may have been to become "85"
        yield "".join((text, *closing))
    if cut:
        yield cut


def _from_value(value: object, depth: int) -> Iterator[Reading]:
    if isinstance(value, str):
        if text := _plain(value):  # again, because JSON has its own way to write characters: "Anna\\u2019s Hummingbird"
            yield from _from_text(text)
    elif isinstance(value, list) and depth < _MAX_DEPTH:
        for item in value[:_MAX_NAMES]:
            yield from _from_value(item, depth + 1)
    elif isinstance(value, dict) and depth < _MAX_DEPTH:
        yield from _from_mapping(value, depth + 1)


def _from_mapping(mapping: Mapping[str, object], depth: int) -> Iterator[Reading]:
    values = {fold_name(key): value for key, value in mapping.items()}
    latin = next((value for key in _LATIN_KEYS if isinstance(value := values.get(key), str)), "")
    name = next((values[key] for key in _name_keys(values) if values[key]), None)
    numbers = (_confidence(values[key]) for key in values if _is_confidence(key))
    confidence = next((number for number in numbers if number is not None), None)
    if isinstance(name, str) and isinstance(values.get("make"), str):
        name = " ".join(str(values[key]) for key in ("make", "model", "year") if values.get(key))
    if name is None and (len(values) == 1 or all(key.isdigit() for key in values)):
        name = list(values.values())
    readings = list(_from_value(name, depth))
    unnamed = not any(reading.name for reading in readings) and not (isinstance(name, str) and is_generic(name))
    if unnamed and latin_name(latin) and "breed" not in values:  # all breeds of dogs share one Latin name
        readings = [Reading(latin_name(latin) or "")]
    for position, reading in enumerate(readings):
        if position == 0:
            reading = replace(
                reading,
                scientific=latin_name(latin) or reading.scientific,
                confidence=confidence if reading.confidence is None else reading.confidence,
            )
        yield reading
    for key in values:
        if key in _LIST_KEYS or key.startswith(_OTHERS):
            yield from _from_value(values[key], depth)


def _is_confidence(key: str) -> bool:
    return fold_name(key).startswith(("confidence", "probability", "certainty"))


def _confidence(value: object) -> float | None:
    """A confidence in [0, 1], from a number or a text: 0.9, 90, "90 %", "0,9", "high (90%)"; ``None`` for others."""
    percent = False
    if isinstance(value, str):
        numbers = _PERCENT.findall(value)
        percent = len(numbers) == 1
        number = numbers[0] if percent else value.strip(" *_~.")
        value = float(number.replace(",", ".")) if _NUMBER.fullmatch(number) else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 100:
        return None
    return value / 100 if percent or value > 1 else float(value)


def _from_lines(text: str) -> list[Reading]:
    """Names of a "key: value" reply or of a list of short lines; empty where the reply is neither."""
    lines = [line for line in text.splitlines() if line.strip()]
    if lines[0].rstrip(" *_").endswith(":"):
        lines = lines[1:]
    items = [_ROW.sub(r"\1:\2", _BULLET.sub("", line, count=1)) for line in lines]
    keyed = [_KEYED.fullmatch(item) for item in items]
    pairs = {pair[1]: pair[2] for pair in keyed if pair and _is_short(pair[2])}
    if _name_keys(map(fold_name, pairs)):
        return list(_from_mapping(pairs, depth=0))
    stated = {item: pair[2] for item, pair in zip(items, keyed, strict=True) if pair and _is_confidence(pair[1])}
    confidence = next(map(_confidence, stated.values()), None)
    named = [(line, item) for line, item in zip(lines, items, strict=True) if item not in stated]
    items = [item for _, item in named]
    alike = len({bool(_BULLET.match(line)) for line, _ in named}) == 1  # else a name, and a list of what it looks like
    if "\n" in text and alike and all(_is_short(item) for item in items):
        first, *others = _together([read_name(item) for item in items])
        return [replace(first, confidence=confidence), *others]
    return []


def _from_text(text: str) -> list[Reading]:
    if _is_short(text):
        return _from_phrase(text)
    opening = SENTENCE_END.split(text, maxsplit=1)[0]
    if _is_short(opening) and len(opening.split()) <= 6 and not opening.endswith(":") and not HEADING.search(opening):
        first, *others = _from_phrase(opening)
        if first.name:
            return [_dated(first, text), *others]
    found = names_in_prose(text)
    if found.readings:
        return [_dated(found.readings[0], text), *found.readings[1:]]
    title = read_name(opening)
    if opening.startswith("#") and title.name and not HEADING.search(title.name) and text.count(title.name) > 1:
        return [title]  # "# Pug", where the text says more of the Pug
    if _REFUSAL.search(text[:150]) or (not found.generic and _REFUSAL.search(text)):
        return [Reading("", None, "refusal")]
    return [Reading("", None, "generic" if found.generic else "unparsed")]


def _from_phrase(text: str) -> list[Reading]:
    """Names of a reply that is no sentence: "Label: House Finch", "a House Finch or a Purple Finch"."""
    phrase = _BROADER.sub("", _KEY.sub("", text, count=1), count=1)
    return _together([read_name(part) for part in _SEVERAL.split(phrase)])


def _together(readings: list[Reading]) -> list[Reading]:
    """Readings of the parts of one answer, without the parts that are no name of their own."""
    first, *others = readings
    if len(others) == 1 and (latin := latin_name(others[0].name)) and LATIN_ENDING.search(latin):
        return [replace(first, scientific=latin)]
    # "Yoghurt, natural": what follows in lower case describes
    return [first, *(other for other in others if first.name.islower() or not other.name.islower())]


def _dated(reading: Reading, text: str) -> Reading:
    """The reading with the model year behind its name, where the reply states exactly one."""
    text = _YEAR_RANGE.sub(" ", text)
    years = {year for pattern in _MODEL_YEARS for year in pattern.findall(text)}
    if len(years) != 1 or re.search(_YEAR, reading.name):
        return reading
    return replace(reading, name=read_name(f"{reading.name} {years.pop()}").name or reading.name)


def _is_short(text: str) -> bool:
    """Whether a text is too short, and without the words that make one, to be a sentence."""
    return (
        len(text) <= 100
        and len(text.split()) <= 10
        and not _SENTENCE_WORD.search(text)
        and not _UNREAD_SENTENCE.search(text)
        and not SENTENCE_END.search(text)
    )


def _name_keys(keys: Iterable[str]) -> list[str]:
    """The keys that hold a name, best first: "label" before "bestfinegrainedlabel"."""
    keys = [key for key in keys if key not in _LATIN_KEYS and not key.startswith(_OTHERS)]
    exact = [key for wanted in _NAME_KEYS for key in keys if key == wanted]
    return exact + [key for wanted in _NAME_KEYS for key in keys if key.endswith(wanted)]
