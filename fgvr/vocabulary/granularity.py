"""How fine classes are: with or without years, bodies, sizes and the like."""

import logging
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from fgvr.errors import FgvrError
from fgvr.records import Join, LabelRecord, Vocabulary
from fgvr.vocabulary.base import GivenNames, VocabularyStrategy
from fgvr.vocabulary.build import HYPHENS, fold_name
from fgvr.vocabulary.join import shown_first

log = logging.getLogger(__name__)

WORD_LISTS = ("body", "size", "year")
"""Lists that come with fgvr, in ``fgvr/vocabulary/words``."""
AUTO = "auto"
_RANGE = re.compile(r"(\d{1,9})\.\.(\d{1,9})")
_MAX_RANGE = 10_000
_MAX_WORDS = 3
"""Words in the longest phrase of a list."""
_SURE = 0.5
"""Share of pairs of photos that must agree on a year, for years to tell classes apart; see ``agreement``."""


class GranularityVocabulary(VocabularyStrategy):
    """Joins names that differ in certain words only: "Audi R8" and "Audi R8 2007".

    Replies are often finer than the labeler can see: 294 photos of 98 car models were given 222 names, most of them
    once. Names are compared without the words of the lists, the first word of a name aside ("Mini Cooper" is not
    "Cooper"); a name with nothing else stays as it is. The class shows the name that most of its photos were given.

    With ``auto``, years are left out if the labeler is not sure of them: if, of the pairs of photos that have the same
    name but for the year and are given one, at least one of the two, not more than half are given the same.

    Args:
        without: Which words do not count: names of lists that come with fgvr (``year``; ``body`` of cars; ``size`` of
            breeds and packages), text files with a word or phrase a line (``1950..2049`` stands for the numbers), or
            ``auto``. One may be given alone; ``auto`` if not given.

    Raises:
        FgvrError: A list is not there, or is no list of words.
    """

    def __init__(self, without: Sequence[str | Path] | str = (AUTO,)) -> None:
        self.without = listed(without)
        self._words = {each: read_words(each) for each in self.without if each != AUTO}

    def joins(self, vocabulary: Vocabulary, given: GivenNames) -> list[Join]:
        """Names that are equal without the words of the lists, each into the one that most photos were given."""
        lists = dict(self._words)
        if AUTO in self.without:
            years = read_words("year")
            sure = agreement(given.labels, years)
            if sure <= _SURE:
                lists["year"] = years
            log.info(
                "Photos of one name agree on the year in %.0f %%: it is %s",
                100 * sure,
                "left out" if sure <= _SURE else "kept",
            )
        words = frozenset().union(*lists.values())
        why = f"the same without {' and '.join(sorted(lists))}"
        counts = vocabulary.counts or (0,) * len(vocabulary)
        groups: dict[str, list[int]] = defaultdict(list)
        for index, name in enumerate(vocabulary.names):
            groups[fold_name(bare(name, words))].append(index)
        joins = []
        for group in groups.values():
            first, *others = sorted(group, key=lambda index: shown_first(vocabulary.names[index], counts[index]))
            into = vocabulary.names[first]
            joins += [Join(vocabulary.names[other], into, "granularity", why) for other in others]
        return joins


def bare(name: str, words: frozenset[str]) -> str:
    """A name without certain words, for comparison: brackets and commas are gone, too.

    The first word stays, unless it is a number; and of a name with two words, a number stays: "Peugeot 2008".

    Args:
        name: A class name.
        words: Folded words and phrases, as ``read_words`` gives them.

    Example:
        >>> words = read_words("year") | read_words("body")
        >>> [bare(name, words) for name in ("Dodge Ram Crew-Cab (2007-2010)", "2007 Audi R8", "Peugeot 2008")]
        ['Dodge Ram', 'Audi R8', 'Peugeot 2008']
    """
    tokens = re.findall(r"[^\s,;/()\[\]]+", name)
    listed = [False] * len(tokens)
    for start in range(len(tokens)):
        for end in range(start + 1, min(start + _MAX_WORDS, len(tokens)) + 1):
            if _is_listed(" ".join(tokens[start:end]), words):
                listed[start:end] = [True] * (end - start)
    if tokens and not tokens[0].isdecimal():
        listed[0] = False
    if listed.count(False) == 1 and (numbers := [place for place, token in enumerate(tokens) if token.isdecimal()]):
        listed[numbers[0]] = False
    return " ".join(token for token, out in zip(tokens, listed, strict=True) if not out) or name


def _is_listed(text: str, words: frozenset[str]) -> bool:
    """Whether a word or phrase is in a list, or a span of such words, as in ``2007-2012`` and ``2010+``."""
    if fold_name(text) in words:
        return True
    parts = re.split(rf"[{re.escape(HYPHENS)}]", text.rstrip("+"))
    return bool(text) and all(fold_name(part) in words for part in parts)


def agreement(labels: Sequence[LabelRecord], words: frozenset[str]) -> float:
    """How sure a labeler is of certain words, from 0 to 1.

    Args:
        labels: The first name of each counts.
        words: See ``bare``.

    Returns:
        Of the pairs of photos whose names are equal but for these words, and which have one in at least one of the two
        names, the share with the very same name; 1 where there is no such pair.
    """
    given: dict[str, Counter[str]] = defaultdict(Counter)
    for label in labels:
        if label.names:
            given[fold_name(bare(label.names[0], words))][fold_name(bare(label.names[0], frozenset()))] += 1
    # pairs of names without such a word say nothing of them
    pairs = sum(_pairs(counts.total()) - _pairs(counts[without]) for without, counts in given.items())
    same = sum(_pairs(count) for without, counts in given.items() for key, count in counts.items() if key != without)
    return same / pairs if pairs else 1.0


def _pairs(count: int) -> int:
    return count * (count - 1) // 2


def listed(without: Sequence[str | Path] | str | Path) -> tuple[str, ...]:
    """Lists of words by name or file, of which one may be given alone."""
    return (str(without),) if isinstance(without, str | Path) else tuple(str(each) for each in without)


def read_words(name: str) -> frozenset[str]:
    """The words of a list.

    Args:
        name: One of ``WORD_LISTS``, or a text file.

    Raises:
        FgvrError: There is no such list or file, it cannot be read, or a range is not one.
    """
    source = files("fgvr.vocabulary") / "words" / f"{name}.txt" if name in WORD_LISTS else Path(name)
    try:
        lines = source.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        known = ", ".join((AUTO, *WORD_LISTS))
        raise FgvrError(
            f"data.vocabulary.without: {name!r} is none of {known}, nor a readable text file in UTF-8 ({error})."
        ) from None
    words: set[str] = set()
    for number, line in enumerate(lines, 1):
        text = " ".join(line.split()).casefold()
        if span := _RANGE.fullmatch(text):
            first, last = int(span[1]), int(span[2])
            if not first <= last < first + _MAX_RANGE:
                raise FgvrError(f"{name}, line {number}: {text!r} is no range of at most {_MAX_RANGE} rising numbers.")
            words |= {str(each) for each in range(first, last + 1)}
        elif text and not text.startswith("#"):
            words.add(fold_name(text))
    return frozenset(words)
