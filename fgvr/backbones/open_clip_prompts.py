"""Prompts of learned context vectors in the text towers of open_clip, whatever they are made of."""

import functools
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fgvr.backbones.open_clip_blocks import unknown_part
from fgvr.backbones.open_clip_tokens import PromptTokens, tokens_of
from fgvr.backbones.prefix import PrefixSharedTower
from fgvr.backbones.prompts import TokenPromptEncoder
from fgvr.errors import FgvrError

if TYPE_CHECKING:
    from open_clip import CLIP
    from open_clip.transformer import TextTransformer

KEEP_BYTES = 22 * 10**8
_LOG = logging.getLogger(__name__)


def prompt_encoder_of(clip: Any, tokenizer: Any, model: str, batch_size: int, keep_bytes: int) -> TokenPromptEncoder:
    """The prompt encoder that fits a model's text tower.

    Args:
        clip: A model of open_clip.
        tokenizer: Its tokenizer.
        model: Its name, for errors.
        batch_size: Most prompts per forward pass.
        keep_bytes: Most bytes of activations that are kept for the backward pass.

    Raises:
        FgvrError: The text tower has no embedding of tokens that context could take the place of, or its tokenizer
            does more than put tokens in a row.
    """
    from open_clip import CLIP
    from open_clip.transformer import TextTransformer

    # CLIP holds the parts of its text tower itself, other models hold the tower
    tower = getattr(clip, "text", clip)
    pool = getattr(tower, "text_pool_type", None) or getattr(tower, "pool_type", None)
    plain = isinstance(tower, CLIP) or (
        isinstance(tower, TextTransformer) and tower.cls_emb is None and not tower.use_pad_mask
    )
    tokens = tokens_of(tokenizer, model)
    if plain and pool in ("argmax", "eos"):
        return OpenClipPromptEncoder(tower, tokens, batch_size, keep_bytes)
    return WholePromptEncoder(clip, tokens, model, batch_size, keep_bytes)


class OpenClipTokenEncoder(TokenPromptEncoder):
    """Start tokens, context, "name.", end tokens, cut by the model's own tokenizer.

    Args:
        tokens: Cuts words, or a tokenizer of open_clip.
        options: Of the base class.
    """

    def __init__(self, tokens: PromptTokens | Any, **options: Any) -> None:
        tokens = tokens_of(tokens)
        super().__init__(pad=tokens.pad, **options)
        self.tokenizer = tokens

    def tokenize(self, words: str) -> list[int]:
        """See the base class."""
        return self.tokenizer.words(words)

    def split(self, name: str) -> tuple[list[int], list[int], list[int]]:
        """See the base class. The full stop is part of what follows, so that it stays behind the context as in CoOp.

        Raises:
            FgvrError: Nothing is left of a name, because the tokenizer takes signs away.
        """
        start, end = self.tokenizer.around
        ids = self.tokenizer.words(f"{name}.", behind=self.before > 0)
        length = len(self.tokenizer.words(name, behind=self.before > 0))
        if name.strip() and not length:
            raise FgvrError(
                f"The class name {name[:60]!r} has no tokens: this model's tokenizer takes signs away, and nothing is "
                "left. Write the name in words."
            )
        return start, ids[:length], [*ids[length:], *end]


