"""How replies that hold no class names are read: JSON objects and descriptions."""

import html
import json
import re
import unicodedata
from collections.abc import Mapping
from typing import Any

from fgvr.reading.replies import ParsedReply
from fgvr.reading.thoughts import without_thoughts

_MAX_REPLY = 10_000
_MAX_DESCRIPTION = 1_000
_MAX_OBJECTS = 20

_OBJECT = re.compile(r"\{\s*[\"']\w")
_SCRIPT = re.compile(r"<(script|style)\b.*?(?:</\1[^<>]{0,20}>|\Z)", re.DOTALL | re.IGNORECASE)
_TAG = re.compile(r"</?[a-zA-Z!][^<>]{0,300}>")
_LINK = re.compile(r"!?\[([^\[\]\n]{1,300})\]\([^()\s]{0,300}\)")
_LINE_MARK = re.compile(r"^[^\S\n]*(?:(?:#{1,6}|[-*•+]|\d{1,2}[.)])\s|>|```\w{0,20}$)", re.MULTILINE)
_EMPHASIS = re.compile(r"\*{1,3}|`{1,3}|(?<!\w)_{1,3}|_{1,3}(?!\w)")
# "Sure, here is a concise description of the flower:", "**Description:**"
_OPENING = re.compile(
    r"(?:(?:sure|certainly|absolutely|of\s+course|okay|ok)\s*[,.!:]+\s*)?"
    r"(?:here(?:'s|\s+is|\s+are|\s+you\s+go)\b[^:.\n]{0,120}:\s*)?"
    r"(?:(?:\w+\s+){0,3}(?:description|caption|answer)\s*:\s*)?",
    re.IGNORECASE,
)
_REFUSAL = re.compile(
    r"(?:i\s*(?:'m|\s+am)\s+(?:\w+\s+)?(?:sorry|unable|not\s+able)|sorry|unfortunately|i\s+apologi[sz]e|as\s+an\s+ai\b"
    r"|i\s+(?:can(?:not|\s*'t|\s+not)|could\s*n(?:'t|ot)|do(?:n't|\s+not)|am\s+not\s+able))",
    re.IGNORECASE,
)
_QUOTES = {'"': '"', "'": "'", "\u201c": "\u201d", "\u2018": "\u2019", "\u00ab": "\u00bb"}


def object_schema(properties: Mapping[str, Any]) -> dict[str, Any]:
    """JSON schema of an object that has all of these properties, and no others."""
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }


def plain_text(raw: str) -> str:
    """The first 10,000 characters of a reply, without thoughts, and without what only controls the display."""
    text = without_thoughts(raw[:_MAX_REPLY])
    # category C is control and format characters, and halves of surrogate pairs
    return "".join(char for char in text if char == "\n" or unicodedata.category(char)[0] != "C" or char.isspace())


def read_object(raw: str) -> dict[str, Any] | None:
    """The first JSON object of a reply, whatever stands around it; ``None`` where there is none."""
    text = plain_text(raw)
    start = text.find("{")
    for _ in range(_MAX_OBJECTS):
        if start < 0:
            return None
        try:
            value, _ = json.JSONDecoder().raw_decode(text, start)
        except RecursionError:
            return None
        except ValueError:
            start = text.find("{", start + 1)
        else:
            return dict(value)
    return None


def has_object(raw: str) -> bool:
    """Whether a JSON object begins somewhere in a reply, be it broken."""
    return _OBJECT.search(raw[:_MAX_REPLY]) is not None


def one_line(text: str) -> str:
    """The text with single spaces and without control characters; JSON may have escaped some past ``plain_text``."""
    return " ".join(plain_text(text).split())


def read_description(raw: str) -> ParsedReply:
    """A description as the only name: one line, without markup, quotes around it and "Sure, here is ...".

    Returns:
        The text, of 1,000 characters at most, or the flag ``"empty"``, ``"refusal"`` or ``"unparsed"``.
    """
    stated = read_object(raw)
    texts = [value for value in stated.values() if isinstance(value, str)] if stated else []
    text = without_markup(texts[0] if len(texts) == 1 else raw[:_MAX_REPLY])
    opening = _OPENING.match(text)
    text = unquoted(text[opening.end() :] if opening else text)
    if not text:
        return ParsedReply((), (), "empty")
    if is_refusal(text):
        return ParsedReply((), (), "refusal")
    if len(text) > _MAX_DESCRIPTION:
        text = text[:_MAX_DESCRIPTION].rpartition(" ")[0]
    if not any(char.isalpha() for char in text):
        return ParsedReply((), (), "unparsed")
    return ParsedReply((text,), (None,), "")


def without_markup(text: str) -> str:
    """The text in one line, without tags, links, emphasis and the marks that lines begin with."""
    text = plain_text(html.unescape(text))
    text = _LINK.sub(r"\1", _TAG.sub(" ", _SCRIPT.sub(" ", text)))
    return " ".join(_EMPHASIS.sub("", _LINE_MARK.sub("", text)).split())


def is_refusal(text: str) -> bool:
    """Whether a text begins as refusals do: "I'm sorry", "As an AI"."""
    return _REFUSAL.match(text.replace("\u2019", "'")) is not None


def unquoted(text: str) -> str:
    """The text without quotes around it."""
    while len(text) > 1 and _QUOTES.get(text[0]) == text[-1]:
        text = text[1:-1].strip()
    return text
