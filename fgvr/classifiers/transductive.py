"""Class means that look at all photos that are to be named before they name one."""

from abc import abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor

from fgvr.backbones.base import ImageFeatures
from fgvr.classifiers.base import Classifier
from fgvr.classifiers.centred import CentredClassifier, centred
from fgvr.classifiers.closed_form.base import blocks
from fgvr.classifiers.fused import FusedClassifier

TEMPERATURE = 0.01
"""Differences of cosines that count where photos are assigned: nearly to the nearest mean alone. With larger ones,
classes of which no photo is there take photos from those that are there (development sets)."""
CONFIDENCE_TEMPERATURE = 0.1
"""The same where it is asked how sure an assignment is; without that, wrong ones confirm themselves (as above)."""
STEPS = 10
_TINY = 1e-12


class TransductiveClassifier(Classifier):
    """A classifier that may look at all photos that it is to name; before that, it names each by itself."""

    @abstractmethod
    def adapted(self, features: ImageFeatures) -> Classifier:
        """The classifier for these photos.

        Args:
            features: Of all of them, in their order.
        """


class AnchoredMeansClassifier(TransductiveClassifier):
    r"""Class means of the support photos, moved by the photos that are to be named.

    With :math:`S_c` the sum of the :math:`n_c` support photos of a class, repeat

    .. math::
        w_c = \mathrm{normalise} \left( S_c + \min \left( 1, \frac{n_c}{\sum_i a_i r_{ic}} \right)
        \sum_i a_i r_{ic} x_i \right), \qquad r_{ic} = \mathrm{softmax}_c(x_i \cdot w_c / \tau), \qquad
        a_i = \left( \max_c \mathrm{softmax}_c(x_i \cdot w_c / \tau') \right)^2

    The support photos never move, and count at least as much as all others together (the anchor). The others count the
    more the surer it is whose they are, and copies of a photo count as one: they would confirm each other.

    Source: EM of a mixture of von Mises-Fisher distributions, after the anchored means of Zanella et al., "Realistic
    test-time adaptation of vision-language models" (StatA), CVPR 2025. The cap on the photos of a class, in place of
    their :math:`\beta`, and what a photo counts are fgvr's own.

    Args:
        means: The class means.
        sums: :math:`S_c`, shape ``(C, D)``.
        counts: :math:`n_c`, shape ``(C,)``.
    """

    sums: Tensor
    counts: Tensor

    def __init__(self, means: CentredClassifier, sums: Tensor, counts: Tensor) -> None:
        super().__init__()
        self.means = means
        self.register_buffer("sums", sums.float())
        self.register_buffer("counts", counts.float())
        self._last: tuple[ImageFeatures, CentredClassifier] | None = None

    def forward(self, features: ImageFeatures) -> Tensor:
        """Each photo by itself."""
        logits: Tensor = self.means(features)
        return logits

    def adapted(self, features: ImageFeatures) -> CentredClassifier:
        """See the base class; computed on the CPU, in float64, and once for the same features."""
        if self._last is None or self._last[0] is not features:
            means = self.means
            images = features.of(means.space).float().cpu()
            weight = anchored_means(self.sums.cpu(), self.counts.cpu(), centred(images, means.centre.cpu()))
            moved = CentredClassifier(
                means.centre, weight.to(means.weight.device), means.bias, means.missing, float(means.scale), means.space
            )
            self._last = features, moved.to(means.weight.device)
        return self._last[1]


class TransductiveFusion(TransductiveClassifier):
    """Class means that may move, fused with the text.

    Args:
        means: The means.
        fused: What they are fused with the text by.
        moves: Whether it is the means that are fused; another visual classifier stays as it is.
    """

    moves: Tensor

    def __init__(self, means: AnchoredMeansClassifier, fused: FusedClassifier, moves: bool = True) -> None:
        super().__init__()
        self.means = means
        self.fused = fused
        self.register_buffer("moves", torch.tensor(moves))

    def forward(self, features: ImageFeatures) -> Tensor:
        """Each photo by itself."""
        logits: Tensor = self.fused(features)
        return logits

    def adapted(self, features: ImageFeatures) -> FusedClassifier:
        """See the base class."""
        return self.fused.with_part("visual", self.means.adapted(features)) if self.moves else self.fused


def anchored_means(
    sums: Tensor,
    counts: Tensor,
    images: Tensor,
    temperature: float = TEMPERATURE,
    confidence_temperature: float = CONFIDENCE_TEMPERATURE,
    steps: int = STEPS,
) -> Tensor:
    """Class means of length 1 of support photos and of photos without a name; see :class:`AnchoredMeansClassifier`.

    Args:
        sums: Of the centred features of the support photos of each class, shape ``(C, D)``.
        counts: How many there are, shape ``(C,)``; a class without any stays without.
        images: Centred features of length 1 of the photos to be named, shape ``(N, D)``.
        temperature: Above 0.
        confidence_temperature: Above 0.
        steps: How often photos are assigned.

    Returns:
        float64, shape ``(C, D)``.
    """
    sums, counts = sums.double(), counts.double()
    missing = counts <= _TINY
    weight = F.normalize(sums, dim=1)
    images = torch.unique(images, dim=0)
    for _ in range(steps if len(images) and not bool(missing.all()) else 0):
        moved, mass = torch.zeros_like(sums), torch.zeros_like(counts)
        for rows in blocks(len(images), 2 * len(sums) + sums.shape[1]):
            part = images[rows].double()
            scores = (part @ weight.T).masked_fill(missing, -torch.inf)
            sure = (scores / confidence_temperature).softmax(1).max(1, keepdim=True).values.square()
            shares = sure * (scores / temperature).softmax(1)
            moved += shares.T @ part
            mass += shares.sum(0)
        weight = F.normalize(sums + (counts / mass.clamp(min=_TINY)).clamp(max=1)[:, None] * moved, dim=1)
    return weight
