"""Which spellings and synonyms are one class: the vocabulary of what a labeler said, before anything else is joined."""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from fgvr.errors import FgvrError
from fgvr.records import LabelRecord, Vocabulary
from fgvr.text import encodable, none_of, without_controls
from fgvr.vocabulary.individuals import without_individual

APOSTROPHES = "'`\u00b4\u02bc\u2018\u2019\u201b\u2032"
"""Characters that stand for an apostrophe: typewriter, backtick, acute accent, modifier letter, quotes, prime."""
HYPHENS = "-\u00ad\u2010\u2011\u2012\u2013\u2014\u2015\u2212"
"""Characters that stand for a hyphen: from the soft hyphen and the one that does not break to dashes and the minus."""

_MAX_SYNONYMS = 3
"""Names that one Latin name may join; one that more carry is of a rank above them: a species with breeds, a genus."""

_INSIGNIFICANT = re.compile(rf"[\s_{re.escape(APOSTROPHES + HYPHENS)}]+")  # "-" and " " of "Wood-Pewee", "Wood Pewee"


def fold_name(name: str) -> str:
    """The key under which spellings of one name are equal.

    Case, compatibility forms (NFKC), white space, underscores, hyphens and apostrophes do not count; all halves of
    surrogate pairs are alike.

    Args:
        name: A class name in any spelling.

    Returns:
        The key; ``""`` for a name that is blank.

    Example:
        >>> fold_name("Anna\u2019s Wood-Pewee") == fold_name("annas wood_pewee")
        True
    """
    # twice, because NFKC takes some apostrophes apart, and makes spaces of others
    normalized = unicodedata.normalize("NFKC", _INSIGNIFICANT.sub("", encodable(name))).casefold()
    return _INSIGNIFICANT.sub("", normalized)


def build_vocabulary(labels: Sequence[LabelRecord]) -> Vocabulary:
    """Build the vocabulary from everything that a labeler said.

    All names of a record enter, not only the first. Names are one class where they fold to the same key, or where a
    scientific name says that they are synonyms: of each name the scientific name most often given with it counts, if
    there is exactly one, and a scientific name that more than three names carry joins none (all dogs are *Canis lupus
    familiaris*). A scientific name given as a name joins the class that carries it, and a name with words for sex, age
    or plumage ("Male Mallard") that without them is another name of this run. The class shows the commonest of
    its names in the commonest spelling, a scientific one only where it has no other. The result does not depend on the
    order of the records.

    Args:
        labels: One record per photo.

    Returns:
        The vocabulary, sorted by name.

    Raises:
        FgvrError: No record has a name.
    """
    spellings: dict[str, Counter[str]] = defaultdict(Counter)
    latin: dict[str, Counter[str]] = defaultdict(Counter)
    firsts: Counter[str] = Counter()
    for label in labels:
        scientific_names = label.scientific_names or (None,) * len(label.names)
        keys = [fold_name(name) for name in label.names]
        for key, name, scientific in zip(keys, label.names, scientific_names, strict=True):
            if key:
                spellings[key][encodable(name)] += 1
            if key and scientific:
                latin[key][encodable(scientific)] += 1
        firsts.update(key for key in keys[:1] if key)
    if not spellings:
        raise _no_names(labels)

    classes: dict[str, list[str]] = {}
    individuals = _individuals(spellings)
    for shared, group in _join_by_latin(spellings, latin, individuals).items():
        shown = min(group, key=lambda key: (key in individuals, key == shared, -spellings[key].total(), key))
        classes[_commonest(spellings[shown])] = group
    names = tuple(sorted(classes, key=lambda name: (name.casefold(), name)))
    members = {
        spelling: index
        for index, name in enumerate(names)
        for spelling in sorted(spelling for key in classes[name] for spelling in spellings[key])
    }
    return Vocabulary(
        names=names,
        members=members,
        scientific_names=tuple(_latin_of(classes[name], latin) for name in names),
        counts=tuple(sum(firsts[key] for key in classes[name]) for name in names),
    )


