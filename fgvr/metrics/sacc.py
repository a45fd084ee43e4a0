"""Semantic accuracy (sACC): how close in meaning the predicted name is to the true one."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchmetrics import Metric

from fgvr.metrics.name_pairs import NamePairs
from fgvr.metrics.sentence_encoder import sentence_encoder
from fgvr.text import counted

_PAIRS_TOGETHER = 2**16


def similarities(pairs: NamePairs, encoder: str) -> NDArray[np.float64]:
    """Cosine similarity of predicted and true name of each photo, -1 to 1, shape ``(N,)``.

    Args:
        pairs: The names of N photos.
        encoder: As for :class:`SemanticAccuracy`.

    Raises:
        FgvrError: The encoder is not available.
    """
    embeddings = sentence_encoder(encoder).encode([*pairs.names, *pairs.classes]).numpy()
    found = np.empty(len(pairs.pairs))
    for start in range(0, len(found), _PAIRS_TOGETHER):
        name, true = pairs.pairs[start : start + _PAIRS_TOGETHER].T
        predicted, true_ones = embeddings[name], embeddings[len(pairs.names) + true]
        found[start : start + _PAIRS_TOGETHER] = np.einsum("nd,nd->n", predicted, true_ones, dtype=np.float64)
    return found[pairs.pair]


class SemanticAccuracy(Metric):
    r"""Semantic accuracy: mean cosine similarity of the sentence embeddings of predicted and true name.

    .. math::
        \text{sACC} = \frac{100}{N} \sum_{i=1}^{N} \frac{f(\hat{y}_i) \cdot f(y_i)}{\|f(\hat{y}_i)\| \, \|f(y_i)\|}

    where :math:`f` is the sentence encoder. Names are embedded as they are, without a prompt; negative similarities
    are not clipped. The figure depends on the encoder: name it with every number.

    As input to ``forward`` and ``update`` the metric takes:

    - ``preds``: a sequence of N predicted names.
    - ``target``: a sequence of N true names.

    As output of ``forward`` and ``compute`` it gives a float scalar, at most 100; NaN where it has seen no photo.

    Source:
        FineR (Liu et al., ICLR 2024) with all-mpnet-base-v2; CaSED (Conti et al., NeurIPS 2023) with all-MiniLM-L6-v2.

    Note:
        In a :class:`torchmetrics.MetricCollection`, set ``compute_groups=False``: two of these that agree on the
        first batch would be taken for one.

    Args:
        encoder: ``"all-MiniLM-L6-v2"``, ``"all-mpnet-base-v2"`` or a directory; loaded at the first ``update``. See
            :mod:`fgvr.metrics.sentence_encoder`.
        kwargs: Keyword arguments of :class:`torchmetrics.Metric`.

    Example:
        >>> metric = SemanticAccuracy("all-MiniLM-L6-v2")
        >>> metric(["German Shepherd", "Pug"], ["Alsatian dog", "Pug"]).round()
        tensor(77.)
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False
    plot_upper_bound = 100.0

    similarity_sum: Tensor
    images: Tensor

    def __init__(self, encoder: str = "all-MiniLM-L6-v2", **kwargs: object) -> None:
        super().__init__(**kwargs)
        self.encoder = encoder
        self.add_state("similarity_sum", default=torch.tensor(0.0), dist_reduce_fx="sum")
        self.add_state("images", default=torch.tensor(0), dist_reduce_fx="sum")

    def update(self, preds: Sequence[str], target: Sequence[str]) -> None:
        """Adds a batch.

        Args:
            preds: Predicted names.
            target: True names, as many.
        """
        if len(preds) != len(target):
            raise ValueError(f"{counted(len(preds), 'predicted name')} for {counted(len(target), 'true name')}.")
        if not preds:
            return
        embeddings = sentence_encoder(self.encoder).encode([*preds, *target])
        predicted, true = embeddings.chunk(2)
        self.similarity_sum += (predicted * true).sum().to(self.device)
        self.images += len(preds)

    def compute(self) -> Tensor:
        """The mean similarity of all photos so far."""
        return 100 * self.similarity_sum / self.images
