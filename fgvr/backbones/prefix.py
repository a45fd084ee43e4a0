"""Prompts through a causal text tower, whose common beginning runs once and whose names run without padding.

Under a causal mask no token sees what follows it, so the start token and a shared context have the same states in every
prompt: they run once, each layer's keys and values are kept, and the names behind them attend to these. Of the layers,
only attention looks at more than one token, so all others run on a flat list of tokens.
"""

from collections.abc import Sequence
from enum import IntEnum
from itertools import islice
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from fgvr.backbones.frozen_block import BlockState
from fgvr.backbones.open_clip_blocks import read_blocks
from fgvr.backbones.path_attention import split_heads
from fgvr.backbones.suffixes import Prompt, SuffixChunk, chunk_suffixes

if TYPE_CHECKING:
    from open_clip import CLIP
    from open_clip.transformer import TextTransformer


class PrefixSharedTower(nn.Module):
    """The final states of prompts, from a context that they share; exact, gradients included.

    All chunks of suffixes attend to one prefix, whose keys and values collect the gradients of all chunks and are
    back-propagated once. What the backward pass needs is kept as far as ``keep_bytes`` goes, for chunk after chunk: the
    inputs of blocks first, from which a chunk's backward pass starts again at each block (two thirds of a forward
    pass); then what attention gave, so that only matrix products are left; then all of it.

    Args:
        tower: A ``CLIP`` or ``TextTransformer`` of open_clip of which ``unknown_part`` knows all.
        prompts: Token ids of the prompts, ``-1 - i`` for context vector ``i``.
        batch_size: Most suffixes that go through the tower together.
        keep_bytes: Bytes of activations to keep for the backward pass.
    """

    rows: Tensor

    def __init__(
        self, tower: "CLIP | TextTransformer", prompts: Sequence[Prompt], batch_size: int, keep_bytes: int
    ) -> None:
        super().__init__()
        self.tower = (tower,)  # in a tuple, as it is the backbone's
        self.keep_bytes = keep_bytes
        device = tower.token_embedding.weight.device
        self.prefix, chunks, rows = chunk_suffixes(prompts, batch_size, device)
        self.chunks = nn.ModuleList(chunks)
        self.register_buffer("rows", torch.tensor(rows, device=device), persistent=False)

    def forward(self, context: Tensor) -> Tensor:
        """States of the prompts' last tokens before the final norm, float32, shape ``(C, d)``.

        Args:
            context: Float32, shape ``(n_ctx, d)``.
        """
        (tower,) = self.tower
        kind = context.device.type
        dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else torch.float32
        with torch.autocast(kind, enabled=False):
            blocks = _Blocks(tower, dtype)
            prefix = context.new_empty(0)
            if self.prefix is not None:
                # without context in it (the name in front), the prefix needs no backward pass
                learned = context if self.prefix.slots.numel() else context.detach()
                prefix = _PrefixFunction.apply(learned, blocks, self.prefix)
            chunks = [chunk for chunk in self.chunks if isinstance(chunk, SuffixChunk)]
            kept = [_Keep.NOTHING] * len(chunks)
            if torch.is_grad_enabled() and context.requires_grad:
                shared = 0 if self.prefix is None else len(self.prefix.tokens)
                kept = _what_to_keep(chunks, blocks, shared, self.keep_bytes)
            ends: Tensor = _SuffixFunction.apply(context, prefix, blocks, chunks, kept)
            return ends.index_select(0, self.rows)


class _Keep(IntEnum):
    """What of a chunk is kept from the forward pass for the backward pass."""

    NOTHING = 0
    INPUTS = 1  # of each block
    ATTENDED = 2  # inputs, states behind attention, and its weights
    ALL = 3


