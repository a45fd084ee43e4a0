"""The image features that a strategy searches in: those of the run's backbone, or of one of its own."""

import numpy as np
from numpy.typing import NDArray

from fgvr.candidates.base import FeatureSpace, NamedImages
from fgvr.errors import FgvrError
from fgvr.records import Space
from fgvr.text import counted

_FAR_FROM_UNIT = 0.01
"""Lengths that are off by this much are no rounding: the features were not normalised."""
_UNIT = 1e-5
"""Lengths within this of 1 are as good as 1: well below the margin that neighbours are searched with."""


def features_of(
    images: NamedImages, backbone: FeatureSpace | None = None, space: Space = "visual", section: str = "candidates"
) -> NDArray[np.float32]:
    """L2-normalised image features of ``images``, shape ``(N, D)``.

    Args:
        images: The support photos.
        backbone: Whose features; those of the run's backbone if not given.
        space: Its joint or its visual space.
        section: Whose options these are, for messages.

    Raises:
        FgvrError: The features are not there, or not of unit length.
    """
    given = len(images.features) > 0 or images.features_in is None
    if backbone is None and images.space in (None, space) and given:
        features = images.features
    elif images.features_in is None:
        whose = "the run's backbone" if backbone is None else type(backbone).__name__
        raise FgvrError(
            f"{section} needs features of {whose} in its {space} space, but only others are at hand here: leave "
            f"{section}.backbone and {section}.space out, or give NamedImages a features_in."
        )
    else:
        features = images.features_in(backbone, space)
    count = len(images.sample_ids)
    if len(features) != count or not (np.abs(lengths_of(features) - 1) < _FAR_FROM_UNIT).all():  # also refuses NaN
        raise FgvrError(
            f"{section} needs finite, L2-normalised image features of {counted(count, 'photo')}, but those of shape "
            f"{features.shape} are not: normalise them in the backbone's encode_image."
        )
    return unit(features)


def lengths_of(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """L2 norm of each row, shape ``(N,)``; without a second array of the size of ``features``."""
    lengths: NDArray[np.float32] = np.sqrt(np.einsum("nd,nd->n", features, features))
    return lengths


def unit(features: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows of length 1: ``features`` itself where they are; rows of zeros stay.

    Features kept in half precision are off by enough to lose the photo itself among its neighbours.
    """
    lengths = lengths_of(features)
    if (np.abs(lengths - 1) <= _UNIT).all():
        return features
    return np.divide(features, np.where(lengths > 0, lengths, 1)[:, None], dtype=np.float32)
