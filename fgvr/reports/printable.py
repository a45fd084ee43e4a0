"""Text from outside as a page can show it."""

import re

from fgvr.text import encodable

# what neither HTML nor XML may hold: control characters other than tab and line breaks, and two non-characters
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffe\uffff]")


def printable(text: str, most: int | None = None) -> str:
    """The text with U+FFFD for what a page cannot hold.

    Args:
        text: Any text.
        most: Cut after this many characters, and say how many are missing.

    Example:
        >>> printable("House Finch" + chr(0), most=5)
        'House\u2026 [7 more characters]'
    """
    text = _UNPRINTABLE.sub("\ufffd", encodable(text))
    if most is None or len(text) <= most:
        return text
    return f"{text[:most]}\u2026 [{len(text) - most:,} more characters]"
