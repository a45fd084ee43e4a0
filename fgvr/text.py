"""Text from outside: model replies, names, file contents."""

import unicodedata


def encodable(text: str) -> str:
    """The text with U+FFFD for half surrogate pairs, which models send in JSON and UTF-8 cannot hold.

    The two halves of a pair that were escaped one by one are joined.

    Example:
        >>> encodable(chr(0xD83D)) == chr(0xFFFD)
        True
    """
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def composed(text: str) -> str:
    r"""The text with each letter and its accents as one character, where there is one (NFC).

    A Mac writes file names with the accents apart; other systems and most programs write them together.

    Example:
        >>> len("Cafe\u0301"), len(composed("Cafe\u0301"))
        (5, 4)
    """
    return unicodedata.normalize("NFC", text)


def visible(text: str, limit: int | None = None, lines: bool = False) -> str:
    r"""The text with an escape for each character that a terminal would obey, or that would not be seen.

    Args:
        text: Any text.
        limit: Characters to show; the rest is cut off, with three dots in its place.
        lines: Keep line breaks and tabs, which else become one space together with the spaces around them.

    Example:
        >>> visible("Beagle\x1b[2J\n or Pug")
        'Beagle\\x1b[2J or Pug'
    """
    if limit is not None:
        text = text[: 4 * limit]  # no need to look at all of an essay; spaces may be many
    if not lines:
        text = " ".join(text.split())
    if limit is not None and len(text) > limit:
        text = f"{text[: limit - 3].rstrip()}..."
    return "".join(char if _is_seen(char) or (lines and char in "\n\t") else _escape(char) for char in text)


def _is_seen(char: str) -> bool:
    # controls, formats (which turn the direction of text), halves of pairs, and separators of lines
    return char == " " or unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")


def _escape(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")
