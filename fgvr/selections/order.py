"""The order in which a seed draws photos, which every selection shares."""

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fgvr.errors import FgvrError
from fgvr.text import counted


def draw_order(sample_ids: Sequence[str], seed: int) -> NDArray[np.intp]:
    """Numbers of the photos in the order in which ``seed`` draws them.

    A photo's place is the hash of seed and sample id, so which of two photos comes first depends neither on the other
    photos nor on the order in which they are given.

    Args:
        sample_ids: The N photos.
        seed: Another one is another order.

    Returns:
        Shape ``(N,)``.
    """
    # not the hash that draws the support photos: with --data.shots those of large classes would have the lowest ones
    places = [hashlib.sha256(f"select:{seed}:{sample_id}".encode()).digest() for sample_id in sample_ids]
    return np.array(sorted(range(len(places)), key=places.__getitem__), dtype=np.intp)


def unit_features(features: NDArray[np.float32], order: NDArray[np.intp]) -> NDArray[np.float32]:
    """Image features in the order of the draw.

    Computed with in this order, sums and ties come out alike in whatever order the photos were given.

    Args:
        features: Shape ``(N, D)``.
        order: What :func:`draw_order` returns.

    Returns:
        Shape ``(N, D)``, of length 1 in float32, where half precision has put them off.

    Raises:
        FgvrError: Not one vector for each photo, or they are not finite and L2-normalised.
    """
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    if len(lengths) != len(order) or not (np.abs(lengths - 1) < 0.01).all():  # also refuses NaN
        raise FgvrError(
            f"data.select needs finite, L2-normalised image features of {counted(len(order), 'photo')}, but those "
            f"of shape {features.shape} are not: normalise them in the backbone's encode_image."
        )
    unit = features[order].astype(np.float32, copy=False)
    unit /= lengths[order]
    return unit
