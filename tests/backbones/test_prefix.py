"""The shared prefix against all 77 tokens of every prompt through open_clip's own modules."""

import logging

import open_clip
import pytest
import torch
import torch.nn.functional as F
from open_clip.transformer import TextTransformer
from torch import nn

from fgvr.backbones import open_clip_prompts as module
from fgvr.backbones import prefix
from fgvr.backbones.open_clip_prompts import OpenClipPromptEncoder

SIZES = {"width": 32, "heads": 2, "layers": 3, "output_dim": 24}
N_CTX = 5
TOKENIZER = open_clip.get_tokenizer("ViT-B-32")
NAMES = [
    *("cat", "Great Pyrenees", "Great Grey Owl", "Great Grey Shrike", "St. Bernard", "1967 Ford Mustang Convertible"),
    *("cat", "Great_Pyrenees", "Côte d'Or wine", "1967 Ford Mustang"),
]
TOWERS = {
    "gelu": {},
    "quick_gelu": {"act_layer": open_clip.transformer.QuickGELU},
    "tanh": {"act_layer": lambda: nn.GELU(approximate="tanh")},
    "layer_scale": {"ls_init_value": 0.3},
    "own_attention": {"block_type": "custom"},
    "norm_fp32": {"norm_layer": lambda width: open_clip.transformer.LayerNormFp32(width, eps=1e-3)},
    "linear_projection": {"proj_bias": True},
    "no_projection": {"proj_type": "none"},
    "one_layer": {"layers": 1},
}


def make_tower(**options):
    torch.manual_seed(0)
    tower = TextTransformer(**SIZES | options)
    for name, parameter in tower.named_parameters():
        # biases start at 0 and norms at 1, where a mistake would not be seen
        if parameter.dim() == 1:
            nn.init.normal_(parameter, mean=float("ln" in name and "weight" in name), std=0.2)
        elif "resblocks" in name:
            nn.init.normal_(parameter, std=0.2)
    return tower.eval().requires_grad_(False)


def make_encoder(tower, names=NAMES, position="end", batch_size=256, **options):
    encoder = OpenClipPromptEncoder(tower, TOKENIZER, batch_size, **options)
    encoder.prepare(names, N_CTX, position)
    return encoder


def make_context(n_ctx=N_CTX):
    return (0.1 * torch.randn(n_ctx, 32, generator=torch.Generator().manual_seed(1))).requires_grad_()


