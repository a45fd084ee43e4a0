"""Words that names have for one individual and not for its class: sex, age, plumage."""

import re
from importlib.resources import files

INDIVIDUALS = frozenset(
    line
    for line in (files("fgvr.vocabulary") / "words" / "sex_and_age.txt").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
)
"""Words and phrases for sex, age and plumage, in lower case."""

_WORDS = "|".join(sorted((word.replace(" ", r"\s+") for word in INDIVIDUALS), key=lambda word: (-len(word), word)))
FIRST = re.compile(rf"(?:(?:{_WORDS})(?:\s+(?:(?:and|or)\s+)?|,\s*))+(?=\w)", re.IGNORECASE)
"""Such words before a name: "adult male " of "adult male House Finch"."""
LAST = re.compile(rf"(?:[\s,-]+(?:{_WORDS}))+$", re.IGNORECASE)
"""Such words behind a name: " in breeding plumage"."""


def without_individual(name: str) -> str:
    """The name without words for sex, age and plumage; ``""`` where it is nothing else.

    Example:
        >>> without_individual("Adult male Mallard"), without_individual("Mallard (female)")
        ('Mallard', 'Mallard (female)')
    """
    first = FIRST.match(name)
    rest = name[first.end() :] if first else name
    last = LAST.search(rest)
    rest = rest[: last.start()] if last else rest
    return "" if rest.lower() in INDIVIDUALS else rest
