import pytest
import torch

from fgvr.backbones.path_attention import attend, attend_backward
from fgvr.backbones.suffixes import SuffixChunk

HEADS, DIM = 2, 3
SUFFIXES = [(4, 5, 6, 9), (4, 5, 9), (4, 8, 9), (7, 9), (9,)]


def reference(queries, keys, values, prefix, chunk, ends_only):
    """softmax(q k / sqrt(d)) v, one query and one head at a time."""
    outputs = {}
    rest = chunk.path.tolist()
    for number, length in chunk.groups:
        for _ in range(number):
            path, rest = rest[:length], rest[length:]
            for i, node in enumerate(path):
                if ends_only and i < length - 1:
                    continue
                heads = []
                for h in range(HEADS):
                    part = slice(h * DIM, (h + 1) * DIM)
                    seen_keys = torch.cat((prefix[0, h], keys[path[: i + 1], part]))
                    seen_values = torch.cat((prefix[1, h], values[path[: i + 1], part]))
                    weights = (seen_keys @ queries[node, part] / DIM**0.5).softmax(0)
                    heads.append(weights @ seen_values)
                outputs[node] = torch.cat(heads)
    order = chunk.ends.tolist() if ends_only else range(len(chunk.tokens))
    return torch.stack([outputs[node] for node in order])


@pytest.mark.parametrize("ends_only", [False, True])
@pytest.mark.parametrize("shared", [0, 5])
def test_output_and_gradients(ends_only, shared):
    chunk = SuffixChunk(SUFFIXES, shared, torch.device("cpu"))
    draw, width = torch.Generator().manual_seed(0), HEADS * DIM
    parts = [torch.randn(len(chunk.tokens), width, generator=draw, dtype=torch.float64) for _ in range(3)]
    prefix = torch.randn(2, HEADS, shared, DIM, generator=draw, dtype=torch.float64)
    for tensor in (*parts, prefix):
        tensor.requires_grad_()
    expected = reference(*parts, prefix, chunk, ends_only)
    gradient = torch.randn(expected.shape, generator=draw, dtype=torch.float64)
    wanted = torch.autograd.grad(expected, (*parts, prefix), gradient, allow_unused=True)

    with torch.no_grad():
        if ends_only:
            found, groups = attend(parts[0][chunk.ends], torch.cat(parts[1:], 1), prefix, chunk)
        else:
            found, groups = attend(None, torch.cat(parts, 1), prefix, chunk)
        torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)
        collected = torch.zeros(prefix.shape)
        queries, projected = attend_backward(gradient, groups, prefix, collected, chunk, ends_only)
    if ends_only:
        torch.testing.assert_close(queries, wanted[0][chunk.ends], atol=1e-6, rtol=1e-5)
        torch.testing.assert_close(projected, torch.cat(wanted[1:3], 1), atol=1e-6, rtol=1e-5)
    else:
        torch.testing.assert_close(projected, torch.cat(wanted[:3], 1), atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(collected.double(), wanted[3], atol=1e-6, rtol=1e-5)
