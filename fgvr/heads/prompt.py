"""Prompt learning (CoOp, Zhou et al. 2022): context tokens are learned, both towers stay frozen."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from fgvr.backbones.base import Backbone
from fgvr.errors import FgvrError
from fgvr.heads.base import Head
from fgvr.text import counted


class PromptHead(Head):
    """Classifies by the text features of class names in a learned context.

    Args:
        n_ctx: Context tokens per prompt. With ``init_words``, their number counts instead.
        position: Where the class name stands: behind the context, in the middle of it, or in front.
        init_words: Words whose embeddings the context starts from (``"a photo of a"``, underscores read as spaces);
            drawn from N(0, 0.02) if not given.
        class_specific: Whether every class has a context of its own.
    """

    def __init__(
        self,
        n_ctx: int = 16,
        position: Literal["end", "middle", "front"] = "end",
        init_words: str | None = None,
        class_specific: bool = False,
    ) -> None:
        super().__init__()
        self.n_ctx = n_ctx
        self.position = position
        self.init_words = init_words
        self.class_specific = class_specific

    def build(self, backbone: Backbone, class_names: Sequence[str]) -> None:
        """See the base class."""
        encoder = backbone.prompt_encoder()
        words = None if self.init_words is None else encoder.embed(self.init_words.replace("_", " "))
        n_ctx = self.n_ctx if words is None else len(words)
        if n_ctx < 1:
            raise FgvrError(
                f"The prompt head has {counted(n_ctx, 'context token')}: give n_ctx of at least 1, or init_words."
            )
        encoder.prepare(class_names, n_ctx, self.position)
        shape = (len(class_names), n_ctx, encoder.token_dim) if self.class_specific else (n_ctx, encoder.token_dim)
        self._words = words
        self.context = nn.Parameter(torch.empty(shape, device=backbone.device))
        self.redraw()
        self.logit_scale = backbone.logit_scale
        # in a tuple, so that the frozen tower is registered under the backbone only: as a submodule of the head it
        # would enter the head's state dict and parameters as well
        self._encoder = (encoder,)

    @torch.no_grad()
    def redraw(self) -> None:
        """Begin again: draw the context from the global generator, or take the words."""
        shape = self.context.shape
        # drawn on the CPU, so that a seed means the same context on every device
        self.context.copy_(torch.normal(0.0, 0.02, shape, device="cpu") if self._words is None else self._words)

    def class_features(self) -> Tensor:
        """See the base class."""
        (encoder,) = self._encoder
        # not being a submodule, the encoder does not follow the head to another device; were it moved in inference
        # mode, by a validation before the first step, autograd would refuse its tensors in training
        with torch.inference_mode(False):
            encoder.to(self.context.device)
        features: Tensor = encoder(self.context)
        return features
