"""A Gaussian for each class, all with one covariance."""

import torch
from torch import Tensor

from fgvr.classifiers.closed_form.base import ALONE, ClosedForm
from fgvr.classifiers.closed_form.soft_names import SoftNames


class Gaussian(ClosedForm):
    r"""Discriminant of Gaussians with a shared covariance that is drawn towards a multiple of the identity.

    With the means :math:`\mu_c` and the scatter :math:`R = \sum_{ic} q_{ic} (x_i - \mu_c)(x_i - \mu_c)^\top`,

    .. math::
        P = (R + \epsilon I)^{-1}, \quad \epsilon = \eta \frac{\mathrm{tr} R}{N - 1}, \qquad
        s_c = x^\top P \mu_c - \tfrac{1}{2} \mu_c^\top P \mu_c

    Without photo i, the scatter loses one term for each of its candidates,
    :math:`\frac{q_{ic} n_c}{n_c - q_{ic}} (x_i - \mu_c)(x_i - \mu_c)^\top`, which Woodbury's identity takes out of P;
    :math:`\epsilon` is held fixed.

    Source: Wang et al., "A hard-to-beat baseline for training-free CLIP-based adaptation", ICLR 2024, whose estimator
    (Kubokawa and Srivastava 2008) has :math:`\eta = 1`.

    Args:
        features: Centred features of length 1, shape ``(N, D)``.
        names: What the photos are said to show.
        shrinkage: :math:`\eta`, above 0.
    """

    def __init__(self, features: Tensor, names: SoftNames, shrinkage: float = 1.0) -> None:
        super().__init__(features, names)
        self._means = names.sums(features) / self.counts.clamp(min=ALONE)[:, None]
        weights = names.weights.sum(1)
        learned = weights > 0
        rows = features[learned].double()
        scatter = rows.T @ (weights[learned, None] * rows) - self._means.T @ (self.counts[:, None] * self._means)
        # with one photo a class there is no scatter, and any multiple of the identity does
        ridge = shrinkage * scatter.trace().clamp(min=0) / max(float(weights.sum()) - 1, 1)
        scatter.diagonal().add_(ridge if ridge > ALONE else 1.0)
        self._precision = torch.cholesky_inverse(torch.linalg.cholesky(scatter))
        self.weight = self._means @ self._precision
        # products of the means in the metric of P, shape (C, C)
        self._between = self.weight @ self._means.T
        self.bias = -0.5 * self._between.diagonal()

    def leave_one_out(self, rows: Tensor) -> Tensor:
        r"""See the base class.

        B photos with K candidates each; :math:`r_k = x - \mu_k` for a candidate k, in the metric of P throughout.
        """
        images = self.features[rows].double()
        own, weights = self.names.indices[rows], self.names.weights[rows]
        left = self.counts[own] - weights
        alone = left <= ALONE
        # a class that has no other photo is gone, and took nothing into the scatter
        lost = torch.where(alone, 0, weights * self.counts[own] / left.clamp(min=ALONE))
        moved = torch.where(alone, 0, weights / left.clamp(min=ALONE))
        root = lost.sqrt()

        between = self._between
        image_mean = images @ self.weight.T  # x . mu_c, (B, C)
        image_image = ((images @ self._precision) * images).sum(1)  # x . x, (B,)
        image_own = image_mean.gather(1, own)  # x . mu_k, (B, K)
        own_own = between[own[:, :, None], own[:, None, :]]  # mu_k . mu_l, (B, K, K)
        # r_k . x, r_k . mu_c and r_k . r_l
        rest_image = image_image[:, None] - image_own
        rest_mean = image_mean[:, None, :] - between[own]
        rest_rest = image_image[:, None, None] - image_own[:, :, None] - image_own[:, None, :] + own_own
        identity = torch.eye(own.shape[1], dtype=torch.float64)
        system = identity - root[:, :, None] * root[:, None, :] * rest_rest
        # (I - U'PU)^-1 U'P applied to every mean
        scaled_mean = root[..., None] * rest_mean
        towards_mean = torch.linalg.solve(system, scaled_mean)
        scores = image_mean + torch.einsum("bk,bkc->bc", root * rest_image, towards_mean)
        scores -= 0.5 * (between.diagonal() + torch.einsum("bkc,bkc->bc", scaled_mean, towards_mean))

        # a candidate's own mean moves too: mu_k - moved_k r_k
        own_of = own[:, None, :].expand(-1, own.shape[1], -1)
        scaled_own = scaled_mean.gather(2, own_of) - moved[:, None, :] * root[:, :, None] * rest_rest
        towards_own = torch.linalg.solve(system, scaled_own)
        with_image = image_own - moved * rest_image + torch.einsum("bk,bkl->bl", root * rest_image, towards_own)
        mean_mean = own_own.diagonal(dim1=1, dim2=2)
        squared = mean_mean - 2 * moved * (image_own - mean_mean) + moved.square() * rest_rest.diagonal(dim1=1, dim2=2)
        squared = squared + torch.einsum("bkl,bkl->bl", scaled_own, towards_own)
        candidate = weights > 0
        of_candidates = torch.where(candidate, with_image - 0.5 * squared, scores.gather(1, own))
        # an empty place of a short set names class 0, which may be a candidate in another place
        for place in range(own.shape[1]):
            kept = torch.where(candidate[:, place], of_candidates[:, place], scores.gather(1, own)[:, place])
            scores.scatter_(1, own[:, place : place + 1], kept[:, None])
        return self.without_others(rows, scores)
