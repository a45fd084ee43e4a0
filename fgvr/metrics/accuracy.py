"""Accuracy, for vocabularies that hold the true names."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torchmetrics import Metric


class NameAccuracy(Metric):
    r"""Share of photos whose predicted name is the true one (top-1 accuracy).

    .. math::
        \text{accuracy} = \frac{100}{N} \sum_{i=1}^{N} 1(\hat{y}_i = y_i)

    Names are compared as they are. So it means something where the vocabulary is the list of true names, as in
    LatteCLIP; of names that a labeler made up, :class:`~fgvr.metrics.cacc.ClusteringAccuracy` says more.

    As input to ``forward`` and ``update`` the metric takes:

    - ``preds``: a sequence of N predicted names.
    - ``target``: a sequence of N true names.

    As output of ``forward`` and ``compute`` it gives a float scalar from 0 to 100; NaN where it has seen no photo.

    Args:
        kwargs: Keyword arguments of :class:`torchmetrics.Metric`.

    Example:
        >>> metric = NameAccuracy()
        >>> metric(["Borzoi", "Pug", "Pug", "pug"], ["Borzoi", "Borzoi", "Pug", "Pug"])
        tensor(50.)
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False
    plot_lower_bound = 0.0
    plot_upper_bound = 100.0

    right: Tensor
    images: Tensor

    def __init__(self, **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.add_state("right", default=torch.tensor(0), dist_reduce_fx="sum")
        self.add_state("images", default=torch.tensor(0), dist_reduce_fx="sum")

    def update(self, preds: Sequence[str], target: Sequence[str]) -> None:
        """Adds a batch.

        Args:
            preds: Predicted names.
            target: True names, as many.
        """
        self.right += sum(predicted == true for predicted, true in zip(preds, target, strict=True))
        self.images += len(target)

    def compute(self) -> Tensor:
        """The accuracy of all photos so far."""
        return 100 * self.right / self.images
