r"""What CoFT's first phase minimises, as functions of tensors.

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


def others_of_epoch(targets: Tensor, num_classes: int, seed: int, epoch: int) -> Tensor:
    """A class for each photo and model that is not its label, alike on any number of processes and after any restart.

    Args:
        targets: The label of each photo for each model, -1 for none, int64, shape ``(M, N)``.
        num_classes: C, at least 2.
        seed: Of the run.
        epoch: From 0.

    Returns:
        int64, shape ``(M, N)``; of no meaning where there is no label.
    """
    drawn = []
    for model, labels in enumerate(targets):
        generator = torch.Generator("cpu").manual_seed(hash((seed, epoch, model)))
        drawn.append(draw_other_classes(labels.clamp(min=0), num_classes, generator))
    return torch.stack(drawn)


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
