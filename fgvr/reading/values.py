"""Names in what a reply states as a structure: fields, lists, scores, whatever markup they came in."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from fgvr.reading.fields import (
    LATIN_KEYS,
    is_aside,
    is_confidence,
    is_field,
    is_further,
    is_latin,
    is_list,
    is_technical,
    is_weak,
    name_keys,
    place_of,
)
from fgvr.reading.json_values import json_values
from fgvr.reading.messages import message_of
from fgvr.reading.names import LATIN_ENDING, Reading, is_generic, latin_name, read_name
from fgvr.reading.plain import decoded, plain
from fgvr.reading.scores import by_score, order_of, split_score, stated
from fgvr.reading.texts import read_text
from fgvr.vocabulary.build import fold_name

_MAX_NAMES = 10
_MAX_DEPTH = 9

_FIRST = re.compile(
    r"^(?:final|conclu|answer|best|top|primary|result|output|identif|predict|first|rank1|1|select|mostlikely)"
)
_ERROR_KEYS = frozenset(("error", "errors", "detail", "exception", "traceback", "errormessage", "errorcode"))
_ENGLISH = ("en", "eng", "english", "enus", "engb", "commonen", "englishcommon")
# keys of translations: {"en": "Pug", "de": "Mops"}
_LANGUAGES = frozenset((
    *_ENGLISH, "de", "fr", "es", "pt", "it", "nl", "pl", "ru", "zh", "ja", "ko", "ar", "hi", "la", "lat", "latin",
    "german", "french", "spanish", "portuguese", "italian", "dutch", "polish", "russian", "chinese", "japanese",
    "korean", "arabic", "scientific", "local", "native", "common",
))  # fmt: skip
_COMMON = ("commonname", "common", "vernacularname", "vernacular", "englishname")
_FENCED = re.compile(r"\A```[\w-]{0,20}\s+(.*?)\s*```\Z", re.DOTALL)
_PATH = re.compile(r"\.(?:jpe?g|png|gif|webp|json|txt|py|html?)$|^https?:|^/", re.IGNORECASE)
_NUMBERED = re.compile(r"\A\d{1,2}[.)]\s+(?=[^\W\d_]{3})")
# "gpt-4o" under "model"
_MODEL = re.compile(
    r"(?:[\w-]+/)?(?:gpt|claude|gemini|qwen|llama|mistral|gemma|grok|deepseek|phi|internvl|pixtral|glm|o\d)\b.*",
    re.IGNORECASE,
)
_SLUG = re.compile(r"[a-z]+(?:_[a-z0-9]+)+|\d+")


def readings_of(value: object, depth: int = 0) -> Iterator[Reading]:
    """The names of a value as JSON has it, best first; the reading has a flag where a part that should name has none.

    Args:
        value: Text, a list or a mapping; what is neither says nothing.
        depth: How deep it lies in what was sent.
    """
    if isinstance(value, str):
        yield from _from_string(value, depth)
    elif isinstance(value, list) and depth < _MAX_DEPTH:
        for item in by_score(value)[:_MAX_NAMES]:
            if isinstance(item, list) and len(item) == 2 and isinstance(item[0], str) and not isinstance(item[1], str):
                item = {"name": item[0], "confidence": item[1]}
            yield from readings_of(item, depth + 1)
    elif isinstance(value, dict) and depth < _MAX_DEPTH:
        yield from _from_mapping(value, depth + 1)


def _from_string(value: str, depth: int) -> Iterator[Reading]:
    text = decoded(value).strip()  # again, because JSON has its own way to write characters: "Anna\\u2019s Hummingbird"
    if fenced := _FENCED.match(text):
        text = fenced[1]
    text = plain(text)
    if text[:1] in ("{", "[") and (inner := json_values(text)) and isinstance(inner[0].value, dict | list):
        yield from readings_of(inner[0].value, depth + 1)
    elif text:
        name, confidence, order = split_score(_NUMBERED.sub("", text, count=1))
        if order is None:
            yield from read_text(text)
        else:
            first, *others = read_text(name)
            yield from (replace(first, confidence=confidence), *others)


def _from_mapping(mapping: Mapping[str, object], depth: int) -> Iterator[Reading]:
    values = {fold_name(str(key)): value for key, value in mapping.items()}
    if (message := message_of(values)) is not None:
        yield from readings_of(message, depth)
        return
    if _is_translated(values):
        values = {"commonname" if key in _ENGLISH else key: value for key, value in values.items()}
    if len(values) > 1 and _MODEL.fullmatch(str(values.get("model"))):
        values = {key: value for key, value in values.items() if key != "model"}
    latin = _latin(values)
    if latin and latin != values.get("species") and latin.endswith(f" {values.get('species')}"):
        values = {key: value for key, value in values.items() if key != "species"}  # the epithet alone
    if _is_taxonomy(values):
        values = {key: value for key, value in values.items() if key != "class"}
    readings, tried = _named(values, depth)
    if not tried and not latin and not any(map(is_field, values)) and (scored := _scored(mapping)):
        yield from scored
        return
    if not tried and (not latin or any(map(is_confidence, values))):
        readings = _only(values, depth)
    if not any(reading.name for reading in readings) and not tried and not latin:
        readings = _deeper(values, depth) or readings
    if tried and not any(reading.name for reading in readings) and "generic" in {reading.flag for reading in readings}:
        left = {key: value for key, value in values.items() if key not in name_keys(values)}
        readings = [found for found in _only(left, depth) if found.name] or readings
    if not tried and latin and (common := next((values[key] for key in values if key.endswith("commonnames")), None)):
        readings = list(readings_of(common, depth))[:1]
    if not any(reading.name for reading in readings) and any(values.get(key) for key in _ERROR_KEYS):
        readings = [Reading("", None, "error")]
    unnamed = not any(reading.name for reading in readings) and not any(
        is_generic(str(values[key])) for key in name_keys(values)
    )
    if unnamed and latin and "breed" not in values:  # all breeds of dogs share one Latin name
        readings = [Reading(latin)]
    confidence = next((number for key in values if (number := stated(key, values[key])) is not None), None)
    genus = values.get("genus")
    for position, reading in enumerate(readings):
        if position == 0:
            reading = replace(
                reading,
                scientific=latin or reading.scientific,
                genus=genus.strip() if isinstance(genus, str) and genus.strip().isalpha() else reading.genus,
                confidence=confidence if reading.confidence is None else reading.confidence,
            )
        yield reading
    for key in values:
        if is_list(key) or is_further(key):
            yield from readings_of(_with_scores(key, values), depth)


def _named(values: Mapping[str, object], depth: int) -> tuple[list[Reading], bool]:
    """The names of the first of the fields of names that has one; and whether there was a field that says anything."""
    keys = [
        key for key in name_keys(values) if values[key] not in (None, "", [], {}) and not isinstance(values[key], bool)
    ]
    keys = [key for key in keys if not isinstance(values[key], int | float)]
    places = [place_of(key) for key in keys]
    if len(keys) > 1 and all(place is not None for place in places):
        ordered = sorted(keys, key=lambda key: place_of(key) or 0)
        return [reading for key in ordered for reading in readings_of(values[key], depth)][:_MAX_NAMES], True
    kept: list[Reading] = []
    for key in keys:
        value = values[key]
        if isinstance(value, str) and isinstance(values.get("make"), str) and key != "make":
            value = " ".join(str(values[part]) for part in ("make", "model", "year") if values.get(part))
        found = list(readings_of(value, depth))
        if any(reading.name for reading in found):
            common = next((other for other in keys if other in _COMMON and other != key), None)
            if common and (latin := latin_name(found[0].name)) and LATIN_ENDING.search(latin):
                named = list(readings_of(values[common], depth))
                if named and named[0].name:
                    return [replace(named[0], scientific=latin)], True
            return found, True
        kept = kept or found
    return kept, bool(keys)


def _only(values: Mapping[str, object], depth: int) -> list[Reading]:
    """The name of the one field that may be the answer, where no key is known to be one: {"snake": "Ball Python"}."""
    keys = [
        key
        for key, value in values.items()
        if isinstance(value, str | list)
        and value
        and not (is_confidence(key) or is_latin(key) or is_aside(key) or is_list(key) or is_further(key))
        and not (isinstance(value, list) and not all(isinstance(each, str) for each in value))
        and not (isinstance(value, str) and (_PATH.search(value) or _SLUG.fullmatch(value)))
    ]
    placed = [key for key in keys if place_of(key) is not None]
    if placed and len(keys) == len(placed):
        ordered = sorted(placed, key=lambda key: place_of(key) or 0)
        return [reading for key in ordered for reading in readings_of(values[key], depth)][:_MAX_NAMES]
    for usable in (
        [key for key in keys if _FIRST.match(key) and not is_technical(key)],
        [key for key in keys if not is_technical(key)],
        [key for key in keys if is_weak(key)],
    ):
        found = [(key, list(readings_of(values[key], depth))) for key in usable]
        named = [readings for _, readings in found if any(reading.name for reading in readings)]
        if len(named) == 1 or (named and usable and _FIRST.match(usable[0])):
            return named[0]
        if len(found) == 1:
            return found[0][1]
    return []


def _is_translated(values: Mapping[str, object]) -> bool:
    return len(values) > 1 and _LANGUAGES.issuperset(values) and not {"en", "english", "eng"}.isdisjoint(values)


def _is_taxonomy(values: Mapping[str, object]) -> bool:
    """Whether "class" is a rank above the species ("Aves"), as beside an order and a family."""
    return sum(rank in values for rank in ("kingdom", "phylum", "order", "family", "genus")) >= 2 or (
        isinstance(values.get("class"), str) and bool(_TAXON.fullmatch(str(values["class"]).strip()))
    )


_TAXON = re.compile(
    r"Aves|Mammalia|Insecta|Reptilia|Amphibia|Arachnida|Actinopterygii|Chondrichthyes|Magnoliopsida|"
    r"Liliopsida|Pinopsida|"
    r"Agaricomycetes|Gastropoda|Cephalopoda|Bivalvia|Malacostraca|Polypodiopsida|Plantae|Animalia|Fungi",
    re.IGNORECASE,
)


def _with_scores(key: str, values: Mapping[str, object]) -> object:
    """The list under a key, with the scores that a list beside it gives in the same order."""
    names = values[key]
    if isinstance(names, list) and names and all(isinstance(name, str) for name in names):
        for other, numbers in values.items():
            if (
                other != key
                and isinstance(numbers, list)
                and len(numbers) == len(names)
                and all(isinstance(number, int | float) for number in numbers)
            ):
                return [{"name": name, "confidence": number} for name, number in zip(names, numbers, strict=True)]
    return names


def _latin(values: Mapping[str, object]) -> str:
    """The Latin name that is stated; also where genus and species stand apart."""
    stated = next((value for key in LATIN_KEYS if isinstance(value := values.get(key), str)), "")
    if not stated:
        stated = next((value for key, value in values.items() if is_latin(key) and isinstance(value, str)), "")
    genus, species = values.get("genus"), values.get("species")
    if not stated and isinstance(genus, str) and isinstance(species, str) and species.islower() and " " not in species:
        stated = f"{genus.strip().capitalize()} {species.strip()}"
    return latin_name(stated) or ""


def _scored(mapping: Mapping[str, object]) -> list[Reading]:
    """Names that are keys: {"Corn Bunting": 0.7, "Skylark": 0.2}."""
    found: list[tuple[float | None, Reading]] = []
    silent = all(value in (None, "") or value == {} or value == [] for value in mapping.values())
    described = all(_describes(str(key), value) for key, value in mapping.items())
    if any(_is_no_name(fold_name(str(key))) for key in mapping):
        return []
    for key, value in mapping.items():
        inner = value if isinstance(value, dict) else {"confidence": value}
        confidence = next(
            (number for each in inner if (number := stated(fold_name(each), inner[each])) is not None), None
        )
        order = order_of(inner)
        latin = (
            latin_name(value) if isinstance(value, str) else _latin({fold_name(each): inner[each] for each in inner})
        )
        if value is False or value == 0:
            continue
        said = order is not None or silent or described or value is True or (latin and LATIN_ENDING.search(latin))
        if confidence is None and not said:
            return []
        if not str(key).isdigit():
            readings = list(read_text(plain(decoded(str(key)))))[:1]
            found += [
                (order, replace(each, scientific=latin or each.scientific, confidence=confidence)) for each in readings
            ]
    if all(order is not None for order, _ in found):
        found.sort(key=lambda pair: -(pair[0] or 0))
    return [reading for _, reading in found if reading.name] or [reading for _, reading in found]


def _is_no_name(key: str) -> bool:
    return is_aside(key) or is_technical(key)


def _describes(key: str, value: object) -> bool:
    """Whether a key is a name by its look, and its value a sentence about it, or a list of its features."""
    named = key[:1].isupper() and "_" not in key and bool(read_name(key).name)
    if isinstance(value, list):  # of features
        return named and bool(value) and all(isinstance(each, str) and each[:1].islower() for each in value)
    return named and isinstance(value, str) and len(value.split()) >= 4


def _deeper(values: Mapping[str, object], depth: int) -> list[Reading]:
    """Names of the parts of a mapping that has none itself: the answer before all others, and no drafts."""
    inner = [
        key for key in values if isinstance(values[key], dict | list) and not is_aside(key) and key not in _ERROR_KEYS
    ]
    for key in sorted(inner, key=lambda key: (not _FIRST.search(key), place_of(key) or 0)):
        if is_list(key) or is_further(key):
            continue
        readings = list(readings_of(values[key], depth))
        if any(reading.name for reading in readings):
            return readings
    return []
