import pytest
import torch
from open_clip.transformer import Attention, QuickGELU, TextTransformer
from torch import nn

from fgvr.backbones.open_clip_blocks import read_blocks, unknown_part


def make_tower(**options):
    return TextTransformer(width=16, heads=2, layers=2, output_dim=8, vocab_size=50, **options)


@pytest.mark.parametrize("options", [{}, {"ls_init_value": 0.1}, {"act_layer": QuickGELU}, {"block_type": "custom"}])
def test_known(options):
    assert unknown_part(make_tower(**options)) is None


class Linear(nn.Linear):
    """What an adapter would put in place of a layer."""


def replaced(**parts):
    tower = make_tower()
    for name, part in parts.items():
        setattr(tower.transformer.resblocks[1], name, part)
    return tower


def with_mask(mask):
    tower = make_tower()
    tower.attn_mask = mask
    return tower


def with_replaced_layer():
    tower = make_tower()
    tower.transformer.resblocks[1].mlp.c_fc = Linear(16, 64)
    return tower


@pytest.mark.parametrize(
    ("tower", "words"),
    [
        (make_tower(no_causal_mask=True), "no causal mask"),
        (with_mask(torch.zeros(77, 77)), "no causal mask"),
        (make_tower().half(), "weights in torch.float16"),
        (make_tower(scale_heads=True), "attention with scales"),
        (make_tower(qk_norm=True), "attention with norms"),
        (make_tower(scale_attn_inner=True), "attention with norms"),
        (make_tower(scale_attn=True), "a further LayerNorm"),
        (make_tower(scale_fc=True), "a further LayerNorm"),
        (make_tower(act_layer=nn.SiLU), "a further SiLU"),
        (with_replaced_layer(), "a further Linear"),
        (replaced(attn=nn.MultiheadAttention(16, 2, add_zero_attn=True)), "attention with options"),
        (replaced(attn=nn.MultiheadAttention(16, 2, dropout=0.1)), "attention with options"),
        (replaced(attn=Attention(16, 2, attn_drop=0.1)), "attention with dropout"),
        (replaced(attn=nn.Identity()), "attention of class Identity"),
        (type("Tower", (TextTransformer,), {})(width=16, heads=2, layers=1, vocab_size=50), "the class Tower"),
    ],
)
def test_unknown(tower, words):
    assert words in unknown_part(tower)


def test_weights_are_read_without_copies_and_without_gradients():
    tower = make_tower()
    blocks = read_blocks(tower.transformer, torch.float32)
    assert len(blocks) == 2
    weight = tower.transformer.resblocks[0].attn.in_proj_weight
    assert blocks[0].attn_in[0].data_ptr() == weight.data_ptr()
    assert not blocks[0].attn_in[0].requires_grad
    assert read_blocks(tower.transformer, torch.bfloat16)[0].mlp_out[0].dtype == torch.bfloat16
    assert (blocks[0].width, blocks[0].heads) == (16, 2)


def test_attention_without_bias():
    tower = make_tower()
    tower.transformer.resblocks[0].attn = Attention(16, 2, qkv_bias=False)
    assert unknown_part(tower) is None
    assert read_blocks(tower.transformer, torch.float32)[0].attn_in[1] is None
