"""A frozen block of a causal text transformer with a backward pass for its input alone, written by hand.

Autograd would keep more tensors, and make a node of each operation. Weights are frozen, so a linear layer costs one
matrix product forward and one backward.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fgvr.backbones.path_attention import AttendedGroup, attend, attend_again, attend_backward
from fgvr.backbones.suffixes import SuffixChunk

Linear = tuple[Tensor, Tensor | None]
"""Weight and bias."""


class BlockState(NamedTuple):
    """What the backward pass of a block needs; R rows of T nodes have queries (all of them, or the ends).

    Attributes:
        inputs: Shape ``(T, d)``.
        inner: Behind attention and its residual, shape ``(R, d)``.
        hidden: Before the activation, shape ``(R, mlp_width)``.
        statistics: Mean and reciprocal deviation of both layer norms, ``(T, 1)`` twice and ``(R, 1)`` twice.
        groups: Of attention.
    """

    inputs: Tensor
    inner: Tensor
    hidden: Tensor
    statistics: tuple[Tensor, Tensor, Tensor, Tensor]
    groups: list[AttendedGroup]

    def tensors(self) -> list[Tensor]:
        """All tensors in a row, as autograd keeps them."""
        return [
            self.inputs,
            self.inner,
            self.hidden,
            *self.statistics,
            *(part for group in self.groups for part in group),
        ]

    @classmethod
    def of(cls, tensors: Sequence[Tensor]) -> "BlockState":
        """What ``tensors`` was made of."""
        inputs, inner, hidden, mean_1, deviation_1, mean_2, deviation_2, *parts = tensors
        groups = [AttendedGroup(*parts[i : i + 4]) for i in range(0, len(parts), 4)]
        return cls(inputs, inner, hidden, (mean_1, deviation_1, mean_2, deviation_2), groups)


@dataclass(frozen=True)
class FrozenBlock:
    """x + scale * attention(norm(x)), then the same with an MLP of one hidden layer.

    Linear weights are in the type that products are computed in; layer norms, residuals and the softmax are float32.

    Attributes:
        heads: Attention heads.
        norm_1: Before attention.
        attn_in: Weight ``(3 d, d)`` and bias of queries, keys and values.
        attn_out: Weight and bias of the output projection.
        scale_1: LayerScale's factors, if any.
        norm_2: Before the MLP.
        mlp_in: Weight and bias.
        activation: ``"none"`` or ``"tanh"`` for GELU (how it is approximated), ``"quick"`` for QuickGELU.
        mlp_out: Weight and bias.
        scale_2: As ``scale_1``.
    """

    heads: int
    norm_1: nn.LayerNorm
    attn_in: Linear
    attn_out: Linear
    scale_1: Tensor | None
    norm_2: nn.LayerNorm
    mlp_in: Linear
    activation: str
    mlp_out: Linear
    scale_2: Tensor | None

    @property
    def width(self) -> int:
        """Width d of a token."""
        return self.attn_in[0].shape[1]

    def project(self, inputs: Tensor, start: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Queries, keys and values from row ``start`` of the weight on; normed inputs, mean, reciprocal deviation."""
        normed, mean, deviation = _norm(self.norm_1, inputs, self.attn_in[0].dtype)
        return self._linear_in(normed, slice(start, None)), normed, mean, deviation

    def project_backward(self, gradient: Tensor, inputs: Tensor, mean: Tensor, deviation: Tensor) -> Tensor:
        """Gradient of ``inputs`` from that of keys and values, or of queries, keys and values."""
        weight = self.attn_in[0][len(self.attn_in[0]) - gradient.shape[1] :]
        return _norm_backward(self.norm_1, gradient @ weight, inputs, mean, deviation)

    def forward(self, inputs: Tensor, prefix: Tensor, chunk: SuffixChunk, ends_only: bool = False) -> BlockState:
        """All of the block but what ``finish`` does.

        Args:
            inputs: Float32, shape ``(T, d)``.
            prefix: Keys and values of the prefix, shape ``(2, H, P, head_dim)``.
            chunk: The suffixes.
            ends_only: Whether only the suffixes' ends are wanted, as of the last block.
        """
        projected, normed, mean_1, deviation_1 = self.project(inputs, self.width if ends_only else 0)
        queries, residual = None, inputs
        if ends_only:
            queries = self._linear_in(normed.index_select(0, chunk.ends), slice(self.width))
            residual = inputs.index_select(0, chunk.ends)
        attended, groups = attend(queries, projected, prefix, chunk)
        inner = _add_linear(residual, attended, self.attn_out, self.scale_1)
        normed, mean_2, deviation_2 = _norm(self.norm_2, inner, self.mlp_in[0].dtype)
        hidden = F.linear(normed, *self.mlp_in)
        return BlockState(inputs, inner, hidden, (mean_1, deviation_1, mean_2, deviation_2), groups)

    def forward_again(
        self,
        inputs: Tensor,
        inner: Tensor,
        weights: Sequence[Tensor],
        prefix: Tensor,
        chunk: SuffixChunk,
        ends_only: bool = False,
    ) -> BlockState:
        """What ``forward`` returned, from those parts of it that are small for what they cost: without attention.

        Args:
            inputs: As there.
            inner: Of the state.
            weights: Of the state's groups.
            prefix: As there.
            chunk: As there.
            ends_only: As there.
        """
        projected, normed, mean_1, deviation_1 = self.project(inputs, self.width if ends_only else 0)
        queries = None
        if ends_only:
            queries = self._linear_in(normed.index_select(0, chunk.ends), slice(self.width))
        groups = attend_again(queries, projected, weights, prefix, chunk)
        normed, mean_2, deviation_2 = _norm(self.norm_2, inner, self.mlp_in[0].dtype)
        hidden = F.linear(normed, *self.mlp_in)
        return BlockState(inputs, inner, hidden, (mean_1, deviation_1, mean_2, deviation_2), groups)

    def finish(self, state: BlockState) -> Tensor:
        """The block's output: nothing of this is needed by the backward pass."""
        return _add_linear(state.inner, _activate(state.hidden, self.activation), self.mlp_out, self.scale_2)

    def backward(
        self,
        gradient: Tensor,
        state: BlockState,
        prefix: Tensor,
        prefix_gradient: Tensor | None,
        chunk: SuffixChunk,
        ends_only: bool = False,
        own_gradient: Tensor | None = None,
        inputs_too: bool = True,
    ) -> Tensor | None:
        """Gradient of the inputs from that of the output.

        Args:
            gradient: Float32, as the output.
            state: What ``forward`` returned.
            prefix: As there.
            prefix_gradient: Float32; the gradient of ``prefix`` is added to it, unless ``None``.
            chunk: As there.
            ends_only: As there.
            own_gradient: Further gradient of this chunk's own keys and values, shape ``(T, 2 d)``: that of the suffixes
                behind it, if the chunk is the prefix.
            inputs_too: Whether the gradient of the inputs is wanted; without it, only ``prefix_gradient`` is computed.
        """
        mean_1, deviation_1, mean_2, deviation_2 = state.statistics
        hidden = _activate_backward(
            _linear_backward(gradient, self.mlp_out, self.scale_2), state.hidden, self.activation
        )
        inner = _norm_backward(self.norm_2, hidden @ self.mlp_in[0], state.inner, mean_2, deviation_2).add_(gradient)
        attended = _linear_backward(inner, self.attn_out, self.scale_1)
        queries, projected = attend_backward(attended, state.groups, prefix, prefix_gradient, chunk, ends_only)
        if not inputs_too:
            return None
        if own_gradient is not None:
            projected[:, -own_gradient.shape[1] :] += own_gradient
        if not ends_only:
            return self.project_backward(projected, state.inputs, mean_1, deviation_1).add_(inner)
        normed = projected @ self.attn_in[0][self.width :]
        normed.index_add_(0, chunk.ends, queries @ self.attn_in[0][: self.width])
        inputs = _norm_backward(self.norm_1, normed, state.inputs, mean_1, deviation_1)
        return inputs.index_add_(0, chunk.ends, inner)

    def _linear_in(self, normed: Tensor, rows: slice) -> Tensor:
        weight, bias = self.attn_in
        return F.linear(normed, weight[rows], None if bias is None else bias[rows])


