"""Random views of a photo for training."""

from collections.abc import Callable

from PIL import Image
from torch import Tensor
from torchvision.transforms import v2


def augmented(transform: Callable[[Image.Image], Tensor]) -> Callable[[Image.Image], Tensor]:
    """CoOp's training view (a random crop of 8 to 100 % of the area, bicubic, flipped half of the time), then ``transform``.

    Args:
        transform: The backbone's own transform, which still normalises.
    """
    size = transform(Image.new("RGB", (64, 64))).shape[-1]
    return v2.Compose(
        [
            v2.RandomResizedCrop(size, scale=(0.08, 1.0), interpolation=v2.InterpolationMode.BICUBIC),
            v2.RandomHorizontalFlip(),
            transform,
        ]
    )
