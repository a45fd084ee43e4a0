"""One of CoFT's two models: prompts around frozen towers, then an image tower of its own with a linear head."""

import logging
import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fgvr.backbones.base import Backbone
from fgvr.errors import FgvrError
from fgvr.heads.prompt import PromptHead
from fgvr.heads.visual_prompts import VisualPrompts
from fgvr.methods.tuned_weights import TunedWeights

log = logging.getLogger(__name__)

_TOKENS = 20


class CoftModel(nn.Module):
    """Everything that one model learns; the backbone is the other model's, too.

    Args:
        n_ctx: Context tokens of the positive and of the negative prompt.
        init_words: What the positive prompt starts from; drawn if ``None``.
        visual: Tokens in the image tower, not built yet; ``None`` for none.
        tunes_tower: Whether there is an image tower to tune, with a head.

    Attributes (after ``build``):
        positive: The positive prompt.
        negative: The negative one.
        tower: Weights of the image tower, as they are in the backbone; ``None`` without.
        head: From image features to classes, zero; ``None`` without.
    """

    tower: TunedWeights | None
    head: nn.Linear | None

    def __init__(self, n_ctx: int, init_words: str | None, visual: VisualPrompts | None, tunes_tower: bool) -> None:
        super().__init__()
        self.positive = PromptHead(n_ctx, init_words=init_words)
        self.negative = PromptHead(n_ctx)
        self.visual = visual
        self.tunes_tower = tunes_tower

    def build(self, backbone: Backbone, class_names: Sequence[str], pixels: Tensor) -> None:
        """Draw the prompts from the global generator, and copy the image tower.

        Args:
            backbone: Loaded.
            class_names: In class-index order.
            pixels: Any photos, to see which weights their features depend on.
        """
        for prompt in (self.positive, self.negative):
            prompt.build(backbone, class_names)
        if self.visual is not None:
            self.visual.build(backbone)
        self.tower = self.head = None
        if self.tunes_tower:
            self.tower = TunedWeights(backbone, lambda part: part.encode_image(pixels), "image")
            self.head = nn.Linear(backbone.embed_dim, len(class_names), device=backbone.device)
            self.reset_head(torch.zeros_like(self.head.weight))
        # in a tuple, so that the backbone is registered under its method only
        self._backbone = (backbone,)

    def redraw(self) -> None:
        """Begin the prompts again, from the global generator."""
        for part in (self.positive, self.negative, self.visual):
            if part is not None:
                part.redraw()

    @torch.no_grad()
    def reset_head(self, weight: Tensor) -> None:
        """Start the head from a weight, shape ``(C, embed_dim)``, and no bias."""
        assert self.head is not None, "it is asked for where a tower is tuned"
        self.head.weight.copy_(weight)
        self.head.bias.zero_()

    def prompt_parameters(self) -> list[nn.Parameter]:
        """What phase 1 learns."""
        return [*self.text_parameters(), *self.visual_parameters()]

    def text_parameters(self) -> list[nn.Parameter]:
        """The context of both prompts."""
        return [*self.positive.parameters(), *self.negative.parameters()]

    def visual_parameters(self) -> list[nn.Parameter]:
        """The tokens in the image tower, if there are any."""
        return [] if self.visual is None else list(self.visual.parameters())

    def tower_parameters(self) -> list[nn.Parameter]:
        """What phase 2 learns: the image tower and the head."""
        if self.tower is None or self.head is None:
            return []
        return [*self.tower.parameters(), *self.head.parameters()]

    def class_features(self) -> Tensor:
        """Of the positive and of the negative prompts, L2-normalised float32, shape ``(2, C, embed_dim)``."""
        return torch.stack([self.positive.class_features(), self.negative.class_features()])

    def encode_prompted(self, pixels: Tensor) -> Tensor:
        """Image features with the tokens in the tower, L2-normalised, shape ``(B, embed_dim)``."""
        return self._backbone[0].encode_image(pixels) if self.visual is None else self.visual(pixels).joint

    def encode_tuned(self, pixels: Tensor) -> Tensor:
        """Image features of the tuned tower, L2-normalised, shape ``(B, embed_dim)``."""
        assert self.tower is not None, "it is asked for where a tower is tuned"
        features: Tensor = self.tower(lambda backbone: backbone.encode_image(pixels))
        return features

    def head_logits(self, features: Tensor) -> Tensor:
        """The head's logits of the tuned tower's features, float32, shape ``(B, C)``."""
        assert self.head is not None, "it is asked for where a tower is tuned"
        with torch.autocast(features.device.type, enabled=False):
            return F.linear(features.float(), self.head.weight, self.head.bias)


def tokens_of(backbone: Backbone, asked: int | None) -> int:
    """Tokens at each block of the image tower: those that are asked for, or 20 where it takes any, and none elsewhere.

    Args:
        backbone: Loaded.
        asked: As the user says.
    """
    if asked is not None:
        return asked
    try:
        backbone.visual_prompt_encoder()
    except FgvrError as error:
        log.info("Phase 1 learns text prompts alone (model.visual_tokens is not given): %s", error)
        return 0
    return _TOKENS


def log_mean_probabilities(logits: Tensor) -> Tensor:
    """Logarithm of the mean of M models' probabilities, shape ``(B, C)``.

    Args:
        logits: Shape ``(M, B, C)``.

    Example:
        >>> log_mean_probabilities(torch.tensor([[[0.0, 0.0]], [[900.0, 0.0]]])).exp()
        tensor([[0.7500, 0.2500]])
    """
    return logits.log_softmax(-1).logsumexp(0) - math.log(len(logits))