def _norm(norm: nn.LayerNorm, inputs: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor, Tensor]:
    normed, mean, deviation = torch.native_layer_norm(inputs, norm.normalized_shape, norm.weight, norm.bias, norm.eps)
    return normed.to(dtype), mean, deviation


def _norm_backward(norm: nn.LayerNorm, gradient: Tensor, inputs: Tensor, mean: Tensor, deviation: Tensor) -> Tensor:
    inputs_gradient: Tensor = torch.ops.aten.native_layer_norm_backward(
        gradient.float(), inputs, norm.normalized_shape, mean, deviation, norm.weight, norm.bias, [True, False, False]
    )[0]
    return inputs_gradient


def _add_linear(residual: Tensor, inputs: Tensor, linear: Linear, scale: Tensor | None) -> Tensor:
    weight, bias = linear
    if scale is None and weight.dtype == residual.dtype:
        total = torch.addmm(residual, inputs, weight.T)
        return total if bias is None else total.add_(bias)
    outputs = F.linear(inputs, weight, bias).float()
    return residual + (outputs if scale is None else outputs * scale)


def _linear_backward(gradient: Tensor, linear: Linear, scale: Tensor | None) -> Tensor:
    weight = linear[0]
    return (gradient if scale is None else gradient * scale).to(weight.dtype) @ weight


def _activate(hidden: Tensor, activation: str) -> Tensor:
    if activation == "quick":
        return hidden * torch.sigmoid(1.702 * hidden)
    return F.gelu(hidden, approximate=activation)


def _activate_backward(gradient: Tensor, hidden: Tensor, activation: str) -> Tensor:
    if activation == "quick":
        # SiLU at 1.702 h is 1.702 times QuickGELU at h, so their derivatives are equal
        quick: Tensor = torch.ops.aten.silu_backward(gradient, 1.702 * hidden)
        return quick
    exact: Tensor = torch.ops.aten.gelu_backward(gradient, hidden, approximate=activation)
    return exact
