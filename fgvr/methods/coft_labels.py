"""CoFT's pseudo-labels: what zero-shot and the two models say of all training photos."""

import torch
from torch import Tensor

from fgvr.filters.base import PseudoLabels
from fgvr.filters.confidence import rank_in_class

_ROWS = 4096


def nearest_labels(images: Tensor, texts: Tensor, scale: float, allowed: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """The class of each photo, and how sure it is.

    Args:
        images: L2-normalised, shape ``(N, D)``.
        texts: L2-normalised, shape ``(C, D)``, on any device.
        scale: Factor on cosines before a softmax.
        allowed: Classes that each photo can have, -1 where there are fewer, at least one, int64, shape ``(N, S)``; all
            classes if not given.

    Returns:
        Class, int64, and its log-odds against all other classes, float32, shape ``(N,)`` both, on the CPU. The odds of
        an allowed class are against those that are not allowed, too.
    """
    labels, confidence = [], []
    for start in range(0, len(images), _ROWS):
        rows = slice(start, start + _ROWS)
        logits = scale * images[rows].to(texts).float() @ texts.float().T
        if allowed is None:
            own = logits.argmax(1)
        else:
            some = allowed[rows].to(texts.device)
            given = logits.gather(1, some.clamp(min=0)).masked_fill(some < 0, -torch.inf)
            own = some.gather(1, given.argmax(1, keepdim=True)).squeeze(1)
        labels.append(own.cpu())
        confidence.append(log_odds(logits, own).cpu())
    return torch.cat(labels), torch.cat(confidence)


def log_odds(logits: Tensor, labels: Tensor) -> Tensor:
    """Of a class against all others, which keeps its order where probabilities round to 1, shape ``(B,)``.

    Args:
        logits: Shape ``(B, C)``.
        labels: int64, shape ``(B,)``.

    Example:
        >>> log_odds(torch.tensor([[2.0, 1.0], [0.0, 200.0]]), torch.tensor([0, 1]))
        tensor([  1., 200.])
    """
    at = labels.unsqueeze(1)
    others = logits.scatter(1, at, -torch.inf).logsumexp(dim=1)
    return logits.gather(1, at).squeeze(1) - others


def most_confident(labels: Tensor, confidence: Tensor, k: int) -> Tensor:
    """The labels of the K photos of each class that are surest of it, -1 for the others, int64, shape ``(N,)``.

    A class that fewer photos have keeps these. Equal confidence: the lower row comes first (derived).

    Args:
        labels: int64, shape ``(N,)``.
        confidence: Higher for surer, shape ``(N,)``.
        k: Most photos of a class, at least 1.

    Example:
        >>> most_confident(torch.tensor([0, 0, 1, 0]), torch.tensor([2.0, 3.0, 1.0, 4.0]), 2)
        tensor([-1,  0,  1,  0])
    """
    return labels.masked_fill(rank_in_class(labels, confidence) >= k, -1)


@torch.no_grad()
def models_labels(images: Tensor, views: Tensor | None, texts: Tensor, scale: float) -> PseudoLabels:
    """What M models say of N photos.

    Args:
        images: Features of the photos by each model, L2-normalised, shape ``(M, N, D)``.
        views: The same of another view of each photo; ``None`` without.
        texts: Of each model's positive and negative prompts, L2-normalised, shape ``(M, 2, C, D)``.
        scale: Factor on cosines before a softmax.
    """
    said = [nearest_labels(own, positive, scale) for own, positive in zip(images, texts[:, 0], strict=True)]
    labels = torch.stack([own for own, _ in said])
    margins = [
        torch.stack([_margins(own, classes, label, scale) for label in labels])
        for own, classes in zip(images, texts, strict=True)
    ]
    seen = None
    if views is not None:
        pairs = zip(views, texts[:, 0], strict=True)
        seen = torch.stack([nearest_labels(own, positive, scale)[0] for own, positive in pairs])
    return PseudoLabels(labels, torch.stack([odds for _, odds in said]), torch.stack(margins), seen)


def _margins(images: Tensor, classes: Tensor, labels: Tensor, scale: float) -> Tensor:
    """Logit of the positive minus that of the negative prompt of each photo's label, shape ``(N,)``."""
    difference = classes[0].float() - classes[1].float()
    parts = [
        scale * (images[start : start + _ROWS].to(classes).float() * difference[labels[start : start + _ROWS]]).sum(1)
        for start in range(0, len(images), _ROWS)
    ]
    return torch.cat(parts).cpu()
