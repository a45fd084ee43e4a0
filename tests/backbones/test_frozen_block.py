import pytest
import torch
from open_clip.transformer import CustomResidualAttentionBlock, QuickGELU, ResidualAttentionBlock
from torch import nn

from fgvr.backbones.frozen_block import BlockState
from fgvr.backbones.open_clip_blocks import _read_block
from fgvr.backbones.suffixes import SuffixChunk

LENGTH, WIDTH, HEADS = 6, 16, 2


@pytest.mark.parametrize("kind", [ResidualAttentionBlock, CustomResidualAttentionBlock])
@pytest.mark.parametrize("options", [{}, {"ls_init_value": 0.5}, {"act_layer": QuickGELU}])
@pytest.mark.parametrize("ends_only", [False, True])
def test_one_text_is_as_through_the_block_itself(kind, options, ends_only):
    torch.manual_seed(0)
    module = kind(WIDTH, HEADS, **options).eval()
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.5)
    block = _read_block(module.requires_grad_(False), torch.float32)
    chunk = SuffixChunk([tuple(range(LENGTH))], 0, torch.device("cpu"))
    prefix = torch.zeros(2, HEADS, 0, WIDTH // HEADS)

    inputs = torch.randn(LENGTH, WIDTH, requires_grad=True)
    mask = torch.full((LENGTH, LENGTH), -torch.inf).triu(1)
    expected = module(inputs.unsqueeze(0), attn_mask=mask)[0]
    expected = expected[-1:] if ends_only else expected
    gradient = torch.randn(expected.shape)
    (wanted,) = torch.autograd.grad(expected, inputs, gradient)
    with torch.no_grad():
        state = BlockState.of(block.forward(inputs, prefix, chunk, ends_only).tensors())
        torch.testing.assert_close(block.finish(state), expected, atol=1e-4, rtol=1e-4)
        found = block.backward(gradient, state, prefix, None, chunk, ends_only)
    assert (found - wanted).norm() < 1e-5 * wanted.norm()


def test_gradient_of_the_prefix_alone():
    torch.manual_seed(0)
    block = _read_block(ResidualAttentionBlock(WIDTH, HEADS).requires_grad_(False), torch.float32)
    chunk = SuffixChunk([(1, 2), (1, 3)], 4, torch.device("cpu"))
    prefix, inputs = torch.randn(2, HEADS, 4, WIDTH // HEADS), torch.randn(3, WIDTH)
    state = block.forward(inputs, prefix, chunk)
    gradient, both, alone = torch.randn(3, WIDTH), torch.zeros_like(prefix), torch.zeros_like(prefix)
    assert block.backward(gradient, state, prefix, both, chunk) is not None
    assert block.backward(gradient, state, prefix, alone, chunk, inputs_too=False) is None
    assert torch.equal(both, alone)
    assert both.any()