class OpenClipPromptEncoder(OpenClipTokenEncoder):
    """Prompts through CLIP's text transformer, read at the end token: ``encode_text`` from embeddings on.

    Under a causal mask, what prompts have in common runs once; see ``PrefixSharedTower``. Prompts with a context for
    each class, towers without that mask and towers with parts that are not known there run as a whole, padded to the
    longest prompt only where that is exact. So do towers whose weights need a gradient.

    Args:
        tower: A ``CLIP`` or ``TextTransformer`` of open_clip, which have the same parts under the same names.
        tokens: Cuts words, or a tokenizer of open_clip.
        batch_size: Most prompts per forward pass.
        keep_bytes: Most bytes of activations that are kept for the backward pass.
    """

    def __init__(
        self,
        tower: "CLIP | TextTransformer",
        tokens: PromptTokens | Any,
        batch_size: int,
        keep_bytes: int = KEEP_BYTES,
    ) -> None:
        super().__init__(
            tokens,
            token_embedding=tower.token_embedding,
            max_tokens=tower.context_length,
            batch_size=batch_size,
            full_length=tower.attn_mask is None,
        )
        self.tower = tower
        self.keep_bytes = keep_bytes
        self.shared: PrefixSharedTower | None = None

    def prepare(self, class_names: Sequence[str], n_ctx: int, position: str) -> None:
        """See the base class."""
        super().prepare(class_names, n_ctx, position)
        unknown = unknown_part(self.tower)
        if unknown is not None:
            _log_once(f"Prompts run as a whole, without sharing their beginning: the text tower has {unknown}.")
            self.bound_memory(self.keep_bytes, self.tower.parameters())
            return
        # context vectors take the places of placeholders
        marked = self.tokens.scatter(
            1, self.slots, (-1 - torch.arange(n_ctx, device=self.slots.device)).expand_as(self.slots)
        )
        prompts = [tuple(row[: last + 1]) for row, last in zip(marked.tolist(), self.last.tolist(), strict=True)]
        self.shared = PrefixSharedTower(self.tower, prompts, self.batch_size, self.keep_bytes)

    def forward(self, context: Tensor) -> Tensor:
        """See the base class."""
        tuned = any(parameter.requires_grad for parameter in self.tower.transformer.parameters())
        if self.shared is None or context.dim() > 2 or tuned:
            return super().forward(context)
        return F.normalize(self.project(self.tower.ln_final(self.shared(context))).float(), dim=-1)

    def encode(self, tokens: Tensor, embeddings: Tensor, last: Tensor) -> Tensor:
        """See the base class."""
        tower, length = self.tower, embeddings.shape[1]
        mask = None if tower.attn_mask is None else tower.attn_mask[:length, :length]
        x: Tensor = embeddings + tower.positional_embedding[:length]
        x = tower.ln_final(tower.transformer(x, attn_mask=mask))
        # by position: the largest id, which CLIP looks for, need not be the end token once a name holds special tokens
        return self.project(x[torch.arange(len(x), device=x.device), last])

    def project(self, ends: Tensor) -> Tensor:
        """States behind the final norm -> the space of images."""
        projection = self.tower.text_projection
        if projection is None:
            return ends
        projected: Tensor = projection(ends) if isinstance(projection, nn.Linear) else ends @ projection
        return projected


class WholePromptEncoder(OpenClipTokenEncoder):
    """Prompts through any text tower of open_clip: its own pass, in which context stands in the embedding's output.

    Masks, positions, pooling and projection are the tower's: SigLIP and CLIPA read the last of all places and let
    padding take part, so prompts are filled up to the whole context; CoCa appends a class token, and masks padding;
    towers of transformers (BERT, RoBERTa, XLM-R, T5, NLLB) mask it, so there prompts are filled up to the longest only.
    Nothing is shared between classes, because every token sees the name.

    While a prompt is encoded, the tower's embedding gives these prompts and no others, so two threads must not use the
    backbone at once.

    Args:
        clip: A model of open_clip.
        tokens: Cuts words, or a tokenizer of open_clip.
        model: Name of the model, for errors.
        batch_size: Most prompts per forward pass.
        keep_bytes: Most bytes of activations of a forward pass; batches are made that small, and what more classes
            need is computed again in the backward pass.

    Raises:
        FgvrError: The tower has no embedding of tokens.
    """

    def __init__(
        self,
        clip: nn.Module,
        tokens: PromptTokens | Any,
        model: str = "this model",
        batch_size: int = 256,
        keep_bytes: int = KEEP_BYTES,
    ) -> None:
        tower: Any = getattr(clip, "text", clip)
        inner: Any = getattr(tower, "transformer", None)
        hub = hasattr(inner, "get_input_embeddings")
        embedding = inner.get_input_embeddings() if hub else getattr(tower, "token_embedding", None)
        if not isinstance(embedding, nn.Embedding):
            raise FgvrError(
                f"Prompts cannot be learned over {model}: its text tower, a {type(tower).__name__}, has no embedding "
                "of tokens that is known here. Choose another model (for instance ViT-B-16), or zero_shot."
            )
        tokens = tokens_of(tokens, model)
        super().__init__(
            tokens,
            token_embedding=embedding,
            max_tokens=tokens.context_length,
            batch_size=batch_size,
            full_length=not hub,
            # no padding, which is masked, and no end token, at which features are read
            placeholder=tokens.words("a")[0],
        )
        self.clip = (clip,)  # in a tuple, as it is the backbone's
        self.keep_bytes = keep_bytes

    def prepare(self, class_names: Sequence[str], n_ctx: int, position: str) -> None:
        """See the base class."""
        super().prepare(class_names, n_ctx, position)
        (clip,) = self.clip
        self.bound_memory(self.keep_bytes, clip.parameters())

    def encode(self, tokens: Tensor, embeddings: Tensor, last: Tensor) -> Tensor:
        """See the base class."""
        (clip,) = self.clip
        handle = self.token_embedding.register_forward_hook(lambda *_: embeddings)
        try:
            features: Tensor = clip.encode_text(tokens)  # type: ignore[operator]
        finally:
            handle.remove()
        return features


@functools.cache
def _log_once(message: str) -> None:
    _LOG.warning(message)
