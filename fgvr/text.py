"""Text from outside: model replies, names, file contents."""

import unicodedata
from collections.abc import Sequence

_DIRECTIONS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that turn the direction of text."""


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


def without_controls(text: str) -> str:
    r"""A name without characters that only a terminal or a layout would obey, in one line.

    Joiners, which some scripts spell with, stay.

    Args:
        text: The name.

    Example:
        >>> without_controls("Pug\x1b[2J\r\n"), without_controls("\u202egup")
        ('Pug [2J', 'gup')
    """
    kept = (" " if unicodedata.category(char) in ("Cc", "Zl", "Zp") else char for char in text)
    return " ".join("".join(char for char in kept if char not in _DIRECTIONS).split())


def _is_seen(char: str) -> bool:
    # controls, formats (which turn the direction of text), halves of pairs, and separators of lines
    return char == " " or unicodedata.category(char) not in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")


def _escape(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")


def counted(number: int, one: str, many: str = "") -> str:
    """How many there are, in words that go with the number.

    Args:
        number: How many.
        one: The words for one, such as ``photo`` and ``photo is``.
        many: Those for any other number; ``one`` with an s if not given.

    Example:
        >>> counted(1, "photo"), counted(2, "photo"), counted(1, "reply", "replies")
        ('1 photo', '2 photos', '1 reply')
    """
    return f"{number} {one if number == 1 else many or f'{one}s'}"


def some_of(words: Sequence[str]) -> str:
    """The first three, and how many more there are.

    Example:
        >>> some_of(["a", "b", "c", "d", "e"]), some_of([])
        ('a, b, c and 2 more', 'nothing')
    """
    shown = ", ".join(words[:3]) or "nothing"
    return f"{shown} and {len(words) - 3} more" if len(words) > 3 else shown


def none_of(number: int, one: str, many: str = "") -> str:
    """The beginning of a sentence about none of so many.

    Args:
        number: How many there are.
        one: The word for one.
        many: That for any other number; ``one`` with an s if not given.

    Example:
        >>> none_of(1, "photo"), none_of(2, "photo")
        ('No photo', 'None of the 2 photos')
    """
    return f"No {one}" if number == 1 else f"None of the {counted(number, one, many)}"


def verb(number: int, one: str = "is", many: str = "are") -> str:
    """The verb that goes with a number of things.

    Args:
        number: How many.
        one: The verb for one.
        many: That for any other number.
    """
    return one if number == 1 else many
