"""Every family of models that open_clip builds: what works over it, and prompts against towers that are written out."""

import json

import open_clip
import pytest
import timm
import torch
import torch.nn.functional as F
from tiny.towers import small_timm, write_model, write_tokenizer
from torch import nn

from fgvr.backbones.open_clip import OpenClipBackbone
from fgvr.backbones.open_clip_prompts import WholePromptEncoder
from fgvr.backbones.open_clip_tokens import HubTokens, tokens_of
from fgvr.errors import FgvrError
from fgvr.heads.prompt import PromptHead
from fgvr.testing.backbones import check_backbone

# prompts share their beginning, the image tower takes visual prompts, there is something before its projection
FAMILIES = {
    "ViT-B-16-quickgelu": (True, True, True),  # OpenAI's, DFN's and MetaCLIP's
    "EVA02-B-16": (True, True, True),
    "PE-Core-T-16-384": (True, True, True),
    "convnext_tiny": (True, False, True),
    "MobileCLIP-B": (True, True, True),
    "ViT-L-14-worldwide": (True, True, True),
    "ViT-B-16-SigLIP": (False, True, False),
    "ViT-B-16-SigLIP2": (False, True, False),
    "ViT-L-14-CLIPA": (False, True, True),
    "MobileCLIP2-L-14": (False, True, True),
    "coca_ViT-B-32": (False, True, True),
    "coca_roberta-ViT-B-32": (False, True, True),
    "roberta-ViT-B-32": (False, True, True),
    "xlm-roberta-base-ViT-B-32": (False, True, True),
    "mt5-base-ViT-B-32": (False, True, True),
}
KNOWN = open_clip.list_models()  # the lowest versions of open_clip and timm know fewer


def is_known(name):
    kind = (open_clip.get_model_config(name) or {}).get("vision_cfg", {}).get("timm_model_name")
    return name in KNOWN and (kind is None or timm.is_model(kind))


FAMILIES = {name: expected for name, expected in FAMILIES.items() if is_known(name)}
WHOLE = [name for name, (shared, _, _) in FAMILIES.items() if not shared]
NAMES = ["tabby cat", "Great Pyrenees", "1967 Ford Mustang Convertible", "St. Bernard"]


@pytest.fixture(scope="module")
def load(tmp_path_factory):
    """Small models by the names of those that they are small ones of."""
    folder, loaded = tmp_path_factory.mktemp("towers"), {}

    def load(name):
        if name not in loaded:
            loaded[name] = OpenClipBackbone(*write_model(name, folder))
            loaded[name].load()
        return loaded[name]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(timm, "create_model", small_timm)
        yield load


@pytest.mark.parametrize("name", FAMILIES)
def test_contract(load, name):
    # RoBERTa's pieces of a word in the middle of a text are others than at its beginning, see below
    check_backbone(load(name), hard_words=None if "roberta" in name and "xlm" not in name else "a photo of a")


@pytest.mark.parametrize("name", FAMILIES)
def test_what_works_over_it(load, name):
    shared, prompted, visual = FAMILIES[name]
    backbone = load(name)
    encoder = backbone.prompt_encoder()
    encoder.prepare(NAMES, 4, "end")
    assert (getattr(encoder, "shared", None) is not None) == shared
    assert backbone.has_visual_space == visual
    if prompted:
        assert backbone.visual_prompt_encoder().depth > 0
    else:
        with pytest.raises(FgvrError, match="takes no visual prompts"):
            backbone.visual_prompt_encoder()


def run(tower, ids, words):
    """A text tower from embeddings on: positions, masks, blocks, pooling and projection, written out."""
    if hasattr(tower.transformer, "get_input_embeddings"):
        real = (ids != tower.config.pad_token_id).long()
        output = tower.transformer(inputs_embeds=words, attention_mask=real)
        return tower.proj(tower.pooler(output, real))
    length, mask = words.shape[1], tower.attn_mask
    if getattr(tower, "cls_emb", None) is not None:
        # CoCa: a class token at the end, a causal mask, and one of padding that is off by a place
        length += 1
        words = torch.cat([words, tower.cls_emb.expand(len(words), 1, -1)], dim=1)
        real = torch.cat([torch.ones(len(ids), 1, dtype=torch.bool), ids != 0], dim=1)
        mask = torch.full((length, length), -torch.inf).triu(1).expand(len(ids), -1, -1).clone()
        mask.masked_fill_(~real.unsqueeze(1), -torch.inf)
        mask = mask.repeat_interleave(tower.heads, 0)
    states = tower.transformer(words + tower.positional_embedding[:length], attn_mask=mask)
    pool = "last" if getattr(tower, "cls_emb", None) is not None else getattr(tower, "text_pool_type", None)
    if (pool or tower.pool_type) != "last":
        ends = tower.ln_final(states)[torch.arange(len(ids)), ids.argmax(1)]
    else:
        ends = tower.ln_final(states[:, -1])
    projection = tower.text_projection
    return projection(ends) if isinstance(projection, nn.Linear) else ends if projection is None else ends @ projection


