"""A vocabulary in which some classes were put into others."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace

from fgvr.errors import FgvrError
from fgvr.records import Join, Vocabulary


def join_classes(vocabulary: Vocabulary, joins: Sequence[Join]) -> Vocabulary:
    """Put classes into others.

    Classes that lead to one another are one class, which is shown under the name that most photos were given (the
    shortest, then the first in the alphabet, among equals), whatever the order of the joins. What is recorded leads
    to the name that is shown.

    Args:
        vocabulary: The classes so far.
        joins: Which of them are put into which, under the names that ``vocabulary`` shows.

    Returns:
        The vocabulary, sorted by name, with the joins that led to it: one for each class that is gone.

    Raises:
        FgvrError: A join names no class.
    """
    index_of = {name: index for index, name in enumerate(vocabulary.names)}
    parent = list(range(len(vocabulary)))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = index = parent[parent[index]]
        return index

    for join in joins:
        for name in (join.name, join.into):
            if name not in index_of:
                raise FgvrError(f"{name!r} was to be joined, but it is no class of the vocabulary.")
        parent[root(index_of[join.name])] = root(index_of[join.into])
    counts = vocabulary.counts or (0,) * len(vocabulary)
    latin = vocabulary.scientific_names or (None,) * len(vocabulary)
    groups: dict[int, list[int]] = defaultdict(list)
    for index in range(len(vocabulary)):
        groups[root(index)].append(index)
    shown = {
        min(group, key=lambda index: shown_first(vocabulary.names[index], counts[index])): group
        for group in groups.values()
    }
    order = sorted(shown, key=lambda index: (vocabulary.names[index].casefold(), vocabulary.names[index]))
    new_index = {old: new for new, first in enumerate(order) for old in shown[first]}
    shown_name = {vocabulary.names[index]: vocabulary.names[first] for first in shown for index in shown[first]}
    earlier = [replace(join, into=shown_name[join.into]) for join in vocabulary.joins]
    now = {
        lost: replace(join, name=lost, into=shown_name[join.name])
        for join in joins
        if (lost := join.into if join.name == shown_name[join.name] else join.name) != shown_name[join.name]
    }
    for join in joins:  # where both of its names are gone, it is about the second one too
        if join.into != shown_name[join.into]:
            now.setdefault(join.into, replace(join, name=join.into, into=shown_name[join.into]))
    before: Counter[str] = Counter()
    for join in vocabulary.joins:
        before[join.into] += join.count or 0
    done = [replace(join, count=counts[index_of[lost]] - before[lost]) for lost, join in now.items()]
    return Vocabulary(
        names=tuple(vocabulary.names[index] for index in order),
        members={spelling: new_index[index] for spelling, index in vocabulary.members.items()},
        scientific_names=tuple(
            latin[index] or next((latin[other] for other in shown[index] if latin[other]), None) for index in order
        ),
        counts=tuple(sum(counts[other] for other in shown[index]) for index in order),
        joins=(*earlier, *done),
    )


def joined_images(vocabulary: Vocabulary) -> int | None:
    """How many photos have another class because of joins; ``None`` where that is not known, as in older files."""
    counts = [join.count for join in vocabulary.joins]
    return None if None in counts else sum(count or 0 for count in counts)


def shown_first(name: str, count: int) -> tuple[int, int, str]:
    """The key by which names of one class are sorted: the one that is shown comes first.

    Args:
        name: A name.
        count: How many photos were given it.
    """
    return -count, len(name), name
