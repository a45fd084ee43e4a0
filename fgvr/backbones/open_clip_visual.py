"""What open_clip's image towers compute before their projection into the space of texts."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from fgvr.errors import FgvrError

_TOP, _BOTTOM = 0.3, 0.1
"""Shares of singular directions that ``iso_clip`` drops: the paper's 150 and 50 of ViT-B/32's 512."""
_TOLERANCE = 1e-3


@dataclass(frozen=True, eq=False)
class UnprojectedTower:
    """An image tower that gives what it computes before its projection.

    Attributes:
        tower: The image tower.
        owner: The module that holds the projection.
        name: Its attribute there.
        replacement: What stands there while the tower runs without it.
        project: Applies the projection.
    """

    tower: nn.Module
    owner: nn.Module
    name: str
    replacement: nn.Module | None
    project: Callable[[Tensor], Tensor]

    def __call__(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Features before and after the projection, by one pass: ``(B, width)`` and ``(B, embed_dim)``.

        The projection is out of its place meanwhile, so two threads must not call it at once.
        """
        if self.replacement is not None:
            self.replacement.to(pixels.device)  # no part of the tower, which is moved without it
        projection = getattr(self.owner, self.name)
        setattr(self.owner, self.name, self.replacement)
        try:
            output = self.tower(pixels)
        finally:
            setattr(self.owner, self.name, projection)
        before: Tensor = output[0] if isinstance(output, tuple) else output  # CoCa's tower gives its tokens, too
        return before, self.project(before)


def unprojected_tower(clip: nn.Module, pixels: Tensor) -> UnprojectedTower | None:
    """The image tower without its projection; ``None`` where it has none, or is of a kind that is not known here.

    Args:
        clip: A model of open_clip.
        pixels: Any photos, to try whether the two halves together are the tower.
    """
    found = _find(clip.visual)
    if found is None:
        return None
    with torch.no_grad():
        expected, projected = clip.encode_image(pixels), found(pixels)[1]  # type: ignore[operator]
    same = nn.functional.cosine_similarity(expected.float(), projected.float()).min() > 1 - _TOLERANCE
    return found if same else None


def _find(visual: Any) -> UnprojectedTower | None:
    """By the parts that a tower has, and not by its class, which open_clip has many of."""
    projection = getattr(visual, "proj", None)
    if isinstance(projection, nn.Parameter):  # a vision transformer
        # looked up at each call: the parameter may be replaced when weights are loaded or moved
        return UnprojectedTower(visual, visual, "proj", None, lambda before: before @ visual.proj)
    pool: Any = getattr(visual, "attnpool", None)
    if isinstance(getattr(pool, "c_proj", None), nn.Linear):  # a ResNet with attention pooling
        width = pool.c_proj.in_features
        identity = nn.Linear(width, width, device=pool.c_proj.weight.device).requires_grad_(False)
        identity.weight.copy_(torch.eye(width))
        identity.bias.zero_()
        return UnprojectedTower(visual, pool, "c_proj", identity, lambda before: pool.c_proj(before))
    head = getattr(visual, "head", None)
    if isinstance(head, nn.Sequential) and {"proj", "mlp"} & set(dict(head.named_children())):  # a model of timm
        return UnprojectedTower(visual, visual, "head", head[:-1], lambda before: visual.head[-1](before))
    return _find_classifier(visual)


def _find_classifier(visual: Any) -> UnprojectedTower | None:
    """A model of timm whose classifier is the projection (EVA, PE, MobileCLIP)."""
    trunk: Any = getattr(visual, "trunk", None)
    classifier = trunk.get_classifier() if hasattr(trunk, "get_classifier") else None
    if not isinstance(classifier, nn.Linear):
        return None
    path = next(name for name, module in trunk.named_modules() if module is classifier)
    owner, _, name = path.rpartition(".")
    module = trunk.get_submodule(owner)
    return UnprojectedTower(visual, module, name, nn.Identity(), lambda before: getattr(module, name)(before))


def iso_clip(clip: nn.Module) -> Tensor:
    r"""What turns features before the projection into those of IsoCLIP, shape ``(width, embed_dim)``; needs no data.

    With the projections :math:`W_i` of images and :math:`W_t` of texts, :math:`W_i^\top W_t = U S V^\top`. The first
    directions of U are common to all pairs of an image and a text, and the last ones to none; without both, photos
    that look alike are nearer to each other: :math:`W_i U_S U_S^\top`, S the directions between.

    Source: IsoCLIP (CVPR 2026). The shares to drop, 30 and 10 % of the directions, are the paper's for ViT-B/32.

    Raises:
        FgvrError: One of the two projections is not a matrix.
    """
    visual: Any = clip.visual
    text: Any = getattr(clip, "text", clip)
    image_projection = getattr(visual, "proj", None)
    if image_projection is None and hasattr(visual, "attnpool"):
        image_projection = visual.attnpool.c_proj
    matrices = [_matrix(image_projection), _matrix(getattr(text, "text_projection", None))]
    if any(matrix is None for matrix in matrices):
        raise FgvrError(
            "visual_space is 'iso_clip', but this model does not project both images and texts by a matrix: choose "
            "'pre_projection' or 'projected'."
        )
    of_images, of_texts = (matrix.double() for matrix in matrices if matrix is not None)
    directions = torch.linalg.svd(of_images @ of_texts.T, full_matrices=False).U
    count = directions.shape[1]
    kept = directions[:, round(_TOP * count) : count - round(_BOTTOM * count)]
    projection: Tensor = kept @ (kept.T @ of_images)
    return projection.float()


def _matrix(projection: object) -> Tensor | None:
    """A projection as a matrix that features are multiplied with from the left, shape ``(width, embed_dim)``."""
    if isinstance(projection, nn.Linear):
        return projection.weight.detach().T
    return projection.detach() if isinstance(projection, Tensor) else None
