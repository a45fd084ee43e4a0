"""Label propagation over the support photos, from their candidate sets."""

from typing import Any

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from fgvr.candidates.propagation import check_propagation, neighbour_graph, propagate
from fgvr.classifiers.closed_form.soft_names import SoftNames
from fgvr.relabelling.base import EXACT_BELOW, Relabelling


class PropagationRelabelling(Relabelling):
    r"""Names travel along the graph of nearest photos, from the candidate sets of all photos.

    :math:`Z = (I - \alpha S)^{-1} Q` with the candidate sets Q as weights, and the graph S of
    :class:`fgvr.candidates.label_propagation.LabelPropagationCandidates`, in which only first names travel and which
    stands in place of other candidate sets. Rows are made to sum to 1. Photos that nobody was asked about
    (``data.select``) carry names on, and get some.

    Source: Zhou et al. 2004; Iscen et al. 2019.

    Args:
        k: Neighbours of each photo in the graph, at least 1.
        alpha: How far names travel, above 0 and below 1. The papers' 0.99 wants photos by the thousand a
            class, of which names that look like others' are not lost.
        gamma: Exponent of the similarities, at least 0.
        exact_below: Most photos for the exact search, whose time grows with their square.
        **kwargs: Arguments of ``Relabelling``.

    Raises:
        FgvrError: An option is out of its range.
    """

    def __init__(
        self, k: int = 5, alpha: float = 0.2, gamma: float = 3.0, exact_below: int = EXACT_BELOW, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        check_propagation("relabelling", k, alpha, gamma)
        self.k = k
        self.alpha = alpha
        self.gamma = gamma
        self.exact_below = exact_below
        self._graph: tuple[Tensor, sparse.csr_matrix] | None = None

    def relabel(self, features: Tensor, names: SoftNames) -> SoftNames:
        """See the base class."""
        # the gate relabels the same photos with other names hidden, ten times
        if self._graph is None or self._graph[0] is not features:
            graph = neighbour_graph(features.numpy(), self.k, self.gamma, self.exact_below, np.float64)
            self._graph = features, graph
        indices, shares = propagate(self._graph[1], names.matrix(), self.alpha, self.m)
        return SoftNames.from_shares(
            torch.from_numpy(np.maximum(indices, 0)), torch.from_numpy(shares), names.num_classes
        )
