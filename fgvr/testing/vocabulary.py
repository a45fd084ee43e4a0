"""What every vocabulary strategy of fgvr must fulfil; call it from the tests of a plugin."""

import copy
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from fgvr.records import LabelRecord, Space, Vocabulary
from fgvr.vocabulary.base import GivenNames, VocabularyStrategy
from fgvr.vocabulary.build import build_vocabulary, fold_name
from fgvr.vocabulary.join import join_classes

_NAMES = (
    "Audi R8",
    "Audi R8 2007",
    "audi-r8",
    "BMW M5",
    "BMW M5 Touring 2010",
    "Toy Poodle",
    "Poodle (toy)",
    "Pug",
    "",
)
_IMAGES, _DIM = 40, 8


def check_vocabulary(strategy_factory: Callable[[], VocabularyStrategy]) -> None:
    """Check a strategy against the contract in :mod:`fgvr.vocabulary.base`.

    - It joins classes that are there, none with itself, and says by what rule and why.
    - Equal input gives an equal vocabulary, also in another order of the photos, and is left as it is; joining what
      was joined changes nothing.
    - Every spelling leads to a class, and the photos of joined classes are counted together.
    - Vocabularies of one class are taken as they are.

    Args:
        strategy_factory: Makes a new strategy, the same each time: the class itself, or a ``functools.partial`` of it.

    Raises:
        AssertionError: The strategy breaks the contract; the message says where.

    Example:
        >>> from fgvr.vocabulary.granularity import GranularityVocabulary
        >>> check_vocabulary(GranularityVocabulary)
    """
    order = np.random.default_rng(0).permutation(_IMAGES)
    vocabulary, given = _drawn(range(_IMAGES))
    before = copy.deepcopy((vocabulary, given.labels))
    joins = strategy_factory().joins(vocabulary, given)
    assert (vocabulary, given.labels) == before, "joins changed what it was given"
    assert all(join.name != join.into for join in joins), "a class was joined with itself"
    assert all(join.rule and join.why for join in joins), "a join does not say by what rule, or why"
    result = join_classes(vocabulary, joins)
    assert result.members.keys() == vocabulary.members.keys(), "a spelling has no class any more"
    assert sum(result.counts) == sum(vocabulary.counts), "photos were lost"
    shuffled = strategy_factory().joins(*_drawn(order.tolist()))
    assert _classes(join_classes(vocabulary, shuffled)) == _classes(result), (
        "the order of the photos makes a difference"
    )
    assert not strategy_factory().joins(result, given), "what was joined is joined again"
    alone = build_vocabulary([LabelRecord("0.jpg", ("Pug",))])
    assert not strategy_factory().joins(alone, _drawn([7])[1]), "one class was joined"


def _drawn(order: Sequence[int]) -> tuple[Vocabulary, GivenNames]:
    labels = [LabelRecord(f"{each}.jpg", (name,) if (name := _NAMES[each % len(_NAMES)]) else ()) for each in order]
    features = _unit(np.random.default_rng(1).normal(size=(_IMAGES, _DIM)))[list(order)]

    def image_features(space: Space) -> NDArray[np.float32]:
        return features.copy()

    def text_features(texts: Sequence[str]) -> NDArray[np.float32]:
        return _unit(np.stack([_drawn_for(text) for text in texts]))

    return build_vocabulary(labels), GivenNames(labels, image_features, text_features)


def _drawn_for(text: str) -> NDArray[np.float64]:
    return np.random.default_rng(list(fold_name(text).encode())).normal(size=_DIM)


def _unit(rows: NDArray[np.float64]) -> NDArray[np.float32]:
    unit: NDArray[np.float32] = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return unit


def _classes(vocabulary: Vocabulary) -> tuple[tuple[str, ...], dict[str, int], tuple[int, ...]]:
    return vocabulary.names, dict(vocabulary.members), vocabulary.counts
