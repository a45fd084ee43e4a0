"""What every selection of fgvr must fulfil; call it from the tests of a selection plugin."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from fgvr.errors import FgvrError
from fgvr.selections.base import Selection

_IMAGES, _DIM = 60, 8
_SIZES = (1, 2, 7, 30, _IMAGES - 1)


def check_selection(
    selection_factory: Callable[[int, int], Selection], draws: bool = False, nested: bool = True
) -> None:
    """Check a selection against the contract in :mod:`fgvr.selections.base`.

    - The numbers of the chosen photos are rising and ``min(n, N)`` many, also of one photo and among copies of one.
    - Equal input gives an equal choice, and the input is left as it is. Which photos are chosen does not depend on
      their order.
    - Choices of one selection are nested, and another seed makes another choice, where that is stated.
    - No photos at all are refused with an error for the user.

    Args:
        selection_factory: Makes a new selection from ``n`` and ``seed``: the class itself, or a ``functools.partial``.
        draws: Whether the selection draws at random, from its seed.
        nested: Whether the photos chosen for a smaller ``n`` are among those for a larger one.

    Raises:
        AssertionError: The selection breaks the contract; the message says where.

    Example:
        >>> from fgvr.selections.random import RandomSelection
        >>> check_selection(RandomSelection, draws=True)
    """
    sample_ids, features = _images(_IMAGES)
    before: set[str] = set()
    for n in _SIZES:
        chosen = _choose(selection_factory(n, 0), sample_ids, features)
        assert chosen == _choose(selection_factory(n, 0), sample_ids, features), "equal selections choose differently"
        selection = selection_factory(n, 0)
        _choose(selection, sample_ids, features)
        assert chosen == _choose(selection, sample_ids, features), "a second call of choose chooses differently"
        order = np.random.default_rng(1).permutation(_IMAGES)
        shuffled = _choose(selection_factory(n, 0), [sample_ids[image] for image in order], features[order])
        assert chosen == shuffled, f"which {n} photos are chosen depends on the order of the photos"
        assert not nested or before <= chosen, f"not all of the {len(before)} photos are among the {n}"
        before = chosen
    fresh_ids, fresh = _images(_IMAGES)
    unchanged = sample_ids == fresh_ids and np.array_equal(features, fresh)
    assert unchanged, "choose changed the photos that it was given"

    for n in (_IMAGES, _IMAGES + 1, 10 * _IMAGES):
        _choose(selection_factory(n, 0), sample_ids, features)
    _choose(selection_factory(5, 0), sample_ids[:1], features[:1])
    for distinct in (1, 3):
        for n in _SIZES:
            _choose(selection_factory(n, 0), sample_ids, features[np.arange(_IMAGES) % distinct])

    if draws:
        choices = [_choose(selection_factory(10, seed), sample_ids, features) for seed in (0, 1)]
        assert choices[0] != choices[1], "the seed makes no difference, although the selection draws"
    try:
        selection_factory(0, 0)
    except FgvrError:
        return
    raise AssertionError("n is 0: expected an FgvrError that says so")


def _images(count: int) -> tuple[list[str], NDArray[np.float32]]:
    """Photos of which no two are equally near to a third."""
    features = np.random.default_rng(0).normal(size=(count, _DIM)).astype(np.float32)
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    return [f"photos/{image:02}.jpg" for image in range(count)], features


def _choose(selection: Selection, sample_ids: Sequence[str], features: NDArray[np.float32]) -> set[str]:
    """The sample ids of the chosen photos."""
    given = features if selection.needs_features else np.zeros((0, 0), dtype=np.float32)
    numbers = selection.choose(sample_ids, given)
    assert isinstance(numbers, np.ndarray), f"choose returns a {type(numbers).__name__}, not an array"
    expected = (min(selection.n, len(sample_ids)),)
    whole = np.issubdtype(numbers.dtype, np.integer) and numbers.shape == expected
    assert whole, f"choose returns {numbers.dtype} of shape {numbers.shape}; expected whole numbers of shape {expected}"
    rising = (np.diff(numbers) > 0).all() and numbers[0] >= 0 and numbers[-1] < len(sample_ids)
    assert rising, f"choose returns {numbers.tolist()}: expected rising numbers below {len(sample_ids)}"
    return {sample_ids[number] for number in numbers}
