"""What every filter of fgvr must fulfil; call it from the tests of a plugin."""

from collections.abc import Callable
from dataclasses import fields

import torch
from torch import Tensor

from fgvr.filters.base import Filter, PseudoLabels

_IMAGES, _CLASSES = 60, 5


def check_filter(filter_factory: Callable[[], Filter]) -> None:
    """Check a filter against the contract in :mod:`fgvr.filters.base`.

    It is given two models with negative prompts and another view of each photo.

    - ``keep`` is bool of shape ``(M, N)``, ``doubt`` float32 of shape ``(N,)`` and never NaN, of no photos too.
    - Equal input gives equal output, and is left as it is; nothing depends on a photo's place among the photos, as long
      as no two are equally confident.
    - A photo of which nothing is a number has an infinite doubt.

    Args:
        filter_factory: Makes a new filter, the same each time: the class itself, or a ``functools.partial``.

    Raises:
        AssertionError: The filter breaks the contract; the message says where.

    Example:
        >>> from fgvr.filters.top_k import TopKFilter
        >>> check_filter(TopKFilter)
    """
    said = _drawn()
    before = _taken(said, torch.arange(_IMAGES))
    kept, doubt = _filtered(filter_factory, said)
    for field in fields(PseudoLabels):
        assert torch.equal(getattr(before, field.name), getattr(said, field.name)), f"the filter changed {field.name}"
    again = _filtered(filter_factory, said)
    assert torch.equal(kept, again[0]), "a second filter keeps other photos"
    assert torch.equal(doubt, again[1]), "a second filter doubts other photos"
    order = torch.randperm(_IMAGES, generator=torch.Generator().manual_seed(1))
    moved = _filtered(filter_factory, _taken(said, order))
    assert torch.equal(moved[0], kept[:, order]), "which photos are kept depends on the order of the photos"
    assert torch.allclose(moved[1], doubt[order], atol=1e-5), "the doubt depends on the order of the photos"
    _filtered(filter_factory, _taken(said, order[:0]))
    _filtered(filter_factory, _taken(said, order[:1]))
    assert said.margins is not None
    said.confidence[:, 0] = torch.nan
    said.margins[:, :, 0] = torch.nan
    doubt = _filtered(filter_factory, said)[1]
    assert doubt[0] == torch.inf, f"a photo of which nothing is a number has the doubt {float(doubt[0])}, not infinity"


def _drawn() -> PseudoLabels:
    """Two models that mostly agree; no two photos are equally confident."""
    generator = torch.Generator().manual_seed(0)
    first = torch.randint(_CLASSES, (_IMAGES,), generator=generator)
    second, *views = (
        torch.where(
            torch.rand(_IMAGES, generator=generator) < 0.3,
            torch.randint(_CLASSES, (_IMAGES,), generator=generator),
            first,
        )
        for _ in range(3)
    )
    return PseudoLabels(
        labels=torch.stack([first, second]),
        confidence=torch.randn((2, _IMAGES), generator=generator) * 3,
        margins=torch.randn((2, 2, _IMAGES), generator=generator) * 3,
        view_labels=torch.stack(views),
    )


def _taken(said: PseudoLabels, rows: Tensor) -> PseudoLabels:
    return PseudoLabels(*(getattr(said, field.name)[..., rows] for field in fields(PseudoLabels)))


def _filtered(filter_factory: Callable[[], Filter], said: PseudoLabels) -> tuple[Tensor, Tensor]:
    made = filter_factory()
    kept, doubt = made.keep(said), made.doubt(said)
    shape = tuple(said.labels.shape)
    assert kept.dtype == torch.bool, f"keep gives {kept.dtype}, not bool"
    assert tuple(kept.shape) == shape, f"keep gives the shape {tuple(kept.shape)} for labels of {shape}"
    assert doubt.dtype == torch.float32, f"doubt gives {doubt.dtype}, not float32"
    assert tuple(doubt.shape) == shape[1:], f"doubt gives the shape {tuple(doubt.shape)} for {shape[1]} photos"
    assert not doubt.isnan().any(), "a doubt is not a number"
    return kept, doubt
