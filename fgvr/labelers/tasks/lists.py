"""Lists in replies: JSON, Python, bullets, numbers, commas; and objects whose keys are what is listed."""

import json
import re
from collections.abc import Iterable

from fgvr.labelers.tasks.reading import one_line, read_object
from fgvr.reading.thoughts import without_thoughts

_MAX_REPLY = 40_000
_MAX_CHARACTERS = 100
_EDGES = " \t.,;:\"'`*_{}[]<>"

_BRACKETS = re.compile(r"\[([^\[\]{}]*)\]")
# what stands between quotes; an apostrophe inside a word ends none
_QUOTED = re.compile(r"\"([^\"\n]+)\"|(?<!\w)'((?:[^'\n]|'(?=\w))+)'")
_ITEM = re.compile(r"^[^\S\n]*(?:[-*+\u2022\u2013]|\(?\d{1,3}[.):])[^\S\n]+(\S[^\n]*)", re.MULTILINE)
# "**Bill shape**: whether it is ...", "Bill shape - whether it is ..."
_EXPLANATION = re.compile(r"\s*:\s.*|\s*:\*{0,2}$|\s+[-\u2013\u2014]\s+.*")
_BETWEEN = re.compile(r"\s*[,;\n]\s*(?:(?:and|or)\s+)?")
_LAST_PAIR = re.compile(r"\s+(?:and|or)\s+")
_KEY = re.compile(r"\"((?:[^\"\\\n]|\\.){1,300})\"\s*:\s*(?=[\[{\"])")


def read_list(raw: str) -> list[str]:
    """What a reply lists, each once, letter case aside; empty where it lists nothing.

    A JSON object counts by its longest list, a Python list by its quoted texts. Of lines with bullets or numbers the
    explanation behind a colon or a dash is left out. Else what commas divide is a list, if it has three parts or more.
    """
    text = plain_reply(raw)
    stated = read_object(text)
    if stated:
        lists = [value for value in stated.values() if isinstance(value, list)]
        if lists:
            return _distinct(item for item in max(lists, key=len) if isinstance(item, str))
    bracketed = [_items(match[1]) for match in _BRACKETS.finditer(text)]
    if bracketed and (longest := max(bracketed, key=len)):
        return _distinct(longest)
    if len(lines := _ITEM.findall(text)) > 1:
        return _distinct(_EXPLANATION.sub("", line.replace("**", "")) for line in lines)
    listed = max((part.rpartition(":")[2] for part in text.split("\n")), key=lambda part: part.count(","))
    return _distinct(split_list(listed)) if listed.count(",") > 1 else []


def split_list(text: str, most: int | None = None) -> list[str]:
    """The parts of "a, b and c"; the text alone where it has no comma.

    Args:
        text: The list.
        most: Where commas give as many parts, an "and" is part of a name: "Beagle, Pug, Black and Tan Coonhound".
    """
    *parts, last = _BETWEEN.split(text.strip(" ."))
    if not parts or (most is not None and len(parts) + 1 >= most):
        return [*parts, last]
    return [*parts, *_LAST_PAIR.split(last)]


def read_keys(raw: str) -> tuple[dict[str, object], bool]:
    """The keys of the object in a reply, in their order, with their values, be the object damaged or cut off.

    Returns:
        The keys, and whether the object is whole; where it is not, values are ``None``.
    """
    text = plain_reply(raw)
    start = text.find("{")
    while start >= 0:
        try:
            value, _ = json.JSONDecoder().raw_decode(text, start)
        except (ValueError, RecursionError):
            break
        if value:
            return dict(value), True
        start = text.find("{", start + 1)
    # commas that are missing or too many, no brackets around it, a fence: keys are keys nevertheless
    return {json_text(key): None for key in _KEY.findall(text[max(start, 0) :])}, False


def json_text(quoted: str) -> str:
    """What stands between the quotes of a JSON text, without its escapes."""
    try:
        return str(json.loads(f'"{quoted}"', strict=False))
    except ValueError:
        return quoted


def clean_item(text: str) -> str:
    """An item as a phrase: in one line, without markup around it; ``""`` where it is no phrase."""
    item = one_line(text).strip(_EDGES)
    if item.count("(") > item.count(")"):
        item = f"{item})"
    return item if len(item) <= _MAX_CHARACTERS and any(map(str.isalpha, item)) else ""


def plain_reply(raw: str) -> str:
    """At most 40,000 characters of a reply, the last ones unless it thinks first; without thoughts."""
    return without_thoughts(raw[-_MAX_REPLY:] if "<think" not in raw[:100] else raw[:_MAX_REPLY])


def _items(inside: str) -> list[str]:
    """The items of a list in brackets: what is quoted, else what commas divide."""
    quoted = [double or single for double, single in _QUOTED.findall(inside)]
    return quoted or (inside.split(",") if "," in inside else [])


def _distinct(items: Iterable[str]) -> list[str]:
    found: dict[str, str] = {}
    for item in map(clean_item, items):
        if item:
            found.setdefault(item.casefold(), item)
    return list(found.values())
