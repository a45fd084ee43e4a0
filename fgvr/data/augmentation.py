"""Random views of a photo for training."""

from collections.abc import Callable

from PIL import Image
from torch import Tensor
from torchvision.transforms import v2


def augmented(transform: Callable[[Image.Image], Tensor]) -> Callable[[Image.Image], Tensor]:
    """CoOp's training view, then ``transform``: a bicubic crop of 8 to 100 % of the area, flipped half of the time.

    Args:
        transform: The backbone's own transform, which still normalises.
    """
    size = transform(Image.new("RGB", (64, 64))).shape[-1]
    views = [
        v2.RandomResizedCrop(size, scale=(0.08, 1.0), interpolation=v2.InterpolationMode.BICUBIC),
        v2.RandomHorizontalFlip(),
        transform,
    ]
    composed: Callable[[Image.Image], Tensor] = v2.Compose(views)
    return composed