class _Blocks:
    """The tower's blocks, read for one step, and how chunks run through all of them.

    Args:
        tower: Has embeddings, positions and blocks.
        dtype: What products are computed in.
    """

    def __init__(self, tower: "CLIP | TextTransformer", dtype: torch.dtype) -> None:
        self.blocks = read_blocks(tower.transformer, dtype)
        self.words: Tensor = tower.token_embedding.weight.detach()
        self.positions: Tensor = tower.positional_embedding.detach()
        self.dtype = dtype

    def __len__(self) -> int:
        return len(self.blocks)

    def embed(self, chunk: SuffixChunk, context: Tensor) -> Tensor:
        """Inputs of the first block."""
        nodes, slots = chunk.slots
        words = self.words.index_select(0, chunk.tokens).index_copy_(0, nodes, context.index_select(0, slots))
        return words.add_(self.positions.index_select(0, chunk.positions))

    def empty_prefix(self) -> Tensor:
        """Keys and values of no tokens, for every block."""
        heads, width = self.blocks[0].heads, self.blocks[0].width
        return self.words.new_empty(len(self), 2, heads, 0, width // heads, dtype=self.dtype)

    def forward(
        self, context: Tensor, prefix: Tensor, chunk: SuffixChunk, keep: _Keep
    ) -> tuple[Tensor, list[list[Tensor]]]:
        """States of the suffixes' ends behind the last block, and what is kept of each block."""
        x, kept = self.embed(chunk, context), []
        for i, block in enumerate(self.blocks):
            state = block.forward(x, prefix[i], chunk, ends_only=i == len(self) - 1)
            if keep:
                weights = [group.weights for group in state.groups]
                parts = {_Keep.INPUTS: [x], _Keep.ATTENDED: [x, state.inner, *weights], _Keep.ALL: state.tensors()}
                kept.append(parts[keep])
            x = block.finish(state)
        return x, kept

    def backward(
        self,
        gradient: Tensor,
        context: Tensor,
        prefix: Tensor,
        prefix_gradient: Tensor | None,
        chunk: SuffixChunk,
        keep: _Keep,
        kept: list[list[Tensor]],
    ) -> Tensor | None:
        """Gradient of what ``embed`` returned, if context is in it, from that of the suffixes' ends."""
        if keep is _Keep.NOTHING:
            keep, kept = _Keep.ALL, self.forward(context, prefix, chunk, _Keep.ALL)[1]
        x: Tensor | None = gradient
        for i, block in reversed(list(enumerate(self.blocks))):
            last, tensors = i == len(self) - 1, kept[i]
            assert x is not None, "only the first block's inputs need no gradient"
            if keep is _Keep.ALL:
                state = BlockState.of(tensors)
            elif keep is _Keep.ATTENDED:
                state = block.forward_again(tensors[0], tensors[1], tensors[2:], prefix[i], chunk, last)
            else:
                state = block.forward(tensors[0], prefix[i], chunk, last)
            collected = None if prefix_gradient is None else prefix_gradient[i]
            x = block.backward(x, state, prefix[i], collected, chunk, last, inputs_too=i > 0 or chunk.slots.numel() > 0)
        return x


class _PrefixFunction(torch.autograd.Function):
    """Keys and values of the prefix at every block, float32, shape ``(L, 2, H, P, head_dim)``."""

    @staticmethod
    def forward(ctx: Any, context: Tensor, blocks: _Blocks, chunk: SuffixChunk) -> Tensor:
        nothing, x = blocks.empty_prefix(), blocks.embed(chunk, context)
        found, tensors = [], []
        for i, block in enumerate(blocks.blocks[:-1]):
            state = block.forward(x, nothing[i], chunk)
            (group,) = state.groups
            found.append(torch.stack((group.keys, group.values)))
            tensors += state.tensors()
            x = block.finish(state)
        # of the last block, nothing but keys and values is looked at
        projected, _, mean, deviation = blocks.blocks[-1].project(x, blocks.blocks[-1].width)
        found.append(split_heads(projected, nothing[-1]))
        ctx.save_for_backward(context, x, mean, deviation, *tensors)
        ctx.blocks, ctx.chunk = blocks, chunk
        return torch.stack(found).float()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        context, x, mean, deviation, *tensors = ctx.saved_tensors
        blocks, nothing = ctx.blocks.blocks, ctx.blocks.empty_prefix()
        # as rows of tokens, keys and values side by side
        gradient = gradient.permute(0, 3, 1, 2, 4).flatten(2).to(ctx.blocks.dtype)
        x = blocks[-1].project_backward(gradient[-1], x, mean, deviation)
        size = len(tensors) // max(len(blocks) - 1, 1)
        for i in reversed(range(len(blocks) - 1)):
            state = BlockState.of(tensors[i * size : (i + 1) * size])
            x = blocks[i].backward(x, state, nothing[i], None, ctx.chunk, own_gradient=gradient[i])
        nodes, slots = ctx.chunk.slots
        return torch.zeros_like(context).index_add_(0, slots, x.index_select(0, nodes)), None, None


class _SuffixFunction(torch.autograd.Function):
    """States of all suffixes' ends, float32, shape ``(suffixes, d)``."""

    @staticmethod
    def forward(
        ctx: Any, context: Tensor, prefix: Tensor, blocks: _Blocks, chunks: list[SuffixChunk], keep: list[_Keep]
    ) -> Tensor:
        cast = prefix.to(blocks.dtype) if prefix.numel() else blocks.empty_prefix()
        ends, tensors, ctx.sizes = [], [], []
        for chunk, what in zip(chunks, keep, strict=True):
            output, kept = blocks.forward(context, cast, chunk, what)
            ends.append(output)
            ctx.sizes.append([len(part) for part in kept])
            tensors += [tensor for part in kept for tensor in part]
        ctx.save_for_backward(context, prefix, *tensors)
        ctx.blocks, ctx.chunks, ctx.keep = blocks, chunks, keep
        return torch.cat(ends)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        context, prefix, *tensors = ctx.saved_tensors
        cast = prefix.to(ctx.blocks.dtype) if prefix.numel() else ctx.blocks.empty_prefix()
        context_gradient = torch.zeros_like(context)
        prefix_gradient = torch.zeros_like(prefix) if ctx.needs_input_grad[1] else None
        left = iter(tensors)
        parts = gradient.split([len(chunk.ends) for chunk in ctx.chunks])
        for chunk, keep, sizes, part in zip(ctx.chunks, ctx.keep, ctx.sizes, parts, strict=True):
            kept = [list(islice(left, size)) for size in sizes]
            x = ctx.blocks.backward(part, context, cast, prefix_gradient, chunk, keep, kept)
            if x is not None:
                nodes, slots = chunk.slots
                context_gradient.index_add_(0, slots, x.index_select(0, nodes))
        return context_gradient, prefix_gradient, None, None, None


def _what_to_keep(chunks: Sequence[SuffixChunk], blocks: _Blocks, shared: int, most: int) -> list[_Keep]:
    """As much of every chunk as fits into ``most`` bytes together: what saves most time for its size first."""
    keep, spent, left = [_Keep.NOTHING] * len(chunks), [0] * len(chunks), most
    sizes = [_sizes(chunk, blocks, shared) for chunk in chunks]
    for what in (_Keep.INPUTS, _Keep.ATTENDED, _Keep.ALL):
        for i, size in enumerate(sizes):
            if size[what] - spent[i] <= left:
                left -= size[what] - spent[i]
                keep[i], spent[i] = what, size[what]
    return keep


def _sizes(chunk: SuffixChunk, blocks: _Blocks, shared: int) -> dict[_Keep, int]:
    """Bytes of what may be kept of a chunk."""
    block, nodes, places = blocks.blocks[0], len(chunk.tokens), len(chunk.path)
    size = torch.finfo(blocks.dtype).bits // 8
    inputs = attended = rest = 0
    for last in [False] * (len(blocks) - 1) + [True]:
        # of the last block, only the ends have queries and all that follows
        rows, queries = (len(chunk.ends), len(chunk.ends)) if last else (nodes, places)
        on = sum(number * (1 if last else length) * (shared + length) for number, length in chunk.groups)
        inputs += 4 * nodes * block.width
        attended += 4 * (rows * block.width + block.heads * on)
        rest += size * (rows * len(block.mlp_in[0]) + (queries + 2 * places) * block.width)
    return {_Keep.INPUTS: inputs, _Keep.ATTENDED: inputs + attended, _Keep.ALL: inputs + attended + rest}
