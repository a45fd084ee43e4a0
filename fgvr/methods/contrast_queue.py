"""Momentum contrast of photos (MoCo, He et al. 2020): a queue of the keys of earlier photos, and InfoNCE against it."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F


class ContrastQueue:
    r"""Keys of the photos that came last, and the row of the photo that each is of.

    With the query q of one view of a photo, the key :math:`k_+` of another view by a slower tower and the keys k of
    other photos,

    .. math:: \ell = -\log \frac{e^{q k_+ / \tau'}}{e^{q k_+ / \tau'} + \sum_k e^{q k / \tau'}}

    A photo is never contrasted with an earlier key of its own, which the queue of MoCo, for a million photos, need not
    mind (derived).

    Args:
        size: Keys that are kept, at least 1.
        width: Of a key.
        device: Where they are.

    Example:
        >>> queue = ContrastQueue(4, 2)
        >>> queue.add(torch.eye(2), torch.tensor([7, 8]))
        >>> one = torch.tensor([[1.0, 0.0]])
        >>> queue.losses(one, one, torch.tensor([7]), temperature=1.0)  # against the key of photo 8
        tensor([0.3133])
    """

    def __init__(self, size: int, width: int, device: torch.device | str = "cpu") -> None:
        self.keys = torch.zeros(size, width, device=device)
        self.rows = torch.full((size,), -1, device=device)
        self.next = 0

    def losses(self, queries: Tensor, keys: Tensor, rows: Tensor, temperature: float) -> Tensor:
        """InfoNCE of each photo, float32, shape ``(B,)``; 0 where the queue has no other photo.

        Args:
            queries: L2-normalised, shape ``(B, D)``.
            keys: Of other views of the same photos, L2-normalised, shape ``(B, D)``.
            rows: The photos, shape ``(B,)``.
            temperature: Above 0.
        """
        with torch.autocast(queries.device.type, enabled=False):
            positive = (queries.float() * keys.float()).sum(1, keepdim=True)
            negative = queries.float() @ self.keys.T
            none = (self.rows < 0) | (self.rows == rows.unsqueeze(1))
            logits = torch.cat([positive, negative.masked_fill(none, -torch.inf)], dim=1) / temperature
            return F.cross_entropy(logits, torch.zeros_like(rows), reduction="none")

    def add(self, keys: Tensor, rows: Tensor) -> None:
        """Put keys in the place of the oldest ones.

        Args:
            keys: Of all processes, in the same order on each, shape ``(B, D)``.
            rows: The photos, shape ``(B,)``.
        """
        size = len(self.keys)
        places = (self.next + torch.arange(len(keys), device=keys.device)) % size
        # of more keys than there are places, the last ones stay
        self.keys[places[-size:]], self.rows[places[-size:]] = keys[-size:].float(), rows[-size:]
        self.next = (self.next + len(keys)) % size

    def state(self) -> dict[str, Any]:
        """Tensors and plain values, for a checkpoint."""
        return {"keys": self.keys.cpu(), "rows": self.rows.cpu(), "next": self.next}

    def take_back(self, state: Mapping[str, Any]) -> None:
        """Take a state back, of a queue of the same size."""
        self.keys.copy_(state["keys"])
        self.rows.copy_(state["rows"])
        self.next = int(state["next"])
