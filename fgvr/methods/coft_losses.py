r"""CoFT's first phase as functions of tensors: the photos that it trains on, and what it minimises there.

With logits of the positive and the negative prompts, :math:`z^\pm_{ik} = s^\pm_{ik} / \tau` (cosines s of photo i and
class k, temperature :math:`\tau`), the label :math:`y_i` of a photo and another class :math:`\bar{y}_i`,

.. math::
    p^{clean}_{ik} = \sigma(z^+_{ik} - z^-_{ik}), \qquad
    L_1 = -\frac{1}{N} \sum_i \log \mathrm{softmax}(z^+_i)_{y_i}, \qquad
    L_2 = -\frac{1}{N} \sum_i \left[\log p^{clean}_{i y_i} + \log (1 - p^{clean}_{i \bar{y}_i})\right]

and phase 1 minimises :math:`L_1 + \lambda L_2`.

Source: Wang et al., "CoFT" (arXiv 2602.04337), the equations of phase 1.

Derived, and not stated there: the bracket of :math:`L_2` (equation 6 as printed has a minus before the first logarithm
alone, so that minimising it would raise :math:`p^{clean}_{i \bar{y}_i}`, against the text around it); that
:math:`\bar{y}_i` is drawn once a photo and step; how ties of confidence are broken.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from fgvr.errors import FgvrError


def most_confident(logits: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Of each class that is predicted, the K photos that are predicted with the highest probability.

    A class that fewer photos are predicted as has these; one that none is predicted as has none. Equal confidence:
    the lower row comes first (derived).

    Args:
        logits: Of zero-shot or of a trained model, shape ``(N, C)``, scaled for a softmax.
        k: Most photos of a class, at least 1; the paper's K.

    Returns:
        Rows in ascending order, and the class that each is predicted as; int64, shape ``(S,)``, S at most C x K.

    Raises:
        FgvrError: ``k`` is below 1.

    Example:
        >>> logits = torch.tensor([[2.0, 0.0], [3.0, 0.0], [0.0, 1.0], [4.0, 0.0]])
        >>> most_confident(logits, 2)
        (tensor([1, 2, 3]), tensor([0, 1, 0]))
    """
    if k < 1:
        raise FgvrError(f"The number of most confident photos of a class is {k}; expected 1 or more, for instance 16.")
    highest, classes = logits.float().max(dim=1)
    # log-odds of the prediction: at CLIP's scale many probabilities are 1 in float32, and their order would be lost
    others = logits.float().scatter(1, classes.unsqueeze(1), -torch.inf).logsumexp(dim=1)
    order = (highest - others).argsort(descending=True, stable=True)
    order = order[classes[order].argsort(stable=True)]
    grouped = classes[order]
    rank = torch.arange(len(order), device=order.device) - torch.searchsorted(grouped, grouped)
    rows = order[rank < k].sort().values
    return rows, classes[rows]


def draw_other_classes(labels: Tensor, num_classes: int, generator: torch.Generator | None = None) -> Tensor:
    r"""A class for each photo that is not its label, uniform over all others: :math:`\bar{y}`.

    Args:
        labels: int64, shape ``(B,)``.
        num_classes: C, at least 2.
        generator: On the CPU, so that a seed means the same classes on every device; the global one if not given.

    Returns:
        int64, shape ``(B,)``.

    Raises:
        FgvrError: There is no other class.
    """
    if num_classes < 2:
        raise FgvrError("Negative prompts need a class that a photo does not show, but the vocabulary has one class.")
    drawn = torch.randint(num_classes - 1, labels.shape, generator=generator, device="cpu").to(labels.device)
    return drawn + (drawn >= labels)


def clean_probabilities(positive: Tensor, negative: Tensor) -> Tensor:
    r"""How likely it is of each class that it is a right label of the photo: :math:`p^{clean}`, float32.

    It is above 0.5 where the positive prompt is nearer to the photo than the negative one.

    Args:
        positive: Logits of the positive prompts, scaled for a softmax, any shape.
        negative: Logits of the negative prompts, the same shape and scale.
    """
    return torch.sigmoid(positive.float() - negative.float())


def label_loss(positive: Tensor, labels: Tensor) -> Tensor:
    """L1: cross entropy of the positive prompts with the labels, a number.

    Args:
        positive: Logits of the positive prompts, shape ``(B, C)``.
        labels: int64, shape ``(B,)``.
    """
    return F.cross_entropy(positive.float(), labels)


def clean_loss(positive: Tensor, negative: Tensor, labels: Tensor, others: Tensor) -> Tensor:
    """L2: labels should be clean and other classes should not be, a number.

    Nothing is detached, so that the negative prompts move the visual prompts too, as the paper wants it. The public
    code of DeFT (NeurIPS 2024), which has such pairs of prompts, detaches the image features that negative ones see.

    Args:
        positive: Logits of the positive prompts, shape ``(B, C)``.
        negative: Logits of the negative prompts, shape ``(B, C)``.
        labels: int64, shape ``(B,)``.
        others: A class for each photo that is not its label, int64, shape ``(B,)``.
    """
    margins = positive.float() - negative.float()
    at_label, at_other = (margins.gather(1, classes.unsqueeze(1)).squeeze(1) for classes in (labels, others))
    # as logarithms of sigmoids, which are finite where a probability is 0 or 1 in float32
    return -(F.logsigmoid(at_label) + F.logsigmoid(-at_other)).mean()


def phase_one_loss(positive: Tensor, negative: Tensor, labels: Tensor, others: Tensor, weight: float = 1.0) -> Tensor:
    r"""L1 + :math:`\lambda` L2, a number.

    Args:
        positive: As for ``clean_loss``.
        negative: As for ``clean_loss``.
        labels: As for ``clean_loss``.
        others: As for ``clean_loss``.
        weight: :math:`\lambda`, at least 0. Assumed: the paper's text that was at hand does not state it.
    """
    return label_loss(positive, labels) + weight * clean_loss(positive, negative, labels, others)
