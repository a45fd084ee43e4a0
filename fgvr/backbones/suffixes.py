"""What remains of prompts behind their common beginning, as tries whose nodes are the tokens that must run."""

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor, nn

Prompt = tuple[int, ...]
"""A prompt's tokens: an id of 0 or more, or -1 - i for the context vector i."""


class SuffixChunk(nn.Module):
    """Suffixes that go through the tower together: a trie, and the path of each suffix through it.

    A node is a token with all that is before it, so under a causal mask its state is the same in every prompt that has
    it: names that begin alike share the nodes of that beginning. Attention wants whole suffixes; these are grouped by
    length, so that none is padded.

    Args:
        suffixes: At least one token each, no two alike.
        offset: Tokens before each suffix.
        device: Where the index tensors go.

    Attributes:
        tokens: int64, shape ``(T,)``: token ids of the nodes, 0 for context vectors.
        positions: int64, shape ``(T,)``: a node's place in its prompts.
        slots: int64, shape ``(2, M)``: nodes that are context vectors, and which ones.
        path: int64, shape ``(E,)``: nodes of all suffixes, one suffix after the other, the shorter ones first. The
            nodes are numbered as they come here.
        first: int64, shape ``(T,)``: where in ``path`` a node is for the first time.
        again: int64, shape ``(E - T,)``: where in ``path`` are nodes that were there before.
        ends: int64, shape ``(B,)``: last node of each suffix.
        groups: Number and length of the suffixes, for each length.
        order: Index into ``suffixes`` of each row of ``ends``.
    """

    tokens: Tensor
    positions: Tensor
    slots: Tensor
    path: Tensor
    first: Tensor
    again: Tensor
    ends: Tensor

    def __init__(self, suffixes: Sequence[Prompt], offset: int, device: torch.device) -> None:
        super().__init__()
        self.order = sorted(range(len(suffixes)), key=lambda i: len(suffixes[i]))
        nodes: dict[tuple[int, int], int] = {}  # the node before, and the token
        path, first, again, positions, ends = (list[int]() for _ in range(5))
        for i in self.order:
            node = -1
            for depth, token in enumerate(suffixes[i]):
                key = (node, token)
                if key in nodes:
                    again.append(len(path))
                else:
                    nodes[key] = len(nodes)
                    first.append(len(path))
                    positions.append(offset + depth)
                node = nodes[key]
                path.append(node)
            ends.append(node)
        lengths = [len(suffixes[i]) for i in self.order]
        self.groups = [(lengths.count(length), length) for length in sorted(set(lengths))]
        tokens = [token for _, token in nodes]
        slots = [(node, -1 - token) for node, token in enumerate(tokens) if token < 0]
        buffers = {
            "tokens": [max(token, 0) for token in tokens],
            "positions": positions,
            "slots": [[node for node, _ in slots], [slot for _, slot in slots]],
            "path": path,
            "first": first,
            "again": again,
            "ends": ends,
        }
        for name, values in buffers.items():
            self.register_buffer(name, torch.tensor(values, dtype=torch.int64, device=device), persistent=False)

    def spread(self, nodes: Tensor) -> Tensor:
        """Rows of nodes -> rows of ``path``, ``(T, d)`` -> ``(E, d)``."""
        return nodes.index_select(0, self.path) if len(self.again) else nodes

    def collect(self, rows: Tensor) -> Tensor:
        """The transpose of ``spread``: a node gets the sum of its rows, ``(E, d)`` -> ``(T, d)``."""
        if not len(self.again):
            return rows
        nodes = rows.index_select(0, self.first)
        return nodes.index_add_(0, self.path[self.again], rows.index_select(0, self.again))


def common_length(prompts: Sequence[Prompt]) -> int:
    """Tokens that all ``prompts`` begin with; the last token of a prompt does not count, since it is its own suffix."""
    low, high = min(prompts), max(prompts)
    most = min(len(prompt) for prompt in prompts) - 1
    return next((i for i in range(most) if low[i] != high[i]), most)


def chunk_suffixes(
    prompts: Sequence[Prompt], batch_size: int, device: torch.device
) -> tuple[SuffixChunk | None, list[SuffixChunk], list[int]]:
    """Divide prompts into their common beginning and chunks of suffixes.

    Prompts that begin alike come into the same chunk, and equal ones are encoded once.

    Args:
        prompts: One a class.
        batch_size: Most suffixes in a chunk; chunks are equally large.
        device: Where the index tensors go.

    Returns:
        The common beginning as a chunk of one path (``None`` if there is none), the chunks, and for each prompt its
        row among the ends of all chunks.

    Example:
        >>> prompts = [(9, -1, 4, 8), (9, -1, 5, 8), (9, -1, 4, 8)]
        >>> prefix, chunks, rows = chunk_suffixes(prompts, 256, torch.device("cpu"))
        >>> prefix.slots.tolist(), chunks[0].tokens.tolist(), rows
        ([[1], [0]], [4, 8, 5, 8], [0, 1, 0])
    """
    unique = sorted(set(prompts))
    shared = common_length(unique)
    prefix = SuffixChunk([unique[0][:shared]], 0, device) if shared else None
    number = -(-len(unique) // batch_size)
    bounds = [len(unique) * i // number for i in range(number + 1)]
    chunks, row_of = [], {}
    for start, stop in itertools.pairwise(bounds):
        part = unique[start:stop]
        chunk = SuffixChunk([prompt[shared:] for prompt in part], shared, device)
        row_of.update({part[i]: start + row for row, i in enumerate(chunk.order)})
        chunks.append(chunk)
    return prefix, chunks, [row_of[prompt] for prompt in prompts]
