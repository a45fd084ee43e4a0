"""Visual prompts (VPT, Jia et al. 2022): tokens in a frozen image tower that are learned; no head, but beside one."""

import math

import torch
from torch import Tensor, nn

from fgvr.backbones.base import Backbone, ImageFeatures
from fgvr.errors import FgvrError


class VisualPrompts(nn.Module):
    r"""The learned tokens, and image features with them.

    They start uniform in :math:`\pm\sqrt{6 / (3 a + d)}` with a patch of a pixels and tokens of width d, as in VPT's
    released code. The parameters, and the state dict, are the tokens alone: the tower stays with the backbone.

    Args:
        n_tokens: Tokens at each block, M.
        deep: Whether each block has tokens of its own (VPT-deep); otherwise the first one's go through all blocks
            (VPT-shallow).
        dropout: Share of the tokens' numbers that are set to zero in training, drawn for each photo, in [0, 1).
        recompute: Whether activations are computed again in the backward pass; see ``Backbone.visual_prompt_encoder``.

    Attributes (after ``build``):
        tokens: float32, shape ``(J, M, width)``: J is 1, or the number of blocks.

    Raises:
        FgvrError: An option is out of its range.

    Example:
        >>> from fgvr.testing.tiny import TinyBackbone
        >>> backbone = TinyBackbone()
        >>> backbone.load()
        >>> prompts = VisualPrompts(n_tokens=4)
        >>> prompts.build(backbone)
        >>> prompts(torch.rand(5, 3, 32, 32)).joint.shape, prompts.tokens.shape, prompts.parameter_count
        (torch.Size([5, 16]), torch.Size([2, 4, 3]), 24)
    """

    tokens: nn.Parameter

    def __init__(self, n_tokens: int = 20, deep: bool = True, dropout: float = 0.0, recompute: bool = False) -> None:
        super().__init__()
        if n_tokens < 1:
            raise FgvrError(f"The number of visual prompts is {n_tokens}; expected 1 or more, for instance 20.")
        if not 0 <= dropout < 1:
            raise FgvrError(f"The dropout of visual prompts is {dropout}; expected from 0 to below 1.")
        self.n_tokens = n_tokens
        self.deep = deep
        self.dropout = dropout
        self.recompute = recompute

    def build(self, backbone: Backbone) -> None:
        """Draw the tokens from the global generator. ``backbone`` is loaded.

        Raises:
            FgvrError: Its image tower takes no visual prompts.
        """
        encoder = backbone.visual_prompt_encoder(self.recompute)
        # no module, so the frozen tower enters neither the parameters nor the state dict
        self._encoder = encoder
        shape = (encoder.depth if self.deep else 1, self.n_tokens, encoder.width)
        self.tokens = nn.Parameter(torch.empty(shape, device=backbone.device))
        self.redraw()

    @torch.no_grad()
    def redraw(self) -> None:
        """Begin again: draw the tokens from the global generator."""
        bound = math.sqrt(6 / (3 * self._encoder.patch_pixels + self._encoder.width))
        # drawn on the CPU, so that a seed means the same tokens on every device
        self.tokens.copy_(torch.empty(self.tokens.shape, device="cpu").uniform_(-bound, bound))

    @property
    def parameter_count(self) -> int:
        """Numbers that are learned, J x M x width."""
        return self.tokens.numel()

    def forward(self, pixels: Tensor) -> ImageFeatures:
        """Image features in both spaces, differentiable in the tokens.

        Args:
            pixels: Shape ``(B, 3, H, W)``.
        """
        tokens: Tensor = self.tokens
        if self.training and self.dropout > 0:
            tokens = nn.functional.dropout(tokens.expand(len(pixels), -1, -1, -1), self.dropout)
        return self._encoder(pixels, tokens)