def plain(backbone, context, position):
    """The tower's own tokens of a text with a word in place of each context vector, and the vectors in these places."""
    held = "a " * len(context)
    texts = [f"{name} {held.strip()}." if position == "front" else f"{held}{name}." for name in NAMES]
    ids = backbone._tokenizer(texts)
    tower = getattr(backbone.clip, "text", backbone.clip)
    inner = tower.transformer
    embed = inner.get_input_embeddings() if hasattr(inner, "get_input_embeddings") else tower.token_embedding
    tokens = tokens_of(backbone._tokenizer)
    start = len(tokens.around[0])
    rows = []
    for name, row in zip(NAMES, ids, strict=True):
        at = start + (len(tokens.words(name)) if position == "front" else 0)
        words = embed(row)
        rows.append(torch.cat([words[:at], context, words[at + len(context) :]]))
    return F.normalize(run(tower, ids, torch.stack(rows)), dim=-1)


@pytest.mark.parametrize("position", ["end", "front"])
@pytest.mark.parametrize("name", WHOLE)
def test_features_and_gradients_are_those_of_the_tower_from_embeddings_on(load, name, position):
    backbone = load(name)
    encoder = backbone.prompt_encoder()
    encoder.prepare(NAMES, 5, position)
    context = torch.randn(5, encoder.token_dim, generator=torch.Generator().manual_seed(1)).requires_grad_()
    found, expected = encoder(context), plain(backbone, context, position)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    target = torch.linspace(-1, 1, found.numel()).view_as(found)
    gradient, reference = (torch.autograd.grad((way * target).sum(), context)[0] for way in (found, expected))
    assert reference.abs().max() > 1e-3
    torch.testing.assert_close(gradient, reference, atol=1e-5, rtol=1e-5)


def test_words_behind_the_context_are_cut_as_behind_other_words(load):
    backbone = load("roberta-ViT-B-32")
    encoder = backbone.prompt_encoder()
    words = encoder.embed("a photo of a")
    encoder.prepare(NAMES, len(words), "end")
    expected = backbone.encode_text([f"a photo of a {name}." for name in NAMES])
    torch.testing.assert_close(encoder(words), expected, atol=1e-5, rtol=0)
    tokens = HubTokens(backbone._tokenizer)
    assert tokens.words("cat") != tokens.words("cat", behind=True)


