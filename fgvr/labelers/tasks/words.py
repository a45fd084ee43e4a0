"""The words of a name, and whether they stand in a text."""

import re
import unicodedata
from itertools import accumulate

from fgvr.vocabulary.build import APOSTROPHES

_APOSTROPHE = re.compile(f"[{re.escape(APOSTROPHES)}]")
# of scripts without letter case each letter is a word of its own, because most of them put no spaces between words
_UNCASED = "\u0590-\u109f\u1100-\u1c7f\u2e80-\ua4cf\ua840-\uab2f\uabc0-\ud7ff\uf900-\ufaff\ufb1d-\ufeff"
_WORD = re.compile(f"[{_UNCASED}]|[^\\W_{_UNCASED}]+")


def stands_in(name: str, text: str) -> bool:
    """Whether the words of a name follow one another in a text, spelling aside.

    Example:
        >>> stands_in("Anna's Wood-Pewee", "An annas wood pewee."), stands_in("Tern", "A lantern.")
        (True, False)
    """
    key, words = "".join(words_of(name)), words_of(text)
    starts = set(accumulate(map(len, words), initial=0))
    joined = "".join(words)
    return bool(key) and any(start + len(key) in starts for start in starts if joined.startswith(key, start))


def words_of(text: str) -> list[str]:
    """The words of a text without case and apostrophes; of Chinese and the like, each letter."""
    return _WORD.findall(unicodedata.normalize("NFKC", _APOSTROPHE.sub("", text)).casefold())
