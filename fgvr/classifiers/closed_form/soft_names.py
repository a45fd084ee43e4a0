"""What the photos of a support set are said to show: candidate sets as weights over classes."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from fgvr.candidates.sets import sets_from_names
from fgvr.records import CandidateSets


@dataclass(frozen=True, eq=False)
class SoftNames:
    """Weights of the classes of N photos, kept sparse.

    Attributes:
        indices: Class indices, int64, shape ``(N, K)``; none twice in a row where ``weights`` is above 0.
        weights: float64, shape ``(N, K)``, at least 0; a row sums to 1, or to 0 for a photo that is not learned from.
        num_classes: C.
    """

    indices: Tensor
    weights: Tensor
    num_classes: int

    @classmethod
    def from_sets(cls, sets: CandidateSets, sample_ids: Sequence[str], num_classes: int) -> "SoftNames":
        """Candidate sets of some of the photos ``sample_ids``, in the order of these.

        Args:
            sets: Photos that are not in ``sample_ids`` are left out.
            sample_ids: The N photos.
            num_classes: C.
        """
        place = {sample_id: row for row, sample_id in enumerate(sample_ids)}
        kept = [row for row, sample_id in enumerate(sets.sample_ids) if sample_id in place]
        rows = torch.tensor([place[sets.sample_ids[row]] for row in kept], dtype=torch.int64)
        padded, padded_weights = sets.padded()
        indices = torch.zeros((len(sample_ids), padded.shape[1]), dtype=torch.int64)
        weights = torch.zeros(indices.shape, dtype=torch.float64)
        indices[rows] = torch.from_numpy(np.maximum(padded[kept], 0))
        weights[rows] = torch.from_numpy(padded_weights[kept].astype(np.float64))
        # float32 weights sum to 1 but for rounding
        sums = weights.sum(1, keepdim=True)
        return cls(indices, weights / sums.masked_fill(sums == 0, 1), num_classes)

    @classmethod
    def from_shares(cls, indices: Tensor, shares: Tensor, num_classes: int) -> "SoftNames":
        """Weights in proportion to shares; what is below 0.1 % of its photo's is left out.

        Args:
            indices: Class indices, shape ``(N, K)``, none twice in a row where its share is above 0.
            shares: At least 0, shape ``(N, K)``; a row of zeros is a photo that is not learned from.
            num_classes: C.
        """
        for least in (0.0, _LEAST_SHARE):
            sums = shares.double().sum(1, keepdim=True)
            shares = shares.double() / sums.masked_fill(sums == 0, 1)
            shares = shares.masked_fill(shares < least, 0)
        sums = shares.sum(1, keepdim=True)
        return cls(indices, shares / sums.masked_fill(sums == 0, 1), num_classes)

    def __len__(self) -> int:
        return len(self.indices)

    def to_sets(self, sample_ids: Sequence[str]) -> CandidateSets:
        """Candidate sets of the photos that have any, the heaviest classes first.

        Args:
            sample_ids: The N photos.
        """
        names = torch.where(self.weights > 0, self.indices, -1)
        order = torch.argsort(-self.weights, dim=1, stable=True)
        return sets_from_names(sample_ids, names.gather(1, order).numpy(), self.weights.gather(1, order).numpy())

    def matrix(self) -> sparse.csr_matrix:
        """Weights as a sparse float64 matrix, shape ``(N, C)``."""
        rows, places = (self.weights > 0).nonzero(as_tuple=True)
        values = self.weights[rows, places].numpy()
        shape = (len(self), self.num_classes)
        return sparse.csr_matrix((values, (rows.numpy(), self.indices[rows, places].numpy())), shape=shape)

    def without(self, rows: Tensor) -> "SoftNames":
        """The same, but that nothing is learned from the photos ``rows``."""
        weights = self.weights.clone()
        weights[rows] = 0
        return replace(self, weights=weights)

    def dense(self, rows: Tensor | slice) -> Tensor:
        """Weights of all classes of some photos, float64, shape ``(B, C)``."""
        indices = self.indices[rows]
        zeros = torch.zeros((len(indices), self.num_classes), dtype=torch.float64)
        return zeros.scatter_add_(1, indices, self.weights[rows])

    @property
    def present(self) -> Tensor:
        """Classes that any photo has, rising."""
        return (self.counts > 0).nonzero().squeeze(1)

    def among(self, classes: Tensor) -> "SoftNames":
        """The same with places in ``classes`` instead of class indices; ``classes`` holds all that are present."""
        place = torch.zeros(self.num_classes, dtype=torch.int64)
        place[classes] = torch.arange(len(classes))
        return SoftNames(place[self.indices], self.weights, len(classes))

    @property
    def counts(self) -> Tensor:
        """How many photos a class has, float64, shape ``(C,)``."""
        zeros = torch.zeros(self.num_classes, dtype=torch.float64)
        return zeros.index_add_(0, self.indices.flatten(), self.weights.flatten())

    def sums(self, features: Tensor) -> Tensor:
        """The weighted sum of the features of each class, float64, shape ``(C, D)``.

        Args:
            features: Shape ``(N, D)``.
        """
        sums = torch.zeros((self.num_classes, features.shape[1]), dtype=torch.float64)
        # rows of which nothing is learned are most, where only some photos were asked about
        learned = self.weights.sum(1) > 0
        indices, weights, rows = self.indices[learned], self.weights[learned], features[learned]
        for start in range(0, len(rows), _ROWS):
            part = slice(start, start + _ROWS)
            wide = rows[part].double()
            for column in range(indices.shape[1]):
                sums.index_add_(0, indices[part, column], weights[part, column, None] * wide)
        return sums


_LEAST_SHARE = 1e-3
_ROWS = 8192
"""Photos whose features are float64 at a time."""
