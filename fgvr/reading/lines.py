"""Lines with a field and its value, and short lines that are a list of names."""

import re
from dataclasses import replace

from fgvr.reading.fields import is_aside, is_confidence, is_latin, is_name_field, place_of
from fgvr.reading.kinds import ReplyKind
from fgvr.reading.names import Reading, read_name
from fgvr.reading.no_answers import flag_of
from fgvr.reading.phrases import is_short, read_short_lines
from fgvr.reading.plain import plain
from fgvr.reading.scores import by_score, confidence_of, grade_of, split_score
from fgvr.reading.tables import without_tables
from fgvr.reading.values import readings_of
from fgvr.vocabulary.build import fold_name

# "**Common name:** House Finch", "- Breed = Pug"
_KEYED = re.compile(
    r"[\s*_#>-]{0,9}((?:\d{1,2}(?:st|nd|rd|th)|[^\W\d_](?:[^\n:=*_|]|_(?=\w)){1,60}?|[^\W\d_a-zA-Z]))[\s*_]{0,9}"
    r"(?:[:=]|(?P<arrow>\u2192|->|=>|(?<=\s)[-\u2013](?=\s)))[\s*_]{0,9}(\S.{0,200})"
)
_MAX_LINES = 200
_SECTION = re.compile(r"\[{1,2}[\w .-]{1,40}\]{1,2}")  # of TOML
_BOX = re.compile(r"\s*[-*+\u2022]?\s*\[(?P<tick>[ xX\u2713\u2714])\]\s*(?=\S)")
_SIGN = re.compile(r"\s*(?:[\u2023\u00b7\u25aa\u25e6\u27a4\u25ba\u2192\u2043\u2219]|=>)\s*(?=\S)")
_NUMBERED = re.compile(
    r"\s*(?:[(\[](\d{1,2})[)\]]|#(\d{1,2})\b[.:)]?|(\d{1,2})\.\)|(\d{1,2})\s?[-\u2013:](?=\s)|"
    r"(\d{1,2})\ufe0f?\u20e3|(\d{1,2})(?=\s[^\W\d]))"
    r"\s*(?=\S)"
)
_ROMAN = re.compile(r"\s*(?:i{1,3}|iv|v|vi{1,3})[.)]\s+(?=\S)")
_ITEM = re.compile(r"\s*(?:\d{1,2}[.)]|[-*\u2022])\s+\S")
_GUESSES = re.compile(r"\b(?:guesses|candidates|predictions|options|matches|choices)\b", re.IGNORECASE)
_BULLET = re.compile(r"\s?(?:\d{1,3}[.):]|[-*\u2022+](?=\s))\s?")
_AGAIN = re.compile(r"\b(?:wait|actually|correction|hmm|on closer)\b", re.IGNORECASE)
_FIRST_NUMBER = re.compile(r"\d{1,3}[.)]\s+(?=[^\W\d_a-z])")
_ASSIGNED = re.compile(
    r"(?:([A-Za-z_]\w{1,40})\s?=\s?(?:\"([^\"\n]{1,100})\"|'([^'\n]{1,100})'|([\w.%-]{1,40}))[\s,;]*)"
)
_CHAIN = re.compile(r"\s(?:>|\u2192|->|=>|\u203a|\u00bb|>>)\s")


class KeyedReply(ReplyKind):
    """Lines with a field and its value: "Common name: House Finch"; or short lines that are a list of names."""

    examples = (
        ("Common name: House Finch\nScientific name: Haemorhous mexicanus", "House Finch"),
        ("- Breed = Pug\n- Confidence = 90%", "Pug"),
        ("1. Royal Tern\n2. Elegant Tern", "Royal Tern"),
        ("Pug\nConfidence: 90%", "Pug"),
        ("Snake: Ball Python\nConfidence: 90%", "Ball Python"),
        ("Nombre com\u00fan: Vencejo com\u00fan\nNombre cient\u00edfico: Apus apus", "Vencejo com\u00fan"),
        ("\u54c1\u79cd\uff1a\u67f4\u72ac", "\u67f4\u72ac"),
        ("Skylark: 20%\nCorn Bunting: 80%", "Corn Bunting"),
        ("- [ ] Skylark\n- [x] Corn Bunting", "Corn Bunting"),
        ("Primary: Corn Bunting\nSecondary: Skylark", "Corn Bunting"),
        ('label="Corn Bunting" confidence=0.9', "Corn Bunting"),
        ("Bird > Passerine > Bunting > Corn Bunting", "Corn Bunting"),
    )

    def read(self, text: str) -> list[Reading] | None:
        """See the base class."""
        bare = plain(without_tables(text))
        if "\n" not in bare:
            if len(bare) > 400:
                return None
            if (found := _one_line(bare)) is not None:
                return found
        if bare.count("\n") > _MAX_LINES:
            return None
        lines = _listed([line for line in bare.splitlines() if line.strip() and not _SECTION.fullmatch(line.strip())])
        items = [_without_bullet(line) for line in lines]
        keyed = [_KEYED.fullmatch(item) for item in items]
        if found := _from_pairs(
            [
                (pair[1].strip(), pair[3].strip(" \"'"))
                for pair in keyed
                if pair and not pair["arrow"] and is_short(pair[3])
            ],
            len(items),
            bool(_AGAIN.search(bare)),
        ):
            return found
        stated = {item: pair[3] for item, pair in zip(items, keyed, strict=True) if pair and is_confidence(pair[1])}
        confidence = next(map(confidence_of, stated.values()), None)
        left = [line for line, item in zip(lines, items, strict=True) if item not in stated]
        if len(left) > 1 and (scored := _scored([_without_bullet(line) for line in left])):
            return scored
        readings = read_short_lines(left, "\n" in bare)
        return [replace(readings[0], confidence=confidence), *readings[1:]] if readings else None


