"""Photos ordered by how sure models are of them, which several filters share."""

import torch
from torch import Tensor

from fgvr.filters.base import PseudoLabels


def rank_in_class(labels: Tensor, confidence: Tensor) -> Tensor:
    """The place of each photo among those with its label, 0 for the most confident, int64, shape ``(N,)``.

    Equal confidence: the lower row comes first. NaN comes last.

    Args:
        labels: int64, shape ``(N,)``.
        confidence: Higher for surer, shape ``(N,)``.

    Example:
        >>> rank_in_class(torch.tensor([0, 0, 1, 0]), torch.tensor([2.0, 3.0, 1.0, 3.0]))
        tensor([2, 0, 0, 1])
    """
    order = without_nan(confidence).argsort(descending=True, stable=True)
    order = order[labels[order].argsort(stable=True)]
    grouped = labels[order]
    ranks = torch.empty_like(order)
    ranks[order] = torch.arange(len(order), device=order.device) - torch.searchsorted(grouped, grouped)
    return ranks


def least_sure(said: PseudoLabels) -> Tensor:
    """How doubtful each photo is to the model that is least sure of it: its confidence negated, shape ``(N,)``."""
    return -without_nan(said.confidence).amin(dim=0)


def without_nan(values: Tensor) -> Tensor:
    """``values`` in float32, with negative infinity for what is not a number: of that nobody is sure."""
    values = values.float()
    return values.masked_fill(values.isnan(), -torch.inf)
