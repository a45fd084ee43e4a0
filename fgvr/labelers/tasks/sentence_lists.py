"""Lists of sentences in replies: JSON, Python, numbers, bullets, lines, or a paragraph."""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from fgvr.labelers.tasks.lists import json_text, plain_reply
from fgvr.labelers.tasks.reading import is_refusal, unquoted, without_markup
from fgvr.reading.replies import ParsedReply, parse_reply
from fgvr.vocabulary.build import fold_name

_MAX_CHARACTERS = 400
_MAX_VALUES = 200

_OPEN = re.compile(r"[\[{]")
_QUOTED_LIST = re.compile(r"[\[{]\s*[\"']")
# a text between quotes, and whether it is a key; an apostrophe inside a word ends none
_QUOTED = re.compile(r"(?:\"((?:[^\"\\\n]|\\.)+)\"|(?<!\w)'((?:[^'\n]|'(?=\w))+)')(\s*:)?")
_ITEM = re.compile(r"[^\S\n]*(?:\*\*)?(?:[-*+\u2022\u2013]|\(?\d{1,3}[.):]\)?)(?:\*\*)?[^\S\n]+(?=\S)")
_HEADING = re.compile(r"\s*(?:#{1,6}\s|```|\*\*[^*\n]+\*\*\s*$|[-=_*]{3,}\s*$)")
# "**Plumage:** The House Finch has ...", "Sentence 3: The House Finch has ..."
_LABEL = re.compile(
    r"\s*(?:\*\*[^*\n]{1,60}(?::\s?\*\*|\*\*\s?:)|(?:sentence|template|caption|description)\s*\d*\s*:)\s+",
    re.IGNORECASE,
)
_SENTENCE_END = re.compile(r"(?<=[^\W\d_]{3}[.!?])\s+(?=[A-Z\"\u201c])")
# what a model says to whoever asked, and not about a class
_TO_US = re.compile(
    r"(?:i|i'[a-z]+|sure|certainly|absolutely|of\s+course|okay|ok|here\s+(?:are|is|you)|here's|let\s+me|note|please"
    r"|feel\s+free|would\s+you|do\s+you|if\s+you|hope|thank|each\s+(?:sentence|template)"
    r"|these\s+(?:sentences|templates))\b",
    re.IGNORECASE,
)


def read_sentences(raw: str, key: str = "") -> list[str]:
    """The sentences that a reply lists, in their order, each once; empty where it lists none.

    Of JSON the texts count, not the keys; of a damaged list what stands between quotes; of lines those with bullets or
    numbers, if there are two or more; else every sentence. Headings, refusals and what is said to whoever asked ("Here
    are ten sentences:") are none.

    Args:
        raw: The reply.
        key: Of a JSON object with several lists, what is wanted under this key alone, spelling aside.
    """
    text = plain_reply(raw)
    found, is_object = _of_json(text, fold_name(key))
    if not found and not is_object:
        found = _of_quotes(text) or _of_lines(text)
    return _distinct(map(_cleaned, found))


def why_none(raw: str) -> ParsedReply:
    """What a reply without a usable sentence is read as: its flag."""
    if is_refusal(without_markup(raw)):
        return ParsedReply((), (), "refusal")
    flag = parse_reply(raw).flag
    return ParsedReply((), (), flag if flag in ("empty", "refusal", "error") else "unparsed")


def _of_json(text: str, key: str) -> tuple[list[str], bool]:
    """The texts of all lists and objects of the reply that can be read as JSON, and whether there is an object."""
    decoder, start = json.JSONDecoder(strict=False), 0
    found: list[str] = []
    is_object = False
    for _ in range(_MAX_VALUES):
        if (opening := _OPEN.search(text, start)) is None:
            break
        try:
            value, start = decoder.raw_decode(text, opening.start())
        except (ValueError, RecursionError):
            start = opening.end()
        else:
            found += _texts(value, key)
            is_object |= isinstance(value, dict) and bool(value)
    return found, is_object


def _texts(value: Any, key: str) -> Iterator[str]:
    # no recursion: how deep the reply is, it says itself
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, str):
            yield each
        elif isinstance(each, list):
            waiting += reversed(each)
        elif isinstance(each, dict):
            own = [inside for name, inside in each.items() if key and fold_name(name) == key]
            waiting += own or reversed([*each.values()])


def _of_quotes(text: str) -> list[str]:
    """What stands between quotes, where a list begins somewhere: it is cut off, damaged, or Python."""
    if _QUOTED_LIST.search(text) is None:
        return []
    return [json_text(double) if double else single for double, single, is_key in _QUOTED.findall(text) if not is_key]


def _of_lines(text: str) -> list[str]:
    lines = [line for line in text.split("\n") if line.strip()]
    if sum(_ITEM.match(line) is not None for line in lines) < 2:
        return [part for line in lines if not _HEADING.match(line) for part in _SENTENCE_END.split(line)]
    items: list[str] = []
    for line in lines:
        if mark := _ITEM.match(line):
            items.append(line[mark.end() :])
        elif items and line[0].isspace():  # an item that goes on in another line
            items[-1] = f"{items[-1]} {line.strip()}"
    return items


def _cleaned(text: str) -> str:
    """A sentence in one line, without markup and labels; ``""`` where it is none."""
    sentence = unquoted(without_markup(_LABEL.sub("", text, count=1)).rstrip(" ,|").lstrip(" |"))
    is_one = (
        0 < len(sentence) <= _MAX_CHARACTERS
        and any(map(str.isalpha, sentence))
        and not sentence.endswith((":", "\uff1a"))
        and not _TO_US.match(sentence.replace("\u2019", "'"))
        and not is_refusal(sentence)
    )
    return sentence if is_one else ""


def _distinct(sentences: Iterable[str]) -> list[str]:
    found: dict[str, str] = {}
    for sentence in sentences:
        if sentence:
            found.setdefault(sentence.casefold(), sentence)
    return list(found.values())
