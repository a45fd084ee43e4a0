"""What every relabelling of fgvr must fulfil; call it from the tests of a plugin."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from fgvr.classifiers.closed_form.soft_names import SoftNames
from fgvr.relabelling.base import Relabelling

_IMAGES, _CLASSES, _DIM = 40, 7, 8


def check_relabelling(relabelling_factory: Callable[[], Relabelling]) -> None:
    """Check a relabelling against the contract in :mod:`fgvr.relabelling.base`.

    - A photo that had names has some; names are classes that some photo had, each once, at most ``m``, with weights
      that fall and sum to 1. A photo without names may be given some.
    - Equal input gives equal names, and the input is left as it is; what is said of a photo does not depend on its
      place among the photos.
    - A single photo, photos that are copies of one another, and one class work.

    Args:
        relabelling_factory: Makes a new relabelling, the same each time: the class itself, or a ``functools.partial``.

    Raises:
        AssertionError: The relabelling breaks the contract; the message says where.

    Example:
        >>> from fgvr.relabelling.em import EmRelabelling
        >>> check_relabelling(EmRelabelling)
    """
    features, names = _drawn()
    before = features.clone(), names.indices.clone(), names.weights.clone()
    said = _relabel(relabelling_factory, features, names)
    for kept, given in zip(before, (features, names.indices, names.weights), strict=True):
        assert torch.equal(kept, given), "relabel changed what it was given"
    again = _relabel(relabelling_factory, features, names)
    same = torch.equal(said.indices, again.indices) and torch.equal(said.weights, again.weights)
    assert same, "a second relabelling says something else of the same photos"
    order = torch.randperm(_IMAGES, generator=torch.Generator().manual_seed(1))
    shuffled = _relabel(
        relabelling_factory, features[order], SoftNames(names.indices[order], names.weights[order], _CLASSES)
    )
    everyone = torch.arange(_IMAGES)
    assert torch.allclose(shuffled.dense(everyone), said.dense(order), atol=1e-4), (
        "what is said of a photo depends on the order of the photos"
    )
    one = SoftNames(torch.zeros((1, 1), dtype=torch.int64), torch.ones((1, 1)).double(), 1)
    assert _relabel(relabelling_factory, features[:1], one).weights.sum() == 1, "a single photo lost its name"
    copies = SoftNames(torch.tensor([[0], [0], [2]]), torch.ones((3, 1)).double(), 3)
    _relabel(relabelling_factory, features[:1].expand(3, -1).contiguous(), copies)


def _drawn() -> tuple[Tensor, SoftNames]:
    """Photos with 0 to 3 names of 6 of 7 classes; no two are equally near to a third."""
    generator = torch.Generator().manual_seed(0)
    features = F.normalize(torch.randn((_IMAGES, _DIM), generator=generator), dim=1)
    indices = torch.stack([torch.randperm(_CLASSES - 1, generator=generator)[:3] for _ in range(_IMAGES)])
    weights = torch.rand((_IMAGES, 3), generator=generator).double()
    weights[torch.arange(3)[None, :] >= (torch.arange(_IMAGES) % 4)[:, None]] = 0
    return features, SoftNames.from_shares(indices, weights, _CLASSES)


def _relabel(relabelling_factory: Callable[[], Relabelling], features: Tensor, names: SoftNames) -> SoftNames:
    relabelling = relabelling_factory()
    said = relabelling.relabel(features, names)
    assert len(said) == len(names), f"{len(names)} photos, but names of {len(said)}"
    assert said.indices.shape[1] <= relabelling.m, f"{said.indices.shape[1]} names a photo, with m = {relabelling.m}"
    assert said.weights.dtype == torch.float64, f"weights of the kind {said.weights.dtype}"
    sums = said.weights.sum(1)
    named = names.weights.sum(1) > 0
    assert ((sums - 1).abs() < 1e-9)[named].all(), "a photo that had names has none, or their weights do not sum to 1"
    assert (((sums - 1).abs() < 1e-9) | (sums == 0)).all(), "weights of a photo do not sum to 1"
    assert (said.weights.diff(dim=1) <= 0).all(), "the heaviest name is not the first"
    dense = said.dense(torch.arange(len(said)))
    assert ((dense > 0).sum(1) == (said.weights > 0).sum(1)).all(), "a class stands twice in a row"
    strange = (dense.sum(0) > 0) & (names.counts == 0)
    assert not strange.any(), f"class {int(strange.nonzero()[0])} is given, which no photo had"
    return said
