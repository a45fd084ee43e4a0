"""Which unlabelled photos TFUP keeps for each class: confident ones that are typical of the confident ones."""

import torch
from torch import Tensor

from fgvr.classifiers.feature_cache import SHARPNESS, log_denominators, mean_classes

PAPER_FLOOR = 9
_CELLS = 2**22
"""Most numbers of one matrix, in float64: 32 MB."""


def photos_a_class(photos: int, classes: int, share: float, floor: int | None = None, most: int | None = None) -> int:
    """How many photos are kept for each class: a share of the photos that a class has on average, within bounds.

    Args:
        photos: N, 1 or more.
        classes: C, 1 or more.
        share: Of N / C.
        floor: At least so many. If not given, 9 as in the paper, but not more than N / C and not fewer than 1.
        most: At most so many, ``floor`` or more.

    Example:
        >>> photos_a_class(600, 200, 0.3), photos_a_class(600, 200, 0.3, floor=9), photos_a_class(9000, 9, 0.3, most=16)
        (3, 9, 16)
    """
    least = max(1, min(PAPER_FLOOR, photos // classes)) if floor is None else floor
    size = max(least, int(photos * share / classes))
    return size if most is None else min(size, most)


def typical_photos(images: Tensor, classes: Tensor, size: int) -> Tensor:
    r"""For each class, of the photos that are likeliest to show it, those that diverge least from the others of them.

    With :math:`p` the softmax of a photo's cosines with the classes times 10: of the ``2 * size`` photos with the
    largest :math:`p_c` those ``size`` are kept whose :math:`\sum_q \mathrm{KL}(p \| p_q)` over all of these is
    smallest. Whether c is a photo's likeliest class is not asked, so one photo may be kept for several classes, and
    every class has its photos, also one that no photo shows.

    Computed in float64, some classes and some photos at a time: beside copies of ``images`` nothing grows with N times
    C. Where photos are equally likely or typical, which of them are taken is not defined, but always the same.

    Args:
        images: L2-normalised, shape ``(N, D)``.
        classes: L2-normalised, shape ``(C, D)``.
        size: How many, 1 or more.

    Returns:
        int64, shape ``(C, min(size, N))``: rows of ``images``, the most typical one first.

    Example:
        >>> images = torch.nn.functional.normalize(torch.tensor([[1.0, 0.1], [1.0, 0.2], [0.1, 1.0]]))
        >>> typical_photos(images, torch.eye(2), 1)
        tensor([[0],
                [2]])
    """
    images, classes = images.double(), classes.double()
    classes = classes - classes.mean(0)  # which changes no softmax; log_denominators are without it
    denominators, means = log_denominators(images, classes), mean_classes(images, classes)
    candidates = min(2 * size, len(images))
    step = max(1, _CELLS // max(len(images), candidates * images.shape[1]))
    chosen = []
    for part in classes.split(step):
        likeliest = (SHARPNESS * part @ images.T - denominators).topk(candidates, dim=1).indices
        scores = _divergence_sums(images[likeliest], means[likeliest], denominators[likeliest])
        chosen.append(likeliest.gather(1, scores.argsort(dim=1, stable=True)[:, :size]))
    return torch.cat(chosen)


def _divergence_sums(images: Tensor, means: Tensor, denominators: Tensor) -> Tensor:
    r"""For each of K photos a class the sum of its divergences from all of them, shape ``(classes, K)``.

    With :math:`\log p_c = 10\,f \cdot w_c - z` (all classes without their mean, and up to a number that is the same for
    all photos), the mean m of the classes weighed by p, and sums over q,
    :math:`\sum_q \mathrm{KL}(p \| p_q) = K (10\,m \cdot f - z) - 10\,m \cdot \sum f_q + \sum z_q`.

    Args:
        images: Shape ``(classes, K, D)``.
        means: :func:`mean_classes` of them, of the same shape.
        denominators: :func:`log_denominators` of them, shape ``(classes, K)``.
    """
    count = images.shape[1]
    apart = count * images - images.sum(1, keepdim=True)
    return SHARPNESS * (means * apart).sum(-1) - count * denominators + denominators.sum(1, keepdim=True)
