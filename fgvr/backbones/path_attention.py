"""Causal attention of suffixes to a shared prefix and to themselves, forward and backward.

A query at place i of a suffix sees the P keys of the prefix and keys 0..i of its own suffix. The products with the
prefix are one for all suffixes of a length, without copies of the prefix's keys and values; those within suffixes are
batched over heads and suffixes of equal length, so that nothing is padded.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from fgvr.backbones.suffixes import SuffixChunk


class AttendedGroup(NamedTuple):
    """What the backward pass needs of G suffixes of length S; queries are of all tokens (Q = S) or the last (Q = 1).

    Attributes:
        queries: Shape ``(H, G * Q, head_dim)``.
        keys: Shape ``(H, G * S, head_dim)``.
        values: Shape ``(H, G * S, head_dim)``.
        weights: Float32 attention weights on prefix and suffix, shape ``(H, G, Q, P + S)``.
    """

    queries: Tensor
    keys: Tensor
    values: Tensor
    weights: Tensor


def attend(
    queries: Tensor | None, projected: Tensor, prefix: Tensor, chunk: SuffixChunk
) -> tuple[Tensor, list[AttendedGroup]]:
    """Values averaged with weights softmax(q k / sqrt(head_dim)), before the output projection.

    Args:
        queries: Queries of the suffixes' ends, shape ``(B, d)``; ``None`` if all nodes have queries.
        projected: Queries, keys and values of the nodes, shape ``(T, 3 d)``; with ``queries``, keys and values alone,
            shape ``(T, 2 d)``.
        prefix: Keys and values of the prefix, shape ``(2, H, P, head_dim)``.
        chunk: The suffixes.

    Returns:
        Shape ``(T, d)``, or ``(B, d)`` for the ends; and what ``attend_backward`` needs.
    """
    outputs, groups = [], []
    for (number, _), (query, keys, values) in zip(
        chunk.groups, _by_length(queries, projected, prefix, chunk), strict=True
    ):
        output, weights = _attend_group(query, keys, values, prefix, number, causal=queries is None)
        groups.append(AttendedGroup(query, keys, values, weights))
        outputs.append(output.transpose(0, 1).flatten(1))
    attended = torch.cat(outputs)
    if queries is None and len(chunk.again):
        attended = attended.index_select(0, chunk.first)
    return attended, groups


def attend_again(
    queries: Tensor | None, projected: Tensor, weights: Sequence[Tensor], prefix: Tensor, chunk: SuffixChunk
) -> list[AttendedGroup]:
    """What ``attend`` returned for ``attend_backward``, where the weights were kept: without attention.

    Args:
        queries: As there.
        projected: As there.
        weights: Those of each group.
        prefix: As there.
        chunk: As there.
    """
    parts = _by_length(queries, projected, prefix, chunk)
    return [AttendedGroup(*part, on) for part, on in zip(parts, weights, strict=True)]


def _by_length(
    queries: Tensor | None, projected: Tensor, prefix: Tensor, chunk: SuffixChunk
) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Queries, keys and values of the suffixes of each length, with their heads split."""
    rows = chunk.spread(projected)
    start = end = 0
    for number, length in chunk.groups:
        parts = split_heads(rows[start : start + number * length], prefix)
        query = parts[0] if queries is None else split_heads(queries[end : end + number], prefix)[0]
        yield query, parts[-2], parts[-1]
        start, end = start + number * length, end + number


def attend_backward(
    gradient: Tensor,
    groups: list[AttendedGroup],
    prefix: Tensor,
    prefix_gradient: Tensor | None,
    chunk: SuffixChunk,
    ends_only: bool,
) -> tuple[Tensor, Tensor]:
    """Gradients of what went into ``attend``.

    Args:
        gradient: That of its output.
        groups: What it returned.
        prefix: As there.
        prefix_gradient: Float32; the gradient of ``prefix`` is added to it, unless ``None``.
        chunk: As there.
        ends_only: Whether ``queries`` were given.

    Returns:
        Those of ``queries`` (an empty tensor where there were none) and of ``projected``.
    """
    heads, head_dim = prefix.shape[1], prefix.shape[3]
    if not ends_only and len(chunk.again):
        # a node's output was taken from its first row, so the others have no gradient
        spread = gradient.new_zeros(len(chunk.path), gradient.shape[1])
        gradient = spread.index_copy_(0, chunk.first, gradient)
    rows = gradient.new_empty(len(chunk.path), 2 if ends_only else 3, heads, head_dim)
    query_rows = gradient.new_empty(len(gradient) if ends_only else 0, heads, head_dim)
    target = query_rows if ends_only else rows[:, 0]
    start = end = 0
    for (number, length), group in zip(chunk.groups, groups, strict=True):
        stop, query_stop = start + number * length, end + group.queries.shape[1]
        (part,) = split_heads(gradient[end:query_stop], prefix)
        parts = _attend_group_backward(part, group, prefix, prefix_gradient)
        for place, values in zip(
            (target[end:query_stop], rows[start:stop, -2], rows[start:stop, -1]), parts, strict=True
        ):
            place.copy_(values.transpose(0, 1))
        start, end = stop, query_stop
    return query_rows.flatten(1), chunk.collect(rows.flatten(1))


