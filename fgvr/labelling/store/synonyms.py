"""Pairs of names that may be two names of one class, for a person to judge."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from fgvr.errors import FgvrError
from fgvr.reading.names import KINDS, singular
from fgvr.vocabulary.build import fold_name

_MAX_SYNONYMS = 3  # a Latin name that more names carry is of a rank above them, as all breeds of dogs have one
_KIND_OF = 3  # names that are a name without their last word, which make that word one for a kind of thing
_SHORTEST = 5  # letters of a word in which one may be wrong
_TWO_TYPOS = 9  # letters of a word in which two may be wrong
_ROWS = 2000

_COLOURS = "black white grey blue green yellow brown purple orange golden silver crimson scarlet rufous chestnut"
_WORD = re.compile(r"[^\W_]+")
# "red" of "Red-headed", but not of "Redoubt"; "black" of "Blackcap" too
_COLOUR = re.compile(rf"\b(?:{'|'.join(_COLOURS.split())}|(?:red|tan|buff|gold|pink|cream|ruby|violet)\b)")
_ORDERS = (
    "north south east west northern southern eastern western northeastern northwestern southeastern southwestern "
    "greater lesser least great little large small big short long tall giant pygmy miniature toy standard male female "
    "lower upper old new first second third one two three four five six seven eight nine ten"
)
_TELLING = frozenset(_ORDERS.split())
_ROMAN = re.compile(r"[ivx]+")


@dataclass(frozen=True, slots=True)
class Suggestion:
    """Two names that may be one.

    Attributes:
        name: The rarer one.
        other: The commoner one, which may take its place.
        reason: Why they may be one.
    """

    name: str
    other: str
    reason: str


def suggest_synonyms(counts: Mapping[str, int], latin: Mapping[str, str]) -> list[Suggestion]:
    """Pairs of names with one Latin name, in singular and plural, with and without a kind word, or with a typo.

    Names in which numbers (years, model codes), colours or words such as "northern" and "lesser" differ are never a
    pair, whatever else speaks for it. Spellings that ``fold_name`` makes equal are one name already.

    Args:
        counts: Name -> how often it was given; no two that fold to the same key.
        latin: Name -> the Latin name given with it, for names that have one.

    Returns:
        The pairs, the commonest names first. No pair twice, and none of two names that are both a pair with a
        commoner third one.

    Raises:
        FgvrError: rapidfuzz is not installed.
    """
    names = sorted(counts)
    telling = {name: _telling(name) for name in names}
    found: dict[frozenset[str], str] = {}
    for one, two, reason in (*_same_latin(names, latin), *_same_singular(names), *_kind_words(names), *_typos(names)):
        if telling[one] == telling[two]:
            found.setdefault(frozenset((one, two)), reason)
    better: dict[str, set[str]] = defaultdict(set)  # name -> the commoner ones that it may be
    pairs = []
    for pair, reason in found.items():
        name, other = sorted(pair, key=lambda each: (counts[each], -len(each), each))
        better[name].add(other)
        pairs.append(Suggestion(name, other, reason))
    # two misspellings of a third name are each a pair with that one, which is enough to ask
    pairs = [pair for pair in pairs if better[pair.name].isdisjoint(better[pair.other])]
    return sorted(pairs, key=lambda pair: (-counts[pair.other], pair.other, -counts[pair.name], pair.name))


def _same_latin(names: Sequence[str], latin: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    carriers: dict[str, list[str]] = defaultdict(list)
    for name in names:
        if key := fold_name(latin.get(name, "")):
            carriers[key].append(name)
    for group in carriers.values():
        if len(group) <= _MAX_SYNONYMS:
            for one, two in combinations(group, 2):
                yield one, two, f"same Latin name: {latin[one]}"


def _same_singular(names: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    groups: dict[str, list[str]] = defaultdict(list)
    for name in names:
        groups[fold_name(singular(name.lower()))].append(name)
    for group in groups.values():
        for one, two in combinations(group, 2):
            yield one, two, "singular and plural"


def _kind_words(names: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """Names that are another one and a word more; not where several words follow, which then tell classes apart."""
    by_key = {fold_name(name): name for name in names}
    longer: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for name in names:
        *rest, last = name.split()
        if rest and (shorter := by_key.get(fold_name(" ".join(rest)))):
            longer[shorter].append((name, singular(last.lower())))
    ends = Counter(word for extended in longer.values() for _, word in extended)
    for shorter, extended in longer.items():
        kinds = [(name, word) for name, word in extended if word in KINDS or ends[word] >= _KIND_OF]
        if len({word for _, word in kinds}) == 1:
            for name, word in kinds:
                yield shorter, name, f"the same but for the word {word!r}"


def _typos(names: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    try:
        from rapidfuzz import process
        from rapidfuzz.distance import Levenshtein
    except ImportError:
        raise FgvrError("Suggestions of synonyms need rapidfuzz: pip install 'rapidfuzz>=3.9'") from None
    keyed = sorted((key, name) for name in names if len(key := fold_name(name)) >= _SHORTEST)
    keyed.sort(key=lambda entry: len(entry[0]))
    keys = [key for key, _ in keyed]
    lengths = np.array([len(key) for key in keys])
    for start in range(0, len(keys), _ROWS):
        rows = keys[start : start + _ROWS]
        stop = int(np.searchsorted(lengths, len(rows[-1]) + 2, side="right"))
        distances = process.cdist(
            rows, keys[start:stop], scorer=Levenshtein.distance, score_cutoff=2, dtype=np.uint8, workers=1
        )
        for row, column in zip(*np.nonzero(distances <= 2), strict=True):
            if row < column:
                one, two = keyed[start + row][1], keyed[start + column][1]
                if _is_typo(one, two, Levenshtein.distance):
                    yield one, two, "nearly the same spelling"


def _is_typo(one: str, two: str, distance: Callable[[str, str], int]) -> bool:
    """Whether words differ in few letters of many: "Tern" and "Teal" are two birds, and "GT" and "SS" two cars."""
    words, others = _words(one), _words(two)
    if len(words) != len(others):
        words, others = ["".join(words)], ["".join(others)]
    for word, other in zip(words, others, strict=True):
        letters = min(len(word), len(other))
        if word != other and distance(word, other) > (letters >= _SHORTEST) + (letters >= _TWO_TYPOS):
            return False
    return True


def _telling(name: str) -> tuple[str, ...]:
    """The words of a name that make another class of it: numbers, codes with numbers, colours, and the like."""
    words = _words(name)
    numbers = [word for word in words if any(map(str.isdigit, word)) or _ROMAN.fullmatch(word) or word in _TELLING]
    return (*sorted(numbers), *sorted(_COLOUR.findall(" ".join(words))))


def _words(name: str) -> list[str]:
    return _WORD.findall(name.casefold().replace("gray", "grey"))