@pytest.mark.parametrize("name", WHOLE)
def test_little_memory_makes_small_batches_and_no_difference(load, name):
    backbone, results = load(name), []
    for keep in (10**9, 1):
        encoder = WholePromptEncoder(backbone.clip, backbone._tokenizer, keep_bytes=keep)
        encoder.prepare(NAMES, 4, "end")
        context = torch.full((4, encoder.token_dim), 0.01, requires_grad=True)
        features = encoder(context)
        results.append((encoder.batch_size, features.detach(), *torch.autograd.grad(features[:, 0].sum(), context)))
    assert (results[0][0], results[1][0]) == (256, 1)
    for found, expected in zip(results[1][1:], results[0][1:], strict=True):
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_a_batch_is_as_large_as_its_activations_may_be(load):
    backbone = load("ViT-B-16-SigLIP")
    encoder = WholePromptEncoder(backbone.clip, backbone._tokenizer)
    encoder.prepare(NAMES, 4, "end")
    weights = {parameter.untyped_storage().data_ptr() for parameter in backbone.parameters()}
    kept = {}

    def pack(tensor):
        if tensor.untyped_storage().data_ptr() not in weights:
            kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    context = torch.zeros(4, encoder.token_dim, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        features = encoder(context)
    four = sum(tensor.untyped_storage().nbytes() for tensor in kept.values())
    assert len(features) == 4
    for classes in (2, 3):
        bounded = WholePromptEncoder(backbone.clip, backbone._tokenizer, keep_bytes=round(1.05 * four * classes / 4))
        bounded.prepare(NAMES, 4, "end")
        assert bounded.batch_size == classes


def test_the_embedding_is_as_it_was_behind_a_pass(load):
    backbone = load("ViT-B-16-SigLIP")
    before = backbone.encode_text(NAMES)
    encoder = backbone.prompt_encoder()
    encoder.prepare(NAMES, 4, "end")
    encoder(torch.ones(4, encoder.token_dim))
    with pytest.raises(RuntimeError):
        encoder.encode(encoder.tokens, torch.zeros(4, 64, 3), encoder.last)
    assert torch.equal(backbone.encode_text(NAMES), before)


def test_prompts_of_siglip_fill_its_context_with_its_own_padding_and_have_no_signs_or_capitals(load):
    backbone = load("ViT-B-16-SigLIP")
    encoder = backbone.prompt_encoder()
    encoder.prepare(["St. Bernard", "st bernard"], 4, "end")
    pad = backbone._tokenizer.tokenizer.pad_token_id
    assert encoder.tokens.shape == (2, 64)
    assert torch.equal(encoder.tokens[0], encoder.tokens[1])
    assert torch.equal(encoder.tokens, backbone._tokenizer(["a a a a St. Bernard."]).expand(2, -1))
    assert (encoder.tokens[:, -1] == pad).all()


def test_a_name_of_which_the_tokenizer_leaves_nothing_is_refused(load):
    with pytest.raises(FgvrError, match=r"class name '\?!' has no tokens.*Write the name in words"):
        load("ViT-B-16-SigLIP").prompt_encoder().prepare(["cat", "?!"], 4, "end")


def test_texts_are_counted_as_they_are_cut(load):
    backbone = load("ViT-B-16-SigLIP")
    assert torch.equal(backbone.encode_text(["a cat" + "." * 100]), backbone.encode_text(["a cat"]))


def test_a_softmax_over_siglips_scale_is_the_chance_of_each_class_if_exactly_one_of_its_sigmoids_is_true():
    cosines, scale, bias = torch.tensor([0.1, 0.05, -0.02, 0.12], dtype=torch.float64), 117.0, -12.9
    match = torch.sigmoid(scale * cosines + bias)
    others = torch.stack([torch.cat([match[:i], match[i + 1 :]]).neg().add(1).prod() for i in range(4)])
    one = match * others
    torch.testing.assert_close((scale * cosines).softmax(0), one / one.sum())


@pytest.mark.parametrize("name", ["ViT-B-16-SigLIP", "mt5-base-ViT-B-32"])
def test_prompts_train(load, name):
    backbone, head = load(name), PromptHead(n_ctx=4)
    torch.manual_seed(0)
    head.build(backbone, NAMES)
    images = F.normalize(torch.randn(4, backbone.embed_dim), dim=-1)
    optimizer, losses = torch.optim.Adam([head.context], 0.05), []
    for _ in range(20):
        loss = F.cross_entropy(head.logit_scale * images @ head.class_features().T, torch.arange(4))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]
    assert not any(parameter.requires_grad for parameter in backbone.parameters())


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("ViT-B-16-SigLIP", ["its tokenizer, 'timm/ViT-B-16-SigLIP'", "hf download timm/ViT-B-16-SigLIP"]),
        ("roberta-ViT-B-32", ["its tokenizer, 'roberta-base'", "HF_HUB_OFFLINE=1"]),
    ],
)
def test_without_a_network_the_error_names_the_tokenizer_to_fetch(name, parts, tmp_path):
    torch.save({"weight": torch.zeros(1)}, tmp_path / "weights.pt")
    with pytest.raises(FgvrError) as caught:
        OpenClipBackbone(name, str(tmp_path / "weights.pt"), cache_dir=str(tmp_path)).load()
    assert all(part in str(caught.value) for part in parts)


def test_without_a_network_the_error_names_the_text_tower_to_fetch(tmp_path):
    config = open_clip.get_model_config("roberta-ViT-B-32")
    config["text_cfg"]["hf_tokenizer_name"] = write_tokenizer(tmp_path / "tokenizer", "roberta")
    (tmp_path / "fgvr-no-text-tower.json").write_text(json.dumps(config))
    torch.save({"weight": torch.zeros(1)}, tmp_path / "weights.pt")
    backbone = OpenClipBackbone("fgvr-no-text-tower", str(tmp_path / "weights.pt"), config_dir=str(tmp_path))
    with pytest.raises(FgvrError, match=r"configuration of its text tower, 'roberta-base'.*hf download roberta-base"):
        backbone.load()


@pytest.mark.parametrize(
    ("options", "rule"),
    [({"tokenizer_mode": "clips"}, "tokenizer_mode='clips'"), ({"reduction_mask": "simple"}, "reduction_mask")],
)
def test_tokenizers_that_do_more_than_cut_are_refused(options, rule, tmp_path):
    if "tokenizer_mode" in options:
        tokenizer = open_clip.tokenizer.HFTokenizer(write_tokenizer(tmp_path, "bert"), **options)
    else:
        tokenizer = open_clip.SimpleTokenizer(**options)
    with pytest.raises(FgvrError, match=f"cannot be learned over this model: with {rule}"):
        tokens_of(tokenizer)


def test_padding_in_front_of_the_words_is_refused(tmp_path):
    tokenizer = open_clip.tokenizer.HFTokenizer(write_tokenizer(tmp_path, "bert"))
    tokenizer.tokenizer.padding_side = "left"
    with pytest.raises(FgvrError, match="must pad behind the words, and has padding_side='left'"):
        tokens_of(tokenizer)


def test_a_text_tower_without_an_embedding_is_refused(load):
    class Clip(nn.Module):
        text = nn.Linear(2, 2)

    with pytest.raises(FgvrError, match=r"over some-model: its text tower, a Linear, has no embedding.*zero_shot"):
        WholePromptEncoder(Clip(), load("ViT-B-16-SigLIP")._tokenizer, "some-model")