def plain(tower, names, context, position):
    """CoOp's computation: all 77 tokens, the context in place of placeholders."""
    before = {"end": N_CTX, "middle": N_CTX // 2, "front": 0}[position]
    features = []
    for name in names:
        words = TOKENIZER.encode(name.replace("_", " "))
        stop = TOKENIZER.encode(name.replace("_", " ") + ".")[len(words) :]
        ids = [TOKENIZER.sot_token_id, *words, *stop, TOKENIZER.eot_token_id]
        x = tower.token_embedding(torch.tensor(ids))
        end = 1 + len(words)
        x = torch.cat((x[:1], context[:before], x[1:end], context[before:], x[end:]))
        last = len(x) - 1
        x = (
            torch.cat((x, tower.token_embedding(torch.zeros(77 - len(x), dtype=torch.int64))))
            + tower.positional_embedding
        )
        x = tower.ln_final(tower.transformer(x.unsqueeze(0), attn_mask=tower.attn_mask))[0, last]
        if isinstance(tower.text_projection, nn.Linear):
            x = tower.text_projection(x)
        elif tower.text_projection is not None:
            x = x @ tower.text_projection
        features.append(F.normalize(x, dim=0))
    return torch.stack(features)


def check_equal(encoder, tower, names, position, context=None):
    context = make_context() if context is None else context
    found, expected = encoder(context), plain(tower, names, context, position)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    target = torch.randn(expected.shape, generator=torch.Generator().manual_seed(2))
    (gradient,) = torch.autograd.grad((found * target).sum(), context)
    (wanted,) = torch.autograd.grad((expected * target).sum(), context)
    assert (gradient - wanted).norm() < 1e-4 * wanted.norm()


@pytest.mark.parametrize("position", ["end", "middle", "front"])
@pytest.mark.parametrize("kind", TOWERS)
def test_features_and_gradients(kind, position):
    tower = make_tower(**TOWERS[kind])
    encoder = make_encoder(tower, position=position)
    assert encoder.shared is not None
    check_equal(encoder, tower, NAMES, position)


@pytest.mark.parametrize("position", ["end", "middle", "front"])
@pytest.mark.parametrize("keep_bytes", [0, 10_000, 35_000, 115_000, 10**9])
def test_chunks_and_what_is_kept_make_no_difference(keep_bytes, position):
    tower = make_tower()
    check_equal(make_encoder(tower, position=position, batch_size=2, keep_bytes=keep_bytes), tower, NAMES, position)


def test_budget_between_nothing_and_all(monkeypatch):
    encoder, kept = make_encoder(make_tower(), batch_size=2), []
    sizes = []
    real = prefix._sizes
    monkeypatch.setattr(prefix, "_sizes", lambda *args: sizes.append(real(*args)) or sizes[-1])
    real_keep = prefix._what_to_keep
    monkeypatch.setattr(prefix, "_what_to_keep", lambda *args: kept.append(real_keep(*args)) or kept[-1])
    encoder(make_context())
    assert set(kept[-1]) == {prefix._Keep.ALL}
    levels = [prefix._Keep.INPUTS, prefix._Keep.ATTENDED, prefix._Keep.ALL]
    totals = [0, *(sum(size[level] for size in sizes) for level in levels)]
    assert totals == sorted(totals)
    for level in levels:  # half way from one level to the next
        encoder.shared.keep_bytes = (totals[level - 1] + totals[level]) // 2
        encoder(make_context())
        assert set(kept[-1]) == {level - 1, level}


@pytest.mark.parametrize("names", [["cat"], ["cat", "cat"], ["oat milk", "oat bread"]])
def test_names_that_are_all_alike_at_first(names):
    tower = make_tower()
    check_equal(make_encoder(tower, names), tower, names, "end")


def test_prefix_runs_once():
    encoder = make_encoder(make_tower())
    assert len(encoder.shared.prefix.tokens) == 1 + N_CTX
    assert len(make_encoder(make_tower(), position="middle").shared.prefix.tokens) == 1 + N_CTX // 2
    assert len(make_encoder(make_tower(), position="front").shared.prefix.tokens) == 1


def test_backward_twice():
    encoder, context = make_encoder(make_tower()), make_context()
    total = encoder(context)[:, 0].sum()
    (first,) = torch.autograd.grad(total, context, retain_graph=True)
    (second,) = torch.autograd.grad(total, context)
    assert torch.equal(first, second)


def test_without_gradients_nothing_is_kept(monkeypatch):
    encoder, context = make_encoder(make_tower()), make_context()
    expected = encoder(context).detach()
    monkeypatch.setattr("fgvr.backbones.prefix._what_to_keep", None)
    for mode in (torch.no_grad(), torch.inference_mode()):
        with mode:
            assert torch.equal(encoder(context), expected)


def test_class_specific_contexts_take_the_plain_path():
    encoder, context = make_encoder(make_tower()), make_context()
    copies = context.detach().expand(len(NAMES), -1, -1)
    encoder.shared.forward = None
    torch.testing.assert_close(encoder(copies), plain(encoder.tower, NAMES, context, "end"), atol=1e-5, rtol=0)


def test_weights_that_learn_take_the_plain_path():
    tower = make_tower()
    encoder = make_encoder(tower)
    weight = tower.transformer.resblocks[0].mlp.c_fc.weight.requires_grad_()
    encoder(make_context())[:, 0].sum().backward()
    assert weight.grad.any()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast_keeps_features_and_gradients_in_float32(dtype):
    encoder, context = make_encoder(make_tower()), make_context()
    (exact,) = torch.autograd.grad(encoder(context)[:, 0].sum(), context)
    with torch.autocast("cpu", dtype=dtype):
        features = encoder(context)
    assert features.dtype == torch.float32
    torch.testing.assert_close(features.norm(dim=1), torch.ones(len(NAMES)), atol=1e-5, rtol=0)
    assert (features - encoder(context)).abs().max() < 0.05
    features[:, 0].sum().backward()
    assert context.grad.dtype == torch.float32
    assert (context.grad - exact).norm() < 0.1 * exact.norm()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"no_causal_mask": True}, "no causal mask"),
        ({"qk_norm": True}, "attention with norms"),
    ],
)
def test_unknown_towers_take_the_plain_path_and_the_log_says_so_once(options, words, caplog):
    module._log_once.cache_clear()
    tower = make_tower(**options)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            encoder = make_encoder(tower)
    assert encoder.shared is None
    assert [words in record.message for record in caplog.records] == [True]
    context = make_context()
    if "no_causal_mask" not in options:
        torch.testing.assert_close(encoder(context), plain(tower, NAMES, context, "end"), atol=1e-5, rtol=0)
