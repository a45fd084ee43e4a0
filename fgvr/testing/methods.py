"""What every method of fgvr must fulfil; call it from the tests of a method plugin."""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from fgvr.backbones.base import Backbone, ImageFeatures
from fgvr.data.batches import Batch
from fgvr.data.support_photos import SupportPhotos
from fgvr.methods.base import Method
from fgvr.records import ImageRecord, LabelRecord, Vocabulary
from fgvr.testing.tiny import TinyBackbone
from fgvr.vocabulary.build import build_vocabulary

_NAMES = ("Blue Jay", "House Finch", "Monk Parakeet")
_PHOTOS = 12


def check_method(method_factory: Callable[[Backbone], Method]) -> None:
    """Check a method against the contract in :mod:`fgvr.methods.base`, as far as it goes without a trainer.

    - The constructor reads no weights.
    - ``discover`` gives class names, at least one and each once, and the same ones again.
    - After ``build``, there is a classifier for each of ``row_names()``, in this order, the method's own last.
    - Each gives float32 logits of shape ``(B, C)``, of which none is NaN and each photo has a finite one; those of a
      photo do not depend on the photos beside it.
    - Another object that is built from the same class names with the same seed gives the same logits.

    Training is not looked at, and neither is what a method learns in ``build`` where there is a trainer.

    Args:
        method_factory: Makes a new method from a backbone: the class itself, or a ``functools.partial``.

    Raises:
        AssertionError: The method breaks the contract; the message says where.

    Example:
        >>> from fgvr.methods.zero_shot import ZeroShotMethod
        >>> check_method(ZeroShotMethod)
    """
    lazy = TinyBackbone()
    method = method_factory(lazy)
    assert not list(lazy.parameters()), "the constructor loads the backbone"
    lazy.load()
    with tempfile.TemporaryDirectory() as folder:
        vocabulary = method.discover(_support(lazy, Path(folder)))
        again = method_factory(lazy).discover(_support(lazy, Path(folder)))
    assert isinstance(vocabulary, Vocabulary), f"discover gives a {type(vocabulary).__name__}, not a Vocabulary"
    assert vocabulary.names, "discover finds no class name"
    assert len(set(vocabulary.names)) == len(vocabulary.names), "discover gives a class name twice"
    assert vocabulary.names == again.names, "discover gives other class names the second time"

    logits = _logits(method, vocabulary)
    assert logits, "there is no row"
    assert method.row == list(logits)[-1], (
        f"the last row is {list(logits)[-1]!r}, and the method's own is {method.row!r}"
    )
    unknown = [row for row in logits if row not in method.row_names()]
    assert not unknown, f"row_names() lacks the row {unknown[:1]}"
    second = _logits(method_factory(lazy), vocabulary)
    for row, found in logits.items():
        torch.testing.assert_close(second[row], found, msg=f"another object gives other logits in the row {row!r}")


def _support(backbone: Backbone, folder: Path) -> SupportPhotos:
    names = [_NAMES[number % len(_NAMES)] for number in range(_PHOTOS)]
    images = [
        ImageRecord(sample_id=f"{number}.jpg", path=Path(f"{number}.jpg"), split="support", digest=f"{number:064x}")
        for number in range(_PHOTOS)
    ]
    labels = [
        LabelRecord(image.sample_id, names=(name,), scientific_names=(None,))
        for image, name in zip(images, names, strict=True)
    ]

    def features(given: Sequence[ImageRecord], other: Backbone | None, space: str) -> np.ndarray:
        tower = other or backbone
        tower.load()
        width = tower.embed_dim if space == "joint" else tower.visual_dim
        return _unit(len(given), width).numpy()

    return SupportPhotos(images, labels, lambda: build_vocabulary(labels), features, folder)


def _logits(method: Method, vocabulary: Vocabulary) -> dict[str, Tensor]:
    """Logits of made-up photos by each row, which are looked at."""
    with torch.random.fork_rng(devices=[]):  # as a run does it: new parameters depend on the seed alone
        torch.manual_seed(0)
        method.build(vocabulary, None)
    method.vocabulary = vocabulary
    backbone = method.backbone
    found: dict[str, Tensor] = {}
    with torch.no_grad():
        photos = ImageFeatures(_unit(5, backbone.embed_dim), _unit(5, backbone.visual_dim))
        if method.needs_pixels:  # what its rows read is what it makes of pixels
            pixels = torch.rand((5, 3, 32, 32), generator=torch.Generator().manual_seed(0))
            photos = method.features(Batch(pixels, torch.arange(5)))
        for row, classifier in method.as_classifiers().items():
            logits = classifier(photos)
            shape = tuple(logits.shape)
            expected = (5, len(vocabulary))
            assert logits.dtype == torch.float32, f"logits of the row {row!r} are {logits.dtype}; expected float32"
            assert shape == expected, f"logits of the row {row!r} are of shape {shape}; expected {expected}"
            assert not logits.isnan().any(), f"a logit of the row {row!r} is not a number"
            assert logits.isfinite().any(1).all(), f"a photo has no finite logit in the row {row!r}"
            alone = [
                classifier(ImageFeatures(joint[None], None if photos.visual is None else photos.visual[number, None]))
                for number, joint in enumerate(photos.joint)
            ]
            torch.testing.assert_close(
                torch.cat(alone), logits, msg=f"logits of the row {row!r} depend on other photos"
            )
            found[row] = logits
    return found


def _unit(count: int, width: int) -> Tensor:
    drawn = torch.randn(count, width, generator=torch.Generator().manual_seed(count))
    return torch.nn.functional.normalize(drawn, dim=-1)
