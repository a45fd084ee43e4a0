"""JSON as models write it: in prose and fences, cut off, with commas too many and with Python's quotes."""

import json
import re
from collections.abc import Iterator
from typing import NamedTuple

_MAX_BRACKETS = 20
_MAX_VALUES = 20

# "{" of 'Here is the JSON: {"breed": "Pug"}'
_JSON = re.compile(r"""[{\[]\s{0,20}["']|\[\s{0,20}\{\s{0,20}["']|\{\s{0,20}\}""")
_BARE = re.compile(
    r"[{\[](?!\s{0,20}[A-Z_]{2,}\])(?!\[?[\w .-]{1,40}\]{1,2}\s*[^\s,\]}])"
)  # how a reply begins that is nothing else, not "[TOOL_CALLS]"
_JSON_MARK = re.compile(r'"(?:[^"\\]|\\.)*+"|["{}\[\],]', re.DOTALL)  # a string, a bracket, a comma or a string cut off
_EXTRA_COMMA = re.compile(r",(?=\s{0,20}[}\]])")
_COMMENT = re.compile(r'("(?:[^"\\\n]|\\.)*")|//[^\n]*|/\*.{0,500}?\*/', re.DOTALL)  # "// the ears are long"
_BARE_KEY = re.compile(r"(?<=[{,])(\s{0,20})([A-Za-z_]\w{0,40})(?=\s{0,5}:)")  # "name" of {name: "Pug"}
# '"breed": "Pug"' in '{"breed": "Pug" "colo'
_PAIR = re.compile(r'"([^"\n]{1,60})" ?: ?"([^"\n]{1,200})"')
# "'breed': 'Pug'" in "{'breed': 'Pug'}"
_PYTHON_PAIR = re.compile(r"""'([^'"\n]{1,60})' ?: ?(["'])([^\n]{1,200}?)\2(?=\s{0,20}[,}])""")
_PYTHON_QUOTES = re.compile(r"(?<=[\[{,:(])(\s{0,20})'((?:[^'\"\n]|(?<=\w)'(?=\w)){0,200})'(?=\s{0,20}[\]},:)])")
# "Pug" of {breed: Pug}, and the end of "breed" in {"breed" = "Pug"}
_BARE_WORD = re.compile(r"(?<=[:\[,{])(\s{0,9})([^\W\d_][^\"'{}\[\],:\n]{0,80}?)(\s{0,9})(?=[,}\]])")
_ASSIGNED = re.compile(r'(?<=\w")\s{0,5}=>?\s{0,5}(?=["\d])')
_SET = re.compile(r"\A\{(\s*\"[^\"{}:]{1,100}\"\s*(?:,\s*\"[^\"{}:]{1,100}\"\s*){0,19})\}")
_LITERALS = frozenset(("true", "false", "null"))
_PYTHON_WORDS = {"None": "null", "True": "true", "False": "false"}


class JsonValue(NamedTuple):
    """A JSON value in a text.

    Attributes:
        value: What it holds.
        start: Where it begins.
        end: Where it ends; a value that had to be mended ends with the text.
        complete: Whether nothing had to be mended.
    """

    value: object
    start: int
    end: int
    complete: bool


def json_values(text: str) -> list[JsonValue]:
    """The JSON values of a text that hold text, in their order, at most 20."""
    found: list[JsonValue] = []
    start = 0 if _BARE.match(text) else _next(text, 0)
    while start is not None and len(found) < _MAX_VALUES:
        value, length, complete = _decoded(text[start:])
        found.append(JsonValue(value, start, start + length, complete))
        start = _next(text, start + length)
    return found


def _next(text: str, start: int) -> int | None:
    match = _JSON.search(text, start)
    return match.start() if match else None


def _decoded(text: str) -> tuple[object, int, bool]:
    """The first JSON value of a text, or what can be read of it; where it ends; whether nothing had to be mended."""
    decoder = json.JSONDecoder(strict=False)  # line breaks in strings too
    try:
        return *decoder.raw_decode(text), True
    except (ValueError, RecursionError):
        pass
    for attempt in (
        _respelt(text),
        *_mended(_EXTRA_COMMA.sub("", text)),
        *_mended(_EXTRA_COMMA.sub("", _respelt(text))),
        _worded(_respelt(text)),
        _respelt(text.replace('\\"', '"')),
    ):
        try:
            return decoder.raw_decode(attempt)[0], len(text), False
        except (ValueError, RecursionError):
            continue
    pairs: dict[str, str] = {}
    for key, value in (*_PAIR.findall(text), *((key, value) for key, _, value in _PYTHON_PAIR.findall(text))):
        pairs.setdefault(key, value)  # the answer is before its alternatives
    return pairs, len(text), False


def _respelt(text: str) -> str:
    """The text with JSON's quotes and words for Python's and JavaScript's, and without comments."""
    text = _COMMENT.sub(lambda match: match[1] or "", text)
    text = _PYTHON_QUOTES.sub(r'\1"\2"', _BARE_KEY.sub(r'\1"\2"', text))
    text = re.sub(r"(?<=[:,\[])(\s{0,20})(None|True|False)\b", lambda match: match[1] + _PYTHON_WORDS[match[2]], text)
    return _EXTRA_COMMA.sub("", text)


def _worded(text: str) -> str:
    """The text with quotes around words that have none, and with a list for a set of them."""
    text = _BARE_WORD.sub(
        lambda match: match[0] if match[2] in _LITERALS else f'{match[1]}"{match[2]}"{match[3]}',
        _ASSIGNED.sub(": ", text),
    )
    return _SET.sub(r"[\1]", text)


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
