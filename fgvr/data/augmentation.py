"""Random views of a photo for training."""

import hashlib
from collections.abc import Callable
from typing import Literal

import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import v2

AugmentKind = Literal["coop", "latteclip", "finer"]


class Augmentation:
    """A training view of a photo.

    ``coop`` (Zhou et al. 2022) is a bicubic crop of 8 to 100 % of the area, flipped half of the time. ``latteclip``
    (the released code; the paper is silent) crops 90 to 100 %, changes colours in 8 of 10 views, takes them away in 2
    of 10, and does not flip. ``finer`` (the released code of FineR) resizes the shorter side and then draws one of
    three: the centre, a crop after 16 black pixels all around, or a crop of 50 to 100 %; then colours that change in
    half of the views, or sharper ones in half; then a flip in 3 of 10, a turn by up to 30 degrees in 6 of 10, or
    another perspective in 3 of 10.

    Args:
        transform: The backbone's own transform, which comes after it and still normalises.
        kind: Which of these.
    """

    def __init__(self, transform: Callable[[Image.Image], Tensor], kind: AugmentKind = "coop") -> None:
        size = transform(Image.new("RGB", (64, 64))).shape[-1]
        self._draw = v2.Compose({"coop": _coop, "latteclip": _latteclip, "finer": _finer}[kind](size))
        self._transform = transform

    def __call__(self, image: Image.Image) -> Tensor:
        """Pixels of a new view, drawn from torch's generator."""
        return self._transform(self._draw(image))

    def view(self, image: Image.Image, digest: str, number: int) -> Tensor:
        """Pixels of a certain view: the same for the same file and number, whoever draws it and when.

        Args:
            image: The photo.
            digest: Of the photo's file.
            number: Of the view, from 0.
        """
        seed = hashlib.sha256(f"{digest} {number}".encode()).digest()[:8]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int.from_bytes(seed, "little", signed=True))
            return self(image)

    def __repr__(self) -> str:
        """What ``view`` draws, in words that change when it does: a part of the key of stored features."""
        return f"view from SHA-256(digest, number): {self._draw!r}"


def _coop(size: int) -> list[torch.nn.Module]:
    return [_crop(size, 0.08), v2.RandomHorizontalFlip()]


def _latteclip(size: int) -> list[torch.nn.Module]:
    colours = v2.RandomApply([v2.ColorJitter(0.5, 0.5, 0.5, 0.1)], p=0.8)
    return [_crop(size, 0.9), colours, v2.RandomGrayscale(p=0.2)]


def _finer(size: int) -> list[torch.nn.Module]:
    places = [v2.CenterCrop(size), v2.RandomCrop(size, padding=16), v2.RandomResizedCrop(size, scale=(0.5, 1.0))]
    colours = v2.RandomApply([v2.ColorJitter(0.4, 0.4, 0.2, 0.1)], p=0.5)
    sharper = v2.RandomApply([v2.RandomAdjustSharpness(sharpness_factor=2)], p=0.5)
    shapes = [v2.RandomHorizontalFlip(), v2.RandomRotation(30), v2.RandomPerspective()]
    return [
        v2.Resize(size, interpolation=v2.InterpolationMode.BICUBIC),
        v2.RandomChoice(places),
        v2.RandomChoice([colours, sharper]),
        v2.RandomChoice([v2.RandomApply([shape], p=0.6) for shape in shapes]),
    ]


def _crop(size: int, smallest: float) -> v2.RandomResizedCrop:
    return v2.RandomResizedCrop(size, scale=(smallest, 1.0), interpolation=v2.InterpolationMode.BICUBIC)
