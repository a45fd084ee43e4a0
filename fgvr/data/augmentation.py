"""Random views of a photo for training."""

import hashlib
from collections.abc import Callable

import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import v2


class Augmentation:
    """CoOp's training view (Zhou et al. 2022): a bicubic crop of 8 to 100 % of the area, flipped half of the time.

    Args:
        transform: The backbone's own transform, which comes after it and still normalises.
    """

    def __init__(self, transform: Callable[[Image.Image], Tensor]) -> None:
        size = transform(Image.new("RGB", (64, 64))).shape[-1]
        self._draw = v2.Compose(
            [
                v2.RandomResizedCrop(size, scale=(0.08, 1.0), interpolation=v2.InterpolationMode.BICUBIC),
                v2.RandomHorizontalFlip(),
            ]
        )
        self._transform = transform

    def __call__(self, photo: Image.Image) -> Tensor:
        """Pixels of a new view, drawn from torch's generator."""
        return self._transform(self._draw(photo))

    def view(self, photo: Image.Image, digest: str, number: int) -> Tensor:
        """Pixels of a certain view: the same for the same file and number, whoever draws it and when.

        Args:
            photo: The photo.
            digest: Of the photo's file.
            number: Of the view, from 0.
        """
        seed = hashlib.sha256(f"{digest} {number}".encode()).digest()[:8]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int.from_bytes(seed, "little", signed=True))
            return self(photo)

    def __repr__(self) -> str:
        """What ``view`` draws, in words that change when it does: a part of the key of stored features."""
        return f"view from SHA-256(digest, number): {self._draw!r}"
