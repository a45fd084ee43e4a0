"""What every candidate strategy of fgvr must fulfil; call it from the tests of a strategy plugin."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from fgvr.candidates.base import CandidateStrategy, NamedImages
from fgvr.errors import FgvrError
from fgvr.records import CandidateSets

_IMAGES, _CLASSES = 40, 7


def check_candidates(strategy_factory: Callable[[], CandidateStrategy], draws: bool = False) -> None:
    """Check a candidate strategy against the contract in :mod:`fgvr.candidates.base`.

    - Every photo that the labeler named gets a set, one without a name may be left out; sets are never empty, hold
      classes of the vocabulary, each once, and their weights sum to 1. The order is that of the photos.
    - Equal input gives equal sets, and the input is left as it is. Where nothing is drawn, a photo's set does not
      depend on its place among the photos (its weights but for rounding); where something is, another seed gives other
      sets.
    - A single photo and a vocabulary of one name work; where no photo has a name, the error is for the user.

    Args:
        strategy_factory: Makes a new strategy, the same each time: the class itself, or a ``functools.partial`` of it.
        draws: Whether the strategy draws at random, from ``images.seed``.

    Raises:
        AssertionError: The strategy breaks the contract; the message says where.

    Example:
        >>> from fgvr.candidates.single import SingleCandidates
        >>> check_candidates(SingleCandidates)
    """
    images = _images()
    sets = _build(strategy_factory, images)
    _check_equal(_build(strategy_factory, images), sets, "a second strategy gives other sets for the same photos")
    strategy = strategy_factory()
    strategy.build(images)
    _check_equal(strategy.build(images), sets, "a second call of build gives other sets for the same photos")

    fresh = _images()
    unchanged = images.labels == fresh.labels and np.array_equal(images.features, fresh.features)
    assert unchanged, "build changed the photos that it was given"

    shuffled = _build(strategy_factory, _reordered(images, np.random.default_rng(1).permutation(_IMAGES).tolist()))
    if draws:
        other = _build(strategy_factory, replace(images, seed=images.seed + 1))
        assert _by_image(other) != _by_image(sets), "images.seed makes no difference, although the strategy draws"
    else:
        _check_equal(shuffled, sets, "a photo's set depends on the order of the photos", tolerance=1e-4)

    _build(strategy_factory, replace(_reordered(images, [0]), labels=[(0,)], num_classes=1))
    try:
        strategy_factory().build(replace(images, labels=[()] * _IMAGES))
    except FgvrError:
        return
    raise AssertionError("no photo has a name: expected an FgvrError that says so")


def _images() -> NamedImages:
    """Photos with 0 to 3 names; no two are equally near to a third."""
    generator = np.random.default_rng(0)
    features = generator.normal(size=(_IMAGES, 8)).astype(np.float32)
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    labels = [tuple(generator.permutation(_CLASSES)[: image % 4].tolist()) for image in range(_IMAGES)]
    return NamedImages(tuple(f"photos/{image:02}.jpg" for image in range(_IMAGES)), labels, _CLASSES, features, seed=3)


def _reordered(images: NamedImages, order: list[int]) -> NamedImages:
    return replace(
        images,
        sample_ids=tuple(images.sample_ids[image] for image in order),
        labels=[images.labels[image] for image in order],
        features=images.features[order],
    )


def _build(strategy_factory: Callable[[], CandidateStrategy], images: NamedImages) -> CandidateSets:
    sets = strategy_factory().build(images)
    with_set = set(sets.sample_ids)
    in_order = tuple(sample_id for sample_id in images.sample_ids if sample_id in with_set)
    assert sets.sample_ids == in_order, "the sets are not in the order of the photos, or there are strange ones"
    for sample_id, names in zip(images.sample_ids, images.labels, strict=True):
        assert sample_id in with_set or not names, f"{sample_id} has the names {names}, but no candidate set"
    inside = (sets.indices >= 0) & (sets.indices < images.num_classes)
    assert inside.all(), f"class index {sets.indices[~inside]} in a vocabulary of {images.num_classes} names"
    return sets


def _by_image(sets: CandidateSets) -> dict[str, tuple[list[int], list[float]]]:
    rows = ((indices.tolist(), weights.tolist()) for indices, weights in sets)
    return dict(zip(sets.sample_ids, rows, strict=True))


def _check_equal(actual: CandidateSets, expected: CandidateSets, problem: str, tolerance: float = 0.0) -> None:
    found, wanted = _by_image(actual), _by_image(expected)
    assert {image: row[0] for image, row in found.items()} == {image: row[0] for image, row in wanted.items()}, problem
    for image, (_, weights) in wanted.items():
        assert np.allclose(found[image][1], weights, rtol=0, atol=tolerance), problem