def split_heads(rows: Tensor, prefix: Tensor) -> Tensor:
    """``(N, n * d)`` -> ``(n, H, N, head_dim)``, contiguous, with the heads of ``prefix``."""
    heads, head_dim = prefix.shape[1], prefix.shape[3]
    return rows.view(len(rows), -1, heads, head_dim).permute(1, 2, 0, 3).contiguous()


def _attend_group(
    queries: Tensor, keys: Tensor, values: Tensor, prefix: Tensor, number: int, causal: bool
) -> tuple[Tensor, Tensor]:
    heads, rows, head_dim = queries.shape
    per_suffix = (heads * number, -1, head_dim)
    shape = (heads, number, rows // number, -1)
    scores = torch.cat(
        (
            torch.bmm(queries, prefix[0].transpose(1, 2)).view(shape),
            torch.bmm(queries.view(per_suffix), keys.view(per_suffix).transpose(1, 2)).view(shape),
        ),
        dim=-1,
    )
    scores = scores.float().mul_(head_dim**-0.5)
    if causal:
        length = rows // number
        later = torch.ones(length, length, dtype=torch.bool, device=scores.device).triu_(1)
        scores[..., prefix.shape[2] :].masked_fill_(later, -torch.inf)
    weights = scores.softmax(-1)
    on_prefix, on_suffix = _split_weights(weights.to(queries.dtype), prefix)
    output = torch.bmm(on_prefix, prefix[1])
    output.view(per_suffix).baddbmm_(on_suffix, values.view(per_suffix))
    return output, weights


def _attend_group_backward(
    gradient: Tensor, group: AttendedGroup, prefix: Tensor, prefix_gradient: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    queries, keys, values, weights = group
    heads, number, _, _ = weights.shape
    head_dim = queries.shape[2]
    per_suffix = (heads * number, -1, head_dim)
    on_prefix, on_suffix = _split_weights(weights.to(queries.dtype), prefix)
    shape = (*weights.shape[:3], -1)
    weight_gradient = torch.cat(
        (
            torch.bmm(gradient, prefix[1].transpose(1, 2)).view(shape),
            torch.bmm(gradient.view(per_suffix), values.view(per_suffix).transpose(1, 2)).view(shape),
        ),
        dim=-1,
    )
    # of the softmax: w * (g - sum(w * g)), where masked weights are zero
    scores = torch._softmax_backward_data(weight_gradient.float(), weights, -1, torch.float32)
    from_prefix, from_suffix = _split_weights(scores.mul_(head_dim**-0.5).to(queries.dtype), prefix)
    if prefix_gradient is not None:
        prefix_gradient[0] += torch.bmm(from_prefix.transpose(1, 2), queries)
        prefix_gradient[1] += torch.bmm(on_prefix.transpose(1, 2), gradient)
    query_gradient = torch.bmm(from_prefix, prefix[0])
    query_gradient.view(per_suffix).baddbmm_(from_suffix, keys.view(per_suffix))
    key_gradient = torch.bmm(from_suffix.transpose(1, 2), queries.view(per_suffix))
    value_gradient = torch.bmm(on_suffix.transpose(1, 2), gradient.view(per_suffix))
    return query_gradient, key_gradient.view_as(keys), value_gradient.view_as(values)


def _split_weights(weights: Tensor, prefix: Tensor) -> tuple[Tensor, Tensor]:
    """Views of ``(H, G, Q, P + S)``: on the prefix, ``(H, G * Q, P)``, and on the suffix, ``(H * G, Q, S)``."""
    length = prefix.shape[2]
    return weights.flatten(1, 2)[..., :length], weights.flatten(0, 1)[..., length:]
