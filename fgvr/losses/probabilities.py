"""Probabilities inside and outside candidate sets, in float32 and finite for logits of any size."""

import torch
from torch import Tensor

from fgvr.losses.base import PartialLabels

# instead of -inf where all classes of a row may be masked, which would make its softmax and gradients NaN
_LOWEST = -1e30


def candidate_log_probs(logits: Tensor, labels: PartialLabels) -> Tensor:
    """Log-probabilities of the candidates, float32, shape ``(B, K)``; finite, but without meaning, outside the mask.

    Args:
        logits: Shape ``(B, C)``.
        labels: The batch's candidate sets.
    """
    return torch.log_softmax(logits.float(), dim=1).gather(1, labels.candidates)


def inside_softmax(logits: Tensor, labels: PartialLabels) -> Tensor:
    """Softmax over each sample's candidates alone, float32, shape ``(B, K)``; 0 outside the mask.

    Args:
        logits: Shape ``(B, C)``.
        labels: The batch's candidate sets.
    """
    inside = logits.float().gather(1, labels.candidates)
    return inside.masked_fill(~labels.mask, -torch.inf).softmax(dim=1)


def uniform_weights(labels: PartialLabels) -> Tensor:
    """One over the size of each sample's candidate set, float32, shape ``(B, K)``; 0 outside the mask."""
    mask = labels.mask.float()
    return mask / mask.sum(dim=1, keepdim=True)


def non_candidates(logits: Tensor, labels: PartialLabels) -> Tensor:
    """True for the classes that are not in the candidate set, bool, shape ``(B, C)``.

    Args:
        logits: Shape ``(B, C)``; only its shape counts.
        labels: The batch's candidate sets.
    """
    # added up, because padding repeats class 0, and a plain scatter leaves open which of two writes stays
    counts = torch.zeros(logits.shape, dtype=torch.int32, device=logits.device)
    return counts.scatter_add_(1, labels.candidates, labels.mask.int()) == 0


def outside_softmax(logits: Tensor, outside: Tensor) -> Tensor:
    """Softmax over the classes outside of the candidate set alone, float32, shape ``(B, C)``; 0 inside.

    A row without any such class is all zeros.

    Args:
        logits: Shape ``(B, C)``.
        outside: Result of :func:`non_candidates`.
    """
    return logits.float().masked_fill(~outside, _LOWEST).softmax(dim=1) * outside


def log_complement(log_probs: Tensor) -> Tensor:
    """``log(1 - p)`` of each class, shape ``(B, C)``, finite and with a gradient where p rounds to 1.

    ``log1p(-p)`` is exact up to p = 1/2. At most one class of a row has more, and its complement is the sum over the
    others.

    Args:
        log_probs: Result of a log-softmax in float32, shape ``(B, C)``.

    Example:
        >>> log_complement(torch.log_softmax(torch.tensor([[0.0, 2.0]]), dim=1))
        tensor([[-0.1269, -2.1269]])
    """
    top = torch.zeros_like(log_probs, dtype=torch.bool).scatter_(1, log_probs.argmax(dim=1, keepdim=True), True)
    others = log_probs.masked_fill(top, _LOWEST).logsumexp(dim=1, keepdim=True)
    return torch.where(top, others, torch.log1p(-log_probs.masked_fill(top, -torch.inf).exp()))
