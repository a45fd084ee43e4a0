"""The symmetric contrastive loss of CLIP, and rows of all processes with their gradients."""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F


def gather_rows(rows: Tensor) -> Tensor:
    """The rows of all processes, one process after the other, differentiable; ``rows`` itself where there is one.

    Processes may have different numbers of rows. Where every process computes the same loss from what it gathers, the
    gradients that DDP averages are those of one process with all rows. Every process must call it, equally often.

    Args:
        rows: Shape ``(B, ...)``, of any type; what follows the first dimension is the same on all processes.

    Returns:
        Shape ``(sum of B, ...)``.
    """
    if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
        return rows
    gathered: Tensor = _GatherRows.apply(rows)
    return gathered


class _GatherRows(torch.autograd.Function):
    """Padded to the longest part, gathered, and cut again: no back end gathers parts of different lengths."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor) -> Tensor:
        world_size, rank = dist.get_world_size(), dist.get_rank()
        counts = [torch.zeros(1, dtype=torch.int64, device=rows.device) for _ in range(world_size)]
        dist.all_gather(counts, torch.tensor([len(rows)], device=rows.device))
        sizes = torch.cat(counts).tolist()
        padded = rows.new_zeros(max(sizes), *rows.shape[1:])
        padded[: len(rows)] = rows
        parts = [torch.empty_like(padded) for _ in range(world_size)]
        dist.all_gather(parts, padded)
        ctx.start, ctx.size, ctx.world_size = sum(sizes[:rank]), sizes[rank], world_size
        return torch.cat([part[:size] for part, size in zip(parts, sizes, strict=True)])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        # each process has the gradient of the whole loss with respect to its own rows; DDP will divide by their number
        own: Tensor = gradient[ctx.start : ctx.start + ctx.size] * ctx.world_size
        return own


def contrastive_loss(image_features: Tensor, text_features: Tensor, scale: Tensor) -> Tensor:
    r"""Cross entropy of each photo against all texts, plus that of each text against all photos.

    .. math:: -\frac{1}{N} \sum_i \log \frac{e^{s f_i t_i}}{\sum_j e^{s f_i t_j}}
              -\frac{1}{N} \sum_i \log \frac{e^{s f_i t_i}}{\sum_j e^{s f_j t_i}}

    LatteCLIP's equation 3; CLIP and FLYP take half of it. Photos with equal texts are each other's negatives.

    Args:
        image_features: Shape ``(N, D)``, float32.
        text_features: Row i belongs to photo i, shape ``(N, D)``, float32. Need not be of unit length.
        scale: Factor s on the products.

    Returns:
        A scalar.

    Example:
        >>> features = torch.eye(2)
        >>> round(contrastive_loss(features, features, torch.tensor(1.0)).item(), 4)
        0.6265
    """
    with torch.autocast(image_features.device.type, enabled=False):
        logits = scale * image_features.float() @ text_features.float().T
        own = torch.arange(len(logits), device=logits.device)
        return F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own)
