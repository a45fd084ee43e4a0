"""Ridge regression onto the classes."""

import torch
from torch import Tensor

from fgvr.classifiers.closed_form.base import ClosedForm
from fgvr.classifiers.closed_form.soft_names import SoftNames


class Ridge(ClosedForm):
    r"""Least squares with a penalty: :math:`W = Q^\top X (X^\top X + \lambda I)^{-1}`.

    Without photo i, :math:`(f_i - h_i q_i) / (1 - h_i)` with its scores :math:`f_i = W x_i` and its leverage
    :math:`h_i = x_i^\top (X^\top X + \lambda I)^{-1} x_i`.

    Source: Allen 1974 (PRESS). Photos of which nothing is learned are not in X.

    Args:
        features: Centred features of length 1, shape ``(N, D)``.
        names: What the photos are said to show.
        penalty: :math:`\lambda`, above 0.
    """

    def __init__(self, features: Tensor, names: SoftNames, penalty: float = 1.0) -> None:
        super().__init__(features, names)
        learned = names.weights.sum(1) > 0
        self._learned = learned.double()
        rows = features[learned].double()
        gram = rows.T @ rows
        gram.diagonal().add_(penalty)
        self._inverse = torch.cholesky_inverse(torch.linalg.cholesky(gram))
        self.weight = names.sums(features) @ self._inverse
        self.bias = torch.zeros(names.num_classes, dtype=torch.float64)

    def leave_one_out(self, rows: Tensor) -> Tensor:
        """See the base class."""
        images = self.features[rows].double()
        leverage = ((images @ self._inverse) * images).sum(1, keepdim=True) * self._learned[rows, None]
        scores = (images @ self.weight.T - leverage * self.names.dense(rows)) / (1 - leverage)
        return self.without_others(rows, scores)
