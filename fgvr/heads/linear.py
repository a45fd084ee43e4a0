"""A weight vector for each class over image features, trained with gradients."""

from collections.abc import Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fgvr.backbones.base import Backbone
from fgvr.classifiers.centred import centred
from fgvr.classifiers.choice import fit_scale
from fgvr.classifiers.closed_form.class_means import ClassMeans
from fgvr.classifiers.closed_form.soft_names import SoftNames
from fgvr.errors import FgvrError
from fgvr.heads.base import Head
from fgvr.records import Space, check_space


class LinearHead(Head):
    r"""Cosines between centred image features and one learned weight vector a class, times a scale.

    It starts as the class means of the support photos, or in the joint space as the class texts. A penalty draws each
    weight vector back to its start, the more the surer the start is of the class's own photos (CLAP, Silva-Rodriguez et
    al. 2024):

    .. math::
        \frac{\rho}{C} \sum_c \lambda_c \lVert w_c - w_c^0 \rVert^2, \qquad
        \lambda_c = \frac{\sum_i q_{ic} p^0_{ic}}{\sum_i q_{ic}}

    with the start's probability :math:`p^0_{ic}` and the weight :math:`q_{ic}` of class c for photo i. In CLAP the
    start is the text; the multipliers are fixed there, too.

    Args:
        start: ``class_means``, ``text`` (joint space only) or ``random``.
        pull: :math:`\rho`, at least 0; 0 leaves out the penalty.
        scale: Factor on cosines; that under which the start's softmax fits the names best if not given, or the
            backbone's for ``text``.
        space: Which image features.

    Raises:
        FgvrError: An option is out of its range.
    """

    centre: Tensor
    start_weight: Tensor
    strength: Tensor
    scale: Tensor

    def __init__(
        self,
        start: Literal["class_means", "text", "random"] = "class_means",
        pull: float = 1.0,
        scale: float | None = None,
        space: Space = "visual",
    ) -> None:
        super().__init__()
        if start not in ("class_means", "text", "random"):
            raise FgvrError(f"head.start is {start!r}; expected 'class_means', 'text' or 'random'.")
        if start == "text" and check_space("head.space", space) != "joint":
            raise FgvrError("head.start is 'text', which is in the joint space: give head.space joint, too.")
        if not pull >= 0:
            raise FgvrError(f"head.pull is {pull}; expected 0 or more.")
        if scale is not None and not scale > 0:
            raise FgvrError(f"head.scale is {scale}; expected above 0, for instance 16.")
        self.start = start
        self.pull = pull
        self.given_scale = scale
        self.space = check_space("head.space", space)

    def build(self, backbone: Backbone, class_names: Sequence[str]) -> None:
        """See the base class; the weights are random until ``start_from``."""
        dim = backbone.embed_dim if self.space == "joint" else backbone.visual_dim
        # drawn on the CPU, so that a seed means the same weights on every device
        weight = F.normalize(torch.randn((len(class_names), dim), device="cpu"), dim=1)
        self.weight = nn.Parameter(weight.to(backbone.device))
        scale = self.given_scale or backbone.logit_scale
        for name, tensor in (
            ("centre", torch.zeros(dim)),
            ("start_weight", weight.clone()),
            ("strength", torch.zeros(len(weight))),
            ("scale", torch.tensor(float(scale))),
        ):
            self.register_buffer(name, tensor.to(backbone.device))

    def start_from(self, images: Tensor, names: SoftNames, texts: Tensor) -> None:
        """See the base class."""
        self.centre.copy_(images.double().mean(0))
        inside = centred(images, images.double().mean(0).float())
        weight, scale = self.start_weight.cpu(), float(self.scale)
        if self.start == "text":
            weight = centred(texts, texts.mean(0))
        elif self.start == "class_means":
            means = ClassMeans(inside, names)
            # a class that no photo has keeps its random direction
            weight = torch.where(means.missing[:, None], weight, means.weight.float())
            if self.given_scale is None:
                likeliest = names.indices.gather(1, names.weights.argmax(1, keepdim=True)).squeeze(1)
                scale = fit_scale(means.leave_one_out, torch.where(names.weights.sum(1) > 0, likeliest, -1))
        with torch.no_grad():
            self.weight.copy_(weight)
        self.start_weight.copy_(weight)
        self.scale.fill_(scale)
        self.strength.copy_(_sureness(inside, weight, scale, names))

    def penalty(self) -> Tensor | None:
        """See the class."""
        if self.pull == 0:
            return None
        distance = (self.class_features() - self.start_weight).square().sum(1)
        penalty: Tensor = self.pull * (self.strength * distance).mean()
        return penalty

    def class_features(self) -> Tensor:
        """See the base class."""
        return F.normalize(self.weight, dim=1)

    def forward(self, image_features: Tensor, class_features: Tensor | None = None) -> Tensor:
        """See the base class."""
        if class_features is None:
            class_features = self.class_features()
        with torch.autocast(image_features.device.type, enabled=False):
            logits: Tensor = self.scale * centred(image_features.float(), self.centre) @ class_features.float().T
        return logits


def _sureness(images: Tensor, weight: Tensor, scale: float, names: SoftNames) -> Tensor:
    """Mean probability of each class on its own photos, shape ``(C,)``; 0 for a class without any."""
    total = torch.zeros(names.num_classes, dtype=torch.float64)
    for start in range(0, len(images), _ROWS):
        rows = slice(start, start + _ROWS)
        chances = (scale * images[rows] @ weight.T).softmax(1).double()
        indices, weights = names.indices[rows], names.weights[rows]
        total.index_add_(0, indices.flatten(), (weights * chances.gather(1, indices)).flatten())
    return total / names.counts.clamp(min=1e-9)


_ROWS = 4096
