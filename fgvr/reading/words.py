"""Words and patterns of languages: what the files in ``words/`` hold."""

import re
from functools import cache
from importlib.resources import files

_SOME = r"[^.!?\u3002\n]{0,60}?"


@cache
def lines_of(name: str) -> tuple[str, ...]:
    """The lines of ``words/NAME.txt`` without blank ones and comments."""
    text = (files("fgvr.reading") / "words" / f"{name}.txt").read_text(encoding="utf-8")
    return tuple(line for line in text.splitlines() if line.strip() and not line.startswith("#"))


@cache
def words_of(name: str) -> frozenset[str]:
    """All words of a file."""
    return frozenset(word for line in lines_of(name) for word in line.split())


@cache
def pattern_of(name: str) -> re.Pattern[str]:
    """What any line of a file matches; "…" stands for up to 60 characters of one sentence, or for none."""
    lines = (line.replace(" … ", f" (?:{_SOME} )?").replace("…", _SOME) for line in lines_of(name))
    return re.compile("|".join(f"(?:{line})" for line in lines), re.IGNORECASE)
