"""How many classes there may be, which names alone cannot tell."""

from collections.abc import Sequence


def size_range(counts: Sequence[int]) -> tuple[int, int | None]:
    """How many classes there are at least, by two readings of names that came once.

    If such a name is a mistake, only those count that several photos were given. If it is a class, others were not seen
    at all, and Chao's estimate says how many there are at least: :math:`C + f_1 (f_1 - 1) / (2 (f_2 + 1))` from the
    numbers of classes seen once and twice.

    Source: Chao, "Nonparametric Estimation of the Number of Classes in a Population", 1984, in the form without bias
    that is called Chao1.

    Args:
        counts: How many photos each class was given; classes without any do not count.

    Returns:
        Both numbers; ``None`` for the second where no class was seen twice, and it would be a guess.

    Example:
        >>> size_range([3, 2, 2, 1, 1]), size_range([1, 1])
        ((3, 5), (0, None))
    """
    seen = [count for count in counts if count > 0]
    once, twice = seen.count(1), seen.count(2)
    return len(seen) - once, len(seen) + once * (once - 1) // (2 * (twice + 1)) if twice else None