def _without_bullet(line: str) -> str:
    bullet = _BULLET.match(line)
    return line[bullet.end() :] if bullet else line


def _from_pairs(pairs: list[tuple[str, str]], lines: int, corrected: bool) -> list[Reading] | None:
    if any(is_name_field(key) for key, _ in pairs):
        found = _together(pairs)
        return list(readings_of(found[-1] if corrected and isinstance(found, list) else found))
    folded = [fold_name(key) for key, _ in pairs]
    if len(pairs) < lines or len(pairs) < 2:
        return None
    others = [
        pair
        for key, pair in zip(folded, pairs, strict=True)
        if not (is_confidence(key) or is_latin(key) or is_aside(key))
    ]
    if all(place_of(fold_name(key)) is not None for key, _ in others) and others:
        return list(readings_of(dict(pairs)))
    if len(others) == 1 and len(pairs) > 1 and confidence_of(others[0][1]) is None:
        return list(readings_of(dict(pairs))) or None
    return None


def _together(pairs: list[tuple[str, str]]) -> object:
    """Fields as a mapping, or as several where a key comes again."""
    rows: list[dict[str, str]] = [{}]
    for key, value in pairs:
        if key in rows[-1]:
            rows.append({})
        rows[-1][key] = value
    return rows[0] if len(rows) == 1 else [row for row in rows if any(map(is_name_field, row))]


def _one_line(line: str) -> list[Reading] | None:
    """What one line says that is fields side by side, names with scores, or a chain from coarse to fine."""
    assigned = _ASSIGNED.findall(line) if "=" in line and not _ASSIGNED.sub("", line).strip() else []
    if any(is_name_field(key) for key, *_ in assigned):
        return list(readings_of({key: double or single or bare for key, double, single, bare in assigned}))
    parts = [part.strip() for part in re.split(r"\s[|\u00b7]\s", line)]
    if len(parts) > 1:
        keyed = [_KEYED.fullmatch(part) for part in parts]
        pairs = [(pair[1], pair[3]) for pair in keyed if pair]
        if any(is_name_field(key) for key, _ in pairs):
            return list(readings_of(dict(pairs)))
        if not pairs and read_name(parts[0]).name and confidence_of(parts[-1]) is not None:
            first = read_name(f"{parts[0]} ({parts[1]})" if len(parts) > 2 else parts[0])
            return [replace(first, confidence=confidence_of(parts[-1]))]
    chain = _CHAIN.split(line)
    if len(chain) > 2 and all(map(is_short, chain)):
        return [read_name(chain[-1])]
    pair = _KEYED.fullmatch(line)
    if (
        pair
        and (not line.isascii() or pair["arrow"] or pair[1][-1].isdigit())
        and is_name_field(pair[1])
        and not flag_of(line)
    ):
        return list(readings_of(pair[3]))
    scored = _scored([part.strip() for part in re.split(r",\s(?=\S)|;\s", line)])
    if scored:
        return scored
    if len(listed := line.split("\u3001")) > 1 and all(0 < len(part) <= 12 for part in listed):
        return [reading for reading in map(read_name, listed) if reading.name] or None
    sign = _SIGN.match(line) or _FIRST_NUMBER.match(line)
    return list(readings_of(line[sign.end() :])) if sign else None


def _scored(items: list[str]) -> list[Reading]:
    """Names with their scores, best first; empty where not each item has one."""
    rows = []
    for item in items:
        pair = _KEYED.fullmatch(item)
        if pair and not pair["arrow"] and (order := grade_of(pair[3])) is not None:
            rows.append({"name": pair[1].strip(" *_"), "confidence": order})
            continue
        name, confidence, order = split_score(item)
        if order is None or is_name_field(name) or is_confidence(name) or not is_short(name):
            return []
        rows.append({"name": name, "confidence": order if confidence is None else confidence})
    readings = []
    for row in by_score(rows):
        reading = read_name(str(row["name"]))
        value = row["confidence"]
        readings.append(replace(reading, confidence=value if isinstance(value, float) and value <= 1 else None))
    return readings if readings and readings[0].name else []


def _listed(lines: list[str]) -> list[str]:
    """The lines of a list, with bullets of one kind, without what introduces and ends it."""
    if lines and lines[0].rstrip(" *_").endswith(":") and len(lines) > 1:
        introduced = len(lines[0]) <= 60 and bool(_GUESSES.search(lines[0]))
        lines = lines[1:]
        listed = [line for line in lines if _ITEM.match(line)]
        if (
            introduced
            and len(listed) > 1
            and lines[: len(listed)] == listed
            and not any(_KEYED.fullmatch(line) for line in listed)
        ):
            lines = listed
    boxes = [_BOX.match(line) for line in lines]
    if lines and all(boxes):
        return [f"- {line[box.end() :]}" for line, box in zip(lines, boxes, strict=True) if box and box["tick"].strip()]
    for pattern in (_SIGN, _ROMAN):
        marks = [pattern.match(line) for line in lines]
        if lines and all(marks):
            return [f"- {line[mark.end() :]}" for line, mark in zip(lines, marks, strict=True) if mark]
    numbers = [_NUMBERED.match(line) for line in lines]
    if len(lines) > 1 and all(numbers):
        found = [next(filter(None, number.groups())) for number in numbers if number]
        if found == [str(index + 1) for index in range(len(lines))]:
            return [
                f"{index}. {line[mark.end() :]}"
                for index, line, mark in zip(found, lines, numbers, strict=True)
                if mark
            ]
    return lines
