"""The class that a frozen backbone gives each photo."""

import numpy as np
from numpy.typing import NDArray

_PRODUCTS = 2**24


def zero_shot_labels(image_features: NDArray[np.float32], class_features: NDArray[np.float32]) -> NDArray[np.int64]:
    r"""The zero-shot class of each photo, :math:`c_i = \arg\max_c \langle f_i, t_c \rangle`, in float32.

    LatteCLIP's first pseudo-label (its section 3.2): of the frozen backbone and of views that are not augmented. Of
    equal products the first class has it.

    Args:
        image_features: L2-normalised, shape ``(N, D)``; an array or a tensor on the CPU.
        class_features: The same of the classes' texts, shape ``(C, D)``, C at least 1.

    Returns:
        Class indices, shape ``(N,)``.

    Raises:
        ValueError: The shapes do not fit, or there is no class.

    Example:
        >>> zero_shot_labels(np.eye(3, dtype=np.float32), np.eye(3, dtype=np.float32)[[2, 0, 1]]).tolist()
        [1, 2, 0]
    """
    images, classes = np.asarray(image_features, np.float32), np.asarray(class_features, np.float32)
    if images.ndim != 2 or classes.ndim != 2 or images.shape[1] != classes.shape[1] or not len(classes):
        raise ValueError(f"Image features of shape {images.shape} and class features of shape {classes.shape}.")
    labels = np.empty(len(images), dtype=np.int64)
    # a million photos by a thousand classes are 4 GB of products
    rows = max(1, _PRODUCTS // len(classes))
    for start in range(0, len(images), rows):
        labels[start : start + rows] = (images[start : start + rows] @ classes.T).argmax(axis=1)
    return labels