def known_vocabulary(class_names: Sequence[str]) -> Vocabulary:
    """The vocabulary where the class names are given beforehand.

    Args:
        class_names: The names in class-index order.

    Returns:
        The vocabulary, in the order given, with counts of 0 and no scientific names; names are without control
        characters.

    Raises:
        FgvrError: There is no name, a name is blank, or two fold to the same key.
    """
    if not class_names:
        raise FgvrError("The list of class names is empty: give at least one name.")
    by_key: dict[str, list[str]] = defaultdict(list)
    class_names = [without_controls(name) for name in class_names]
    for position, name in enumerate(class_names):
        if not fold_name(name):
            raise FgvrError(f"Class name {position} is blank ({name!r:.60}): remove it or give it a name.")
        by_key[fold_name(name)].append(name)
    if twice := [" = ".join(f"{name!r:.80}" for name in same[:9]) for same in by_key.values() if len(same) > 1]:
        more = f" and {len(twice) - 3} more" if len(twice) > 3 else ""
        raise FgvrError(
            f"Class names are given more than once: {'; '.join(twice[:3])}{more} "
            "(case, spaces, hyphens, underscores and apostrophes do not count). Keep one of each."
        )
    return Vocabulary(
        names=tuple(class_names),
        members={name: index for index, name in enumerate(class_names)},
        scientific_names=(None,) * len(class_names),
        counts=(0,) * len(class_names),
    )


def labels_as_indices(labels: Sequence[LabelRecord], vocabulary: Vocabulary) -> list[tuple[int, ...]]:
    """The classes that each photo was given.

    Names are looked up by their folded key, so that a spelling which the vocabulary has never seen is found too.

    Args:
        labels: N records.
        vocabulary: The class names, in class-index order.

    Returns:
        N tuples of class indices in the order of the names, none twice in a tuple; names that are not in the
        vocabulary are left out, so a tuple can be empty.
    """
    index_of = {fold_name(spelling): index for spelling, index in vocabulary.members.items()}
    return [
        tuple(dict.fromkeys(index_of[key] for name in label.names if (key := fold_name(name)) in index_of))
        for label in labels
    ]


def _individuals(spellings: Mapping[str, Counter[str]]) -> dict[str, str]:
    """Folded names with words for sex, age or plumage -> the same without them, where that is a name of this run."""
    found = {}
    for key, given in spellings.items():
        plain = fold_name(without_individual(_commonest(given)))
        if plain != key and plain in spellings:
            found[key] = plain
    return found


def _join_by_latin(
    spellings: Iterable[str], latin: dict[str, Counter[str]], individuals: Mapping[str, str]
) -> dict[str, list[str]]:
    """Groups of folded names by what they share: a folded scientific name, else the one name itself."""
    carried = {key: scientific for key, given in latin.items() if (scientific := _main_latin(given))}
    carriers = Counter(
        scientific for key, scientific in carried.items() if key != scientific and key not in individuals
    )
    groups: dict[str, list[str]] = defaultdict(list)
    for key in spellings:
        plain = individuals.get(key, key)
        shared = carried.get(plain, plain)
        groups[shared if carriers[shared] <= _MAX_SYNONYMS else plain].append(key)
    return dict(groups)


def _main_latin(given: Counter[str]) -> str:
    """The folded scientific name most often given; ``""`` where several are, because then none is evidence."""
    counts: Counter[str] = Counter()
    for scientific, count in given.items():
        counts[fold_name(scientific)] += count
    (main, most), *others = counts.most_common(2)
    return "" if others and others[0][1] == most else main


def _latin_of(group: Iterable[str], latin: dict[str, Counter[str]]) -> str | None:
    given: Counter[str] = Counter()
    for key in group:
        given.update(latin.get(key, {}))
    return _commonest(given) if given else None


def _commonest(counter: Counter[str]) -> str:
    """The most frequent entry; the first in alphabetical order among equals, so that chance has no part in it."""
    return min(counter, key=lambda entry: (-counter[entry], entry))


def _no_names(labels: Sequence[LabelRecord]) -> FgvrError:
    flags = Counter(label.flag or "no name" for label in labels)
    if labels and all(label.flag == "failed" for label in labels):
        return FgvrError(
            f"{none_of(len(labels), 'photo')} has a reply: the command `fgvr store stats` says why. To ask again: "
            "`fgvr store retry-failed`, then label with the same options."
        )
    if labels and all(label.flag == "empty" for label in labels):
        return FgvrError(
            f"{none_of(len(labels), 'photo')} has a name: all replies are empty. Look into the labeler's file, or at "
            "what the command `fgvr store show` prints."
        )
    flagged = ", ".join(f"{flag}: {count}" for flag, count in sorted(flags.items())) or "there are no replies"
    return FgvrError(
        f"{none_of(len(labels), 'reply', 'replies')} gives a class name ({flagged}). Read some of the raw replies, "
        "then ask again with another labeler.prompt or another model."
    )
