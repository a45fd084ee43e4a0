"""Random views of a photo for training."""

import hashlib
from collections.abc import Callable
from typing import Literal

import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import v2

AugmentKind = Literal["coop", "latteclip"]


class Augmentation:
    """A training view of a photo.

    ``coop`` (Zhou et al. 2022) is a bicubic crop of 8 to 100 % of the area, flipped half of the time. ``latteclip``
    (the released code; the paper is silent) crops 90 to 100 %, changes colours in 8 of 10 views, takes them away in 2
    of 10, and does not flip.

    Args:
        transform: The backbone's own transform, which comes after it and still normalises.
        kind: Which of the two.
    """

    def __init__(self, transform: Callable[[Image.Image], Tensor], kind: AugmentKind = "coop") -> None:
        size = transform(Image.new("RGB", (64, 64))).shape[-1]
        scale, steps = {
            "coop": ((0.08, 1.0), [v2.RandomHorizontalFlip()]),
            "latteclip": (
                (0.9, 1.0),
                [v2.RandomApply([v2.ColorJitter(0.5, 0.5, 0.5, 0.1)], p=0.8), v2.RandomGrayscale(p=0.2)],
            ),
        }[kind]
        crop = v2.RandomResizedCrop(size, scale=scale, interpolation=v2.InterpolationMode.BICUBIC)
        self._draw = v2.Compose([crop, *steps])
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
