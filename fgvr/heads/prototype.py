"""One prototype a class, moved by running means instead of gradients (LatteCLIP, Cao et al. 2025)."""

from collections.abc import Callable, Sequence

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor
from torchmetrics.utilities.distributed import gather_all_tensors

from fgvr.backbones.base import Backbone
from fgvr.errors import FgvrError
from fgvr.heads.base import Head


class PrototypeHead(Head):
    r"""Classifies by the nearest of C prototypes, which ``update`` moves; it has nothing that a gradient could train.

    An update takes features of photos with their (pseudo-)classes. With :math:`\bar{t}_c` the mean of the features of
    class c over the photos of **all** processes,

    .. math:: p_c \leftarrow (1 - \mu) \bar{t}_c + \mu p_c

    and classes that no photo has keep theirs (LatteCLIP, section 3.2). Means are summed in float64, so that neither the
    number of processes nor the order of photos shows in them.

    Prototypes and counts are buffers: they are in every checkpoint, and that DDP broadcasts process 0's copy at each
    step changes nothing, since all processes have the same.

    Args:
        momentum: :math:`\mu`, in [0, 1): the share of the old prototype. 0 replaces it.
        normalize: Whether prototypes are scaled to length 1 after each update, as LatteCLIP's released code does; its
            paper does not say so.

    Attributes (after ``build`` or ``start``):
        prototypes: float32, shape ``(C, D)``, in whatever precision the model around it is.
        counts: int64, shape ``(C,)``: how many rows have gone into each prototype by now.

    Example:
        >>> head = PrototypeHead(momentum=0.9)
        >>> head.start(torch.eye(2), logit_scale=100.0)
        >>> head.update(torch.tensor([1, 1]), torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
        >>> head.prototypes, head.counts
        (tensor([[1.0000, 0.0000],
                [0.0500, 0.9500]]), tensor([0, 2]))
    """

    prototypes: Tensor
    counts: Tensor

    def __init__(self, momentum: float = 0.99, normalize: bool = False) -> None:
        super().__init__()
        if not 0 <= momentum < 1:
            raise FgvrError(f"The prototype head's momentum is {momentum}; expected from 0 to below 1, such as 0.99.")
        self.momentum = momentum
        self.normalize = normalize

    def build(self, backbone: Backbone, class_names: Sequence[str]) -> None:
        """Start from the features of the plain class names; a method that has templates calls ``start`` itself."""
        names = [name.replace("_", " ") for name in class_names]
        self.start(backbone.encode_text(names), backbone.logit_scale)

    def start(self, features: Tensor, logit_scale: float) -> None:
        """Make the prototypes.

        Args:
            features: One row a class, shape ``(C, D)``.
            logit_scale: Factor on cosines in the logits.
        """
        self.logit_scale = logit_scale
        self.register_buffer("prototypes", features.detach().to(torch.float32, copy=True))
        self.register_buffer("counts", torch.zeros(len(features), dtype=torch.int64, device=features.device))

    @torch.no_grad()
    def update(self, classes: Tensor, features: Tensor) -> None:
        """Move the prototypes of the classes that are in the global batch; every process must call it.

        Args:
            classes: Of this process's photos, int64, shape ``(B,)``; other processes may have other numbers of photos.
            features: Shape ``(B, D)``.
        """
        features = features.float()
        if dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1:
            classes, features = (torch.cat(gather_all_tensors(part)) for part in (classes, features))
        seen, row, counts = classes.unique(return_inverse=True, return_counts=True)
        wide = torch.float32 if features.device.type == "mps" else torch.float64  # mps has no float64
        sums = torch.zeros(len(seen), features.shape[1], dtype=wide, device=features.device)
        sums.index_add_(0, row, features.to(wide))
        means = sums / counts.unsqueeze(1)
        moved = (1 - self.momentum) * means + self.momentum * self.prototypes[seen]
        # in place: DDP holds on to the buffers that it has found
        self.prototypes[seen] = (F.normalize(moved, dim=-1) if self.normalize else moved).float()
        self.counts[seen] += counts

    def class_features(self) -> Tensor:
        """See the base class."""
        return F.normalize(self.prototypes, dim=-1)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "PrototypeHead":
        before = self._buffers.get("prototypes")
        super()._apply(fn, recurse)
        if before is not None and self.prototypes.dtype != torch.float32:
            # a step of LatteCLIP's is 1e-4 of the way, which half precision rounds to nothing
            self.prototypes = before.to(self.prototypes.device)
        return self
