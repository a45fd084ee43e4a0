"""How many classes there may be, which names alone cannot tell."""

from collections.abc import Sequence


def size_range(counts: Sequence[int]) -> tuple[int, int]:
    """Between which numbers the true number of classes may be.

    The lower one counts the classes that several photos were given: a name that came once may be a mistake. The upper
    one is Chao's estimate of how many classes there are when some were not seen, from those seen once and twice:
    :math:`C + f_1 (f_1 - 1) / (2 (f_2 + 1))`. Mistakes that come once make it too large.

    Source: Chao, "Nonparametric Estimation of the Number of Classes in a Population", 1984, in the form without bias
    that is called Chao1.

    Args:
        counts: How many photos each class was given; classes without any do not count.

    Example:
        >>> size_range([3, 2, 2, 1, 1])
        (3, 5)
    """
    seen = [count for count in counts if count > 0]
    once, twice = seen.count(1), seen.count(2)
    return len(seen) - once, len(seen) + once * (once - 1) // (2 * (twice + 1))
