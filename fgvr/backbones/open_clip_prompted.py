"""Visual prompts in the vision transformers of open_clip, its own and those of timm."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from fgvr.backbones.base import Backbone, ImageFeatures, VisualPromptEncoder
from fgvr.errors import FgvrError


@dataclass(frozen=True, eq=False)
class TowerBlocks:
    """Where the blocks of a vision transformer are, and how tokens go through them.

    Attributes:
        owner: The module that holds the blocks.
        name: Its attribute there, a ``ModuleList`` or ``Sequential``.
        leading: Tokens before those of the patches: class token and registers.
        axis: Dimension of the tokens in what goes through a block, 1 or 0.
        width: Width of a token.
        patch_pixels: Pixels of a patch.
    """

    owner: nn.Module
    name: str
    leading: int
    axis: int
    width: int
    patch_pixels: int

    def __len__(self) -> int:
        blocks: Any = getattr(self.owner, self.name)
        return len(blocks)

    @contextmanager
    def prompted(self, prompts: Tensor, recompute: bool) -> Iterator[None]:
        """Have the tower run with ``prompts``.

        The blocks are replaced for that time, and nothing else: embeddings, norms, pooling and projection are the
        tower's own. The backward pass may come later, when the blocks are back.
        """
        blocks: Any = getattr(self.owner, self.name)
        wrapped = [
            PromptedBlock(
                block,
                prompts[..., row, :, :] if row < prompts.shape[-3] else None,
                before=0 if row == 0 else prompts.shape[-2],
                count=prompts.shape[-2],
                drop=row == len(blocks) - 1,
                leading=self.leading,
                axis=self.axis,
                recompute=recompute,
            )
            for row, block in enumerate(blocks)
        ]
        # the container's class, because timm calls a Sequential and open_clip goes through a ModuleList
        container = nn.Sequential(*wrapped) if isinstance(blocks, nn.Sequential) else nn.ModuleList(wrapped)
        setattr(self.owner, self.name, container)
        try:
            yield
        finally:
            setattr(self.owner, self.name, blocks)


class PromptedBlock(nn.Module):
    """A block with prompts among its tokens.

    Args:
        block: The block.
        prompts: To put in, shape ``(M, width)`` or ``(B, M, width)``; ``None`` leaves those that there are.
        before: Prompts that the input has.
        count: Prompts that the block sees, M.
        drop: Whether the output is without prompts.
        leading: Tokens before the prompts.
        axis: Dimension of the tokens.
        recompute: Whether to compute the block again in the backward pass.
    """

    def __init__(
        self,
        block: nn.Module,
        prompts: Tensor | None,
        *,
        before: int,
        count: int,
        drop: bool,
        leading: int,
        axis: int,
        recompute: bool,
    ) -> None:
        super().__init__()
        self.block = block
        self.prompts = prompts
        self.before = before
        self.count = count
        self.drop = drop
        self.leading = leading
        self.axis = axis
        self.recompute = recompute

    def forward(self, tokens: Tensor, *args: Any, **options: Any) -> Tensor:
        """The block's output; further arguments are the block's."""
        if self.prompts is not None:
            photos = tokens.shape[1 - self.axis]
            prompts = self.prompts.to(tokens.dtype).expand(photos, -1, -1)
            tokens = self._replace(tokens, self.before, prompts if self.axis == 1 else prompts.transpose(0, 1))
        if options.get("rope") is not None:
            options["rope"] = _unturned(options["rope"], self.count)
        if self.recompute and torch.is_grad_enabled():
            output: Tensor = checkpoint(self.block, tokens, *args, use_reentrant=False, **options)
        else:
            output = self.block(tokens, *args, **options)
        return self._replace(output, self.count) if self.drop else output

    def _replace(self, tokens: Tensor, count: int, *prompts: Tensor) -> Tensor:
        """``prompts`` instead of the ``count`` tokens behind the leading ones."""
        rest = self.leading + count
        patches = tokens.narrow(self.axis, rest, tokens.shape[self.axis] - rest)
        return torch.cat([tokens.narrow(self.axis, 0, self.leading), *prompts, patches], dim=self.axis)


def _unturned(rope: Tensor, count: int) -> Tensor:
    """Rotary positions of the patches with ``count`` more in front that turn nothing: prompts have no place.

    Args:
        rope: Sines, then cosines, in the last dimension; positions in the last but one.
        count: How many.
    """
    half = rope.shape[-1] // 2
    still = rope.new_zeros(*rope.shape[:-2], count, rope.shape[-1])
    still[..., half:] = 1
    return torch.cat([still, rope], dim=-2)


def find_blocks(visual: Any) -> TowerBlocks | None:
    """The blocks of an image tower; ``None`` where it is no vision transformer that is known here.

    Classes are compared exactly: a subclass may compute something else, for instance attention in windows.

    Args:
        visual: The image tower of a model of open_clip, or a model of timm.
    """
    from open_clip.timm_model import TimmModel
    from open_clip.transformer import VisionTransformer

    if type(visual) is VisionTransformer:
        inner = visual.transformer
        axis = 1 if inner.batch_first else 0
        pixels = math.prod(visual.patch_size)
        return TowerBlocks(inner, "resblocks", 1, axis, len(visual.class_embedding), pixels)
    from timm.models.eva import Eva
    from timm.models.vision_transformer import VisionTransformer as TimmTransformer

    trunk: Any = visual.trunk if type(visual) is TimmModel else visual
    if type(trunk) not in (Eva, TimmTransformer):
        return None
    pixels = math.prod(trunk.patch_embed.feat_ratio(as_scalar=False))
    return TowerBlocks(trunk, "blocks", trunk.num_prefix_tokens, 1, trunk.embed_dim, pixels)


class OpenClipVisualPromptEncoder(VisualPromptEncoder):
    """A vision transformer of open_clip with prompts among its tokens.

    Prompts come behind the norm before the first block, where a tower has one, so they are not normed by it, and they
    have no positions. Where queries and keys are turned by the place of a patch (EVA, PE), those of prompts are left as
    they are, like those of the class token.

    Args:
        backbone: Gives features by the tower.
        visual: The tower.
        model: Name of the model, for errors.
        recompute: See ``Backbone.visual_prompt_encoder``.

    Raises:
        FgvrError: The tower is no vision transformer that is known here.
    """

    def __init__(self, backbone: Backbone, visual: nn.Module, model: str, recompute: bool = False) -> None:
        blocks = find_blocks(visual)
        if blocks is None:
            kind = type(getattr(visual, "trunk", visual)).__name__
            raise FgvrError(
                f"The image tower of {model} takes no visual prompts: it is a {kind}, and a vision transformer (CLIP's "
                "ViT, or timm's VisionTransformer and Eva) is needed. Choose such a model, for instance ViT-B-16."
            )
        self.backbone = backbone
        self.blocks = blocks
        self.recompute = recompute
        self.width, self.depth, self.patch_pixels = blocks.width, len(blocks), blocks.patch_pixels

    def encode(self, pixels: Tensor, prompts: Tensor) -> ImageFeatures:
        """See the base class."""
        with self.blocks.prompted(prompts, self.recompute):
            return self.backbone.encode_spaces(pixels)
