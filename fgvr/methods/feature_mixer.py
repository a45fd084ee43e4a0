"""LatteCLIP's dynamic feature mixer: how much each text of a photo counts, and what they make together."""

import torch
import torch.nn.functional as F
from torch import Tensor


def text_weights(text_features: Tensor, prototypes: Tensor) -> Tensor:
    r"""How clearly each text belongs to a single class: the gap between its two largest cosines with the prototypes.

    .. math:: w = \mathrm{top}_1 (\cos(g(T), p_c))_{c=1}^C - \mathrm{top}_2 (\cos(g(T), p_c))_{c=1}^C

    LatteCLIP's equation 1. Computed in float32 whatever the types and the autocast: cosines of 0.7003 and 0.7001 are
    the same number in half precision. With a single class there is no second one, and every weight is 1.

    Args:
        text_features: Shape ``(M, D)``, of any length.
        prototypes: One row a class, shape ``(C, D)``, of any length.

    Returns:
        float32, shape ``(M,)``, in [0, 2], without gradient.

    Example:
        >>> text_weights(torch.tensor([[1.0, 0.0], [3.0, 3.0]]), torch.eye(2)).tolist()
        [1.0, 0.0]
    """
    with torch.no_grad(), torch.autocast(text_features.device.type, enabled=False):
        if len(prototypes) < 2:
            return torch.ones(len(text_features), device=text_features.device)
        cosines = F.normalize(text_features.float(), dim=-1) @ F.normalize(prototypes.float(), dim=-1).T
        largest = cosines.topk(2, dim=-1).values
        return largest[:, 0] - largest[:, 1]


def mix_texts(text_features: Tensor, weights: Tensor, present: Tensor, prototypes: Tensor, alpha: float) -> Tensor:
    r"""The prototype-text embedding of each photo: the weighted mean of its texts, drawn towards its class's prototype.

    .. math:: \bar{t} = (1 - \alpha) \frac{\sum_i w^i g(T^i)}{\sum_i w^i} + \alpha p_c

    LatteCLIP's equation 2, over the texts that a photo has. Where all of its weights are 0, they count equally; a photo
    without any text gets the prototype itself. The result is not normalised. float32 whatever the types and the
    autocast.

    Args:
        text_features: Up to T texts of B photos, shape ``(B, T, D)``.
        weights: Shape ``(B, T)``, 0 or more.
        present: bool, shape ``(B, T)``: which of the T texts a photo has; the others' features and weights may be
            anything finite.
        prototypes: That of each photo's class, shape ``(B, D)``.
        alpha: The prototype's share, in [0, 1].

    Returns:
        float32, shape ``(B, D)``, with the gradient of ``text_features`` and of nothing else.

    Example:
        >>> texts = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])
        >>> weights, present = torch.tensor([[0.3, 0.1]]), torch.tensor([[True, True]])
        >>> mix_texts(texts, weights, present, torch.tensor([[0.0, 1.0]]), alpha=0.5)
        tensor([[0.3750, 0.6250]])
    """
    with torch.autocast(text_features.device.type, enabled=False):
        prototypes = prototypes.detach().float()
        weights = weights.detach().float() * present
        weights = torch.where(weights.sum(1, keepdim=True) > 0, weights, present.float())
        shares = weights / weights.sum(1, keepdim=True).clamp(min=torch.finfo(torch.float32).tiny)
        mean = torch.einsum("bt,btd->bd", shares, text_features.float())
        mixed = (1 - alpha) * mean + alpha * prototypes
        return torch.where(present.any(1, keepdim=True), mixed, prototypes)
