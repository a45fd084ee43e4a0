"""Reads the blocks of open_clip's causal text transformers."""

from typing import Any

import torch
from torch import Tensor, nn

from fgvr.backbones.frozen_block import FrozenBlock, Linear


def read_blocks(transformer: Any, dtype: torch.dtype) -> list[FrozenBlock]:
    """The blocks, with weights in ``dtype``; cheap enough to be done at every step.

    Args:
        transformer: A ``Transformer`` of open_clip of which nothing is unknown.
        dtype: What products are computed in.
    """
    return [_read_block(block, dtype) for block in transformer.resblocks]


def unknown_part(tower: Any) -> str | None:
    """What of a text tower is not known here, in words; ``None`` if all is.

    Classes are compared exactly: a subclass, or a layer that was replaced (low-rank adapters, quantisation), may
    compute something else.

    Args:
        tower: A ``CLIP`` or ``TextTransformer`` of open_clip, or something like it.
    """
    from open_clip import CLIP
    from open_clip.transformer import CustomResidualAttentionBlock, ResidualAttentionBlock, TextTransformer, Transformer

    for part, known in ((tower, (CLIP, TextTransformer)), (tower.transformer, (Transformer,))):
        if type(part) not in known:
            return f"the class {type(part).__name__}"
    mask = tower.attn_mask
    if mask is None or not torch.equal(mask, torch.full_like(mask, -torch.inf).triu(1)):
        return "no causal mask"
    dtypes = {parameter.dtype for parameter in (tower.token_embedding.weight, *tower.transformer.parameters())}
    if dtypes != {torch.float32}:
        return f"weights in {', '.join(sorted(str(dtype) for dtype in dtypes))}"
    for block in tower.transformer.resblocks:
        if type(block) not in (ResidualAttentionBlock, CustomResidualAttentionBlock):
            return f"blocks of class {type(block).__name__}"
        unknown = _unknown_in_attention(block.attn) or _unknown_in_block(block)
        if unknown is not None:
            return unknown
    return None


def _unknown_in_block(block: Any) -> str | None:
    from open_clip.transformer import LayerNorm, LayerNormFp32, LayerScale, QuickGELU

    norms = (nn.LayerNorm, LayerNorm, LayerNormFp32)
    scales = (nn.Identity, LayerScale)
    parts = [
        *((part, norms) for part in (block.ln_1, block.ln_2)),
        *((part, scales) for part in (block.ls_1, block.ls_2)),
        *((part, (nn.Linear,)) for part in (block.mlp.c_fc, block.mlp.c_proj)),
        (block.mlp.gelu, (nn.GELU, QuickGELU)),
        # of the custom block, for scale_attn and scale_fc
        (getattr(block, "ln_attn", None), (type(None), nn.Identity)),
        (getattr(block.mlp, "ln", None), (type(None), nn.Identity)),
    ]
    return next((f"a further {type(part).__name__}" for part, known in parts if type(part) not in known), None)


def _unknown_in_attention(attention: Any) -> str | None:
    from open_clip.transformer import Attention

    if type(attention) is nn.MultiheadAttention:
        options = attention.in_proj_weight is None or attention.bias_k is not None or attention.add_zero_attn
        return "attention with options" if options or attention.dropout else None
    if type(attention) is not Attention:
        return f"attention of class {type(attention).__name__}"
    if attention.logit_scale is not None or attention.head_scale is not None:
        return "attention with scales (scaled_cosine_attn, scale_heads)"
    if any(type(norm) is not nn.Identity for norm in (attention.ln_q, attention.ln_k, attention.ln_inner)):
        return "attention with norms (qk_norm, scale_attn_inner)"
    return "attention with dropout" if attention.attn_drop.p or attention.out_drop.p else None


def _read_block(block: Any, dtype: torch.dtype) -> FrozenBlock:
    def linear(weight: Tensor, bias: Tensor | None) -> Linear:
        return weight.detach().to(dtype), None if bias is None else bias.detach().to(dtype)

    attention, mlp = block.attn, block.mlp
    return FrozenBlock(
        heads=attention.num_heads,
        norm_1=block.ln_1,
        attn_in=linear(attention.in_proj_weight, attention.in_proj_bias),
        attn_out=linear(attention.out_proj.weight, attention.out_proj.bias),
        scale_1=getattr(block.ls_1, "gamma", None),
        norm_2=block.ln_2,
        mlp_in=linear(mlp.c_fc.weight, mlp.c_fc.bias),
        activation=getattr(mlp.gelu, "approximate", "quick"),
        mlp_out=linear(mlp.c_proj.weight, mlp.c_proj.bias),
        scale_2=getattr(block.ls_2, "gamma", None),
    )
