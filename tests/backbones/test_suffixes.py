import random

import pytest
import torch

from fgvr.backbones.suffixes import SuffixChunk, chunk_suffixes, common_length

CPU = torch.device("cpu")


def paths(chunk):
    """The suffixes of a chunk, read back from its trie."""
    slot_of = dict(zip(*chunk.slots.tolist(), strict=True))
    tokens = [-1 - slot_of[node] if node in slot_of else token for node, token in enumerate(chunk.tokens.tolist())]
    found, rest = [], chunk.path.tolist()
    for number, length in chunk.groups:
        for _ in range(number):
            found.append(tuple(tokens[node] for node in rest[:length]))
            rest = rest[length:]
    assert not rest
    return found


def test_names_that_begin_alike_share_nodes():
    chunk = SuffixChunk([(4, 5, 6, 9), (4, 5, 9), (7, 9)], 3, CPU)
    assert chunk.order == [2, 1, 0]
    assert chunk.groups == [(1, 2), (1, 3), (1, 4)]
    assert chunk.tokens.tolist() == [7, 9, 4, 5, 9, 6, 9]
    assert chunk.positions.tolist() == [3, 4, 3, 4, 5, 5, 6]
    assert chunk.path.tolist() == [0, 1, 2, 3, 4, 2, 3, 5, 6]
    assert chunk.first.tolist() == [0, 1, 2, 3, 4, 7, 8]
    assert chunk.again.tolist() == [5, 6]
    assert chunk.ends.tolist() == [1, 4, 6]


def test_equal_tokens_with_other_tokens_before_them_are_not_shared():
    chunk = SuffixChunk([(1, 3, 9), (2, 3, 9)], 0, CPU)
    assert len(chunk.tokens) == 6
    assert not len(chunk.again)


def test_collect_is_the_transpose_of_spread():
    chunk = SuffixChunk([(4, 5, 6, 9), (4, 5, 9), (4, 8, 9), (7, 9)], 3, CPU)
    draw = torch.Generator().manual_seed(0)
    nodes = torch.randn(len(chunk.tokens), 3, generator=draw)
    rows = torch.randn(len(chunk.path), 3, generator=draw)
    torch.testing.assert_close((chunk.spread(nodes) * rows).sum(), (nodes * chunk.collect(rows)).sum())


@pytest.mark.parametrize(
    ("prompts", "length"),
    [
        ([(9, 1, 2), (9, 1, 3)], 2),
        ([(9, 1), (9, 1, 3)], 1),
        ([(9, 1, 2)], 2),
        ([(9, 1, 2), (9, 1, 2)], 2),
        ([(1, 2), (3, 4)], 0),
    ],
)
def test_common_length(prompts, length):
    assert common_length(prompts) == length


@pytest.mark.parametrize("batch_size", [1, 7, 100])
def test_every_prompt_is_its_prefix_and_suffix(batch_size):
    draw = random.Random(0)
    prompts = [(99, -1, -2, *draw.choices(range(3), k=draw.randint(1, 4)), -3, 98) for _ in range(40)]
    prefix, chunks, rows = chunk_suffixes(prompts, batch_size, CPU)
    (start,) = paths(prefix)
    whole = [start + suffix for chunk in chunks for suffix in paths(chunk)]
    assert [whole[row] for row in rows] == prompts
    assert len(whole) == len(set(prompts)), "equal prompts are encoded once"
    assert max(len(chunk.ends) for chunk in chunks) <= batch_size
    assert max(len(chunk.ends) for chunk in chunks) - min(len(chunk.ends) for chunk in chunks) <= 1


def test_no_common_beginning():
    prefix, chunks, rows = chunk_suffixes([(1, 2), (3, 2)], 10, CPU)
    assert prefix is None
    assert paths(chunks[0]) == [(1, 2), (3, 2)]
    assert rows == [0, 1]
