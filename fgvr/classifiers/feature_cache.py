"""Classification by the text and by photos that were kept for each class: the training-free inference of TFUP."""

import torch
from torch import Tensor

from fgvr.backbones.base import ImageFeatures
from fgvr.classifiers.base import Classifier

SHARPNESS = 10.0
"""Factor on cosines in the softmax over classes whose divergences tell how much alike photos are (released code)."""
_CELLS = 2**24
"""Most numbers of one matrix over photos and classes, or photos and kept photos: 64 MB in float32."""
_SAME = 1e-5
"""Features whose cosine is below 1 by less than this are one photo's; float16 stores are as exact."""
_FLAT = 1e-6
"""Divergences that differ by less than this differ by rounding alone."""


class FeatureCacheClassifier(Classifier):
    r"""Cosines with the texts times a scale, and the likeness to the photos that are kept for each class.

    A photo's logit of class c is :math:`s\,f \cdot w_c + \alpha \sum_{q \in c} e^{-\beta (1 - a_q)}`; see
    :func:`kept_photo_scores`.

    Args:
        class_features: L2-normalised texts, shape ``(C, D)``.
        keys: L2-normalised features of S kept photos a class, shape ``(C, S, D)``.
        scale: Factor on cosines with the texts.
        alpha: Weight of the kept photos.
        beta: How fast a photo counts less that is less alike.
    """

    class_features: Tensor
    keys: Tensor
    denominators: Tensor

    def __init__(
        self, class_features: Tensor, keys: Tensor, scale: float, alpha: float = 0.3, beta: float = 1.0
    ) -> None:
        super().__init__()
        self.register_buffer("class_features", class_features.float())
        self.register_buffer("keys", keys.float())
        # they depend on the other two, which a checkpoint replaces, and would have to be computed for each batch
        self.register_buffer("denominators", log_denominators(keys.flatten(0, 1).float(), class_features.float()))
        self.scale = scale
        self.alpha = alpha
        self.beta = beta

    def forward(self, features: ImageFeatures) -> Tensor:
        """See the base class."""
        images = features.joint.float()
        with torch.autocast(images.device.type, enabled=False):
            kept = kept_photo_scores(images, self.class_features, self.keys, self.denominators, self.beta)
            logits: Tensor = self.scale * images @ self.class_features.T + self.alpha * kept
        return logits

    def holds(self, images: Tensor) -> Tensor:
        """Which photos are among the kept ones, or copies of these.

        Args:
            images: L2-normalised, shape ``(N, D)``.

        Returns:
            bool, shape ``(N,)``.
        """
        keys = self.keys.flatten(0, 1)
        parts = images.split(max(1, _CELLS // len(keys)))
        return torch.cat([(part @ keys.T).amax(1) > 1 - _SAME for part in parts])

    def make_room(self, size: int) -> None:
        """Have S photos a class, whose values a checkpoint gives."""
        classes, _, width = self.keys.shape
        self.keys = self.keys.new_zeros(classes, size, width)
        self.denominators = self.denominators.new_zeros(classes * size)


def log_denominators(images: Tensor, classes: Tensor) -> Tensor:
    r"""Logarithm of the denominator of each photo's softmax over classes, up to a number that is the same for all.

    It is :math:`\log \frac{1}{C} \sum_c e^{10 f \cdot (w_c - \bar{w})}`: the mean class :math:`\bar{w}` changes no
    softmax, and without it, and by ``log1p``, the small differences between photos are not lost in float32.

    Args:
        images: Shape ``(N, D)``.
        classes: Shape ``(C, D)``.

    Returns:
        Shape ``(N,)``.
    """
    apart = classes - classes.mean(0)
    parts = images.split(max(1, _CELLS // len(classes)))
    return torch.cat([(SHARPNESS * part @ apart.T).expm1().mean(1).log1p() for part in parts])


def mean_classes(images: Tensor, classes: Tensor) -> Tensor:
    r"""The mean of the class features for each photo, weighed by its softmax :math:`p_c \sim e^{10 f \cdot w_c}`.

    Args:
        images: Shape ``(N, D)``.
        classes: Shape ``(C, D)``.

    Returns:
        Its difference from the mean of all, :math:`\sum_c p_c w_c - \bar{w}`, shape ``(N, D)``.
    """
    apart = classes - classes.mean(0)
    parts = images.split(max(1, _CELLS // len(classes)))
    return torch.cat([(SHARPNESS * part @ apart.T).softmax(1) @ apart for part in parts])


def likeness(images: Tensor, classes: Tensor, keys: Tensor, denominators: Tensor) -> Tensor:
    r"""How much alike photos and kept photos are in what the texts say of them, from 0 (least of all) to 2 (most).

    It is :math:`2 (1 - d)`, d the Kullback-Leibler divergence :math:`\sum_c p_c \log (p_c / q_c)` of the softmax of a
    photo from that of a kept one, moved and stretched to [0, 1] over all kept photos. With
    :math:`\log q_c = 10\,k \cdot w_c - z`, z the logarithm of its denominator, and m the mean of the classes weighed by
    p, the divergence is :math:`z - 10\,m \cdot k`, and numbers that are the same for all kept photos and so are taken
    away. No matrix of kept photos and classes is needed. The paper's z-scores before that change nothing, either.

    Args:
        images: L2-normalised, shape ``(B, D)``.
        classes: L2-normalised, shape ``(C, D)``.
        keys: Kept photos, L2-normalised, shape ``(K, D)``.
        denominators: :func:`log_denominators` of the kept photos, shape ``(K,)``.

    Returns:
        Shape ``(B, K)``; 2 where all kept photos diverge alike (the released code divides zero by zero).

    Example:
        >>> keys = torch.tensor([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]])
        >>> likeness(keys[:1], torch.eye(2), keys, log_denominators(keys, torch.eye(2))).round(decimals=2)
        tensor([[2.0000, 1.5700, 0.0000]])
    """
    divergences = denominators - SHARPNESS * (mean_classes(images, classes) @ (keys - keys.mean(0)).T)
    least, most = divergences.aminmax(dim=1, keepdim=True)
    spread = most - least
    flat = spread < _FLAT
    relative = (divergences - least) / spread.masked_fill(flat, 1)
    return 2 * (1 - relative.masked_fill(flat, 0))


def kept_photo_scores(images: Tensor, classes: Tensor, keys: Tensor, denominators: Tensor, beta: float) -> Tensor:
    r"""Sum over the kept photos q of each class of :math:`e^{-\beta (1 - a_q)}`.

    :math:`a_q` is the cosine with the kept photo times :func:`likeness`. Photos are taken some at a time, so that no
    matrix of photos and kept photos has more than 2^24 numbers, or one row.

    Args:
        images: L2-normalised, shape ``(B, D)``.
        classes: L2-normalised, shape ``(C, D)``.
        keys: L2-normalised features of S kept photos a class, shape ``(C, S, D)``.
        denominators: :func:`log_denominators` of the kept photos, shape ``(C * S,)``.
        beta: 0 or more.

    Returns:
        Shape ``(B, C)``.
    """
    flat = keys.flatten(0, 1)
    scores = []
    for part in images.split(max(1, _CELLS // len(flat))):
        alike = (part @ flat.T) * likeness(part, classes, flat, denominators)
        scores.append((-beta * (1 - alike)).exp().unflatten(1, keys.shape[:2]).sum(-1))
    return torch.cat(scores)
