"""Visual prompts in the image towers that open_clip builds, held against forward passes that are written out."""

import json
import math

import open_clip
import pytest
import timm
import torch
import torch.nn.functional as F

from fgvr.backbones.open_clip import OpenClipBackbone
from fgvr.errors import FgvrError
from fgvr.testing.backbones import check_backbone

TEXT = {"context_length": 16, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1}
VIT = {"image_size": 32, "layers": 3, "width": 48, "patch_size": 16, "head_width": 16}
AVERAGED = {**VIT, "pool_type": "avg", "no_ln_pre": True, "final_ln_after_pool": True}
POOLED = {**VIT, "attentional_pool": True, "attn_pooler_heads": 2}


def of_timm(name, pool, projection):
    return {"timm_model_name": name, "timm_pool": pool, "timm_proj": projection, "image_size": 32}


TOWERS = {
    "vit": VIT,
    "vit-averaged": AVERAGED,
    "vit-attentional-pool": POOLED,
    "attention-pool": of_timm("vit_base_patch16_siglip_224", "map", "none"),
    "registers": of_timm("vit_small_patch16_dinov3", "avg", "linear"),
    "eva": of_timm("eva02_base_patch16_clip_224", "token", None),
    "pe": of_timm("vit_pe_core_tiny_patch16_384", "map", None),
}
# the lowest version of timm that fgvr works with knows fewer kinds
TOWERS = {
    name: vision
    for name, vision in TOWERS.items()
    if "timm_model_name" not in vision or timm.is_model(vision["timm_model_name"])
}
TIMM = [name for name, vision in TOWERS.items() if "timm_model_name" in vision]
REFUSED = {
    "ModifiedResNet": {"image_size": 32, "layers": [1, 1, 1, 1], "width": 8, "patch_size": None},
    "ResNet": of_timm("resnet10t", "avg", "linear"),
    "VisionTransformerRelPos": of_timm("vit_relpos_small_patch16_224", "avg", "linear"),
}


@pytest.fixture(scope="module")
def load(tmp_path_factory):
    """Backbones by the name of their tower; timm's are of the given kinds, but small."""
    folder = tmp_path_factory.mktemp("models")
    create = timm.create_model

    def create_small(name, **options):
        small = {"embed_dim": 48, "depth": 3, "num_heads": 3, "img_size": 32} if "vit" in name or "eva" in name else {}
        return create(name, **options, **small)

    def load(name, vision):
        config = {"embed_dim": 48, "vision_cfg": vision, "text_cfg": TEXT}
        (folder / f"fgvr-prompted-{name}.json").write_text(json.dumps(config))
        open_clip.add_model_config(folder)
        torch.manual_seed(0)
        weights = open_clip.create_model(f"fgvr-prompted-{name}").state_dict()
        # LayerScale starts at 1e-5, which makes gradients of all blocks but the last too small to be compared
        weights |= {key: torch.ones_like(weight) for key, weight in weights.items() if "gamma" in key}
        torch.save(weights, folder / f"{name}.pt")
        backbone = OpenClipBackbone(f"fgvr-prompted-{name}", str(folder / f"{name}.pt"))
        backbone.load()
        return backbone

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(timm, "create_model", create_small)
        loaded = {name: load(name, vision) for name, vision in TOWERS.items()}
        yield lambda name: loaded.get(name) or load(name, REFUSED[name])


@pytest.fixture(params=TOWERS)
def backbone(load, request):
    return load(request.param)


def drawn(rows, count=4, width=48, seed=1, spread=0.3):
    generator = torch.Generator().manual_seed(seed)
    return (spread * torch.randn(rows, count, width, generator=generator)).requires_grad_()


def photos(count=2):
    return torch.rand(count, 3, 32, 32, generator=torch.Generator().manual_seed(2))


def check_against(found, expected, prompts):
    """Features, and gradients of the prompts, of two ways to compute the same."""
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    target = torch.linspace(-1, 1, found.numel()).view_as(found)
    gradient, reference = (torch.autograd.grad((way * target).sum(), prompts)[0] for way in (found, expected))
    assert reference.abs().max() > 1e-3
    torch.testing.assert_close(gradient, reference, atol=1e-5, rtol=1e-5)


def test_contract(backbone):
    check_backbone(backbone, prompts=False)


def written_out(tower, pixels, prompts, averaged):
    """A vision transformer of CLIP by its weights: the reference of ``vit`` and ``vit-averaged``."""

    def norm(tokens, layer):
        middle = tokens - tokens.mean(-1, keepdim=True)
        return middle / (middle.square().mean(-1, keepdim=True) + layer.eps).sqrt() * layer.weight + layer.bias

    count = prompts.shape[1]
    patches = torch.stack([pixels[:, :, y : y + 16, x : x + 16].flatten(1) for y in (0, 16) for x in (0, 16)], dim=1)
    tokens = torch.cat(
        [tower.class_embedding.expand(len(pixels), 1, -1), patches @ tower.conv1.weight.flatten(1).T], dim=1
    )
    tokens = tokens + tower.positional_embedding
    if not averaged:
        tokens = norm(tokens, tower.ln_pre)
    for number, block in enumerate(tower.transformer.resblocks):
        if number < len(prompts):
            rest = tokens[:, 1:] if number == 0 else tokens[:, 1 + count :]
            tokens = torch.cat([tokens[:, :1], prompts[number].expand(len(pixels), -1, -1), rest], dim=1)
        queries, keys, values = (
            (norm(tokens, block.ln_1) @ block.attn.in_proj_weight.T + block.attn.in_proj_bias)
            .unflatten(-1, (3, 3, 16))
            .permute(2, 0, 3, 1, 4)
        )
        heads = (queries @ keys.mT / math.sqrt(16)).softmax(-1) @ values
        tokens = tokens + block.attn.out_proj(heads.transpose(1, 2).flatten(2))
        tokens = tokens + block.mlp.c_proj(F.gelu(block.mlp.c_fc(norm(tokens, block.ln_2))))
    patches = tokens[:, 1 + count :]
    return norm(patches.mean(1), tower.ln_post) if averaged else norm(tokens[:, 0], tower.ln_post)


@pytest.mark.parametrize("rows", [1, 2, 3])
@pytest.mark.parametrize("name", ["vit", "vit-averaged"])
def test_features_and_gradients_are_those_of_a_forward_pass_that_is_written_out(load, name, rows):
    backbone, pixels, prompts = load(name), photos(), drawn(rows)
    for space in ("joint", "visual"):
        before = written_out(backbone.clip.visual, pixels, prompts, name == "vit-averaged")
        expected = before @ backbone.clip.visual.proj if space == "joint" else before
        found = backbone.visual_prompt_encoder()(pixels, prompts).of(space)
        check_against(found, F.normalize(expected, dim=-1), prompts)


def by_timms_blocks(visual, pixels, prompts):
    """A transformer of timm, block by block; prompts are leading tokens for its attention."""
    trunk, count, options = visual.trunk, prompts.shape[1], {}
    leading = trunk.num_prefix_tokens
    tokens = trunk._pos_embed(trunk.patch_embed(pixels))
    if isinstance(tokens, tuple):
        tokens, options["rope"] = tokens
    tokens = getattr(trunk, "norm_pre", torch.nn.Identity())(tokens)
    for number, block in enumerate(trunk.blocks):
        if number < len(prompts):
            rest = tokens[:, leading:] if number == 0 else tokens[:, leading + count :]
            tokens = torch.cat([tokens[:, :leading], prompts[number].expand(len(pixels), -1, -1), rest], dim=1)
        if options:
            block.attn.num_prefix_tokens = leading + count
        tokens = block(tokens, **options)
        if options:
            block.attn.num_prefix_tokens = leading
    tokens = torch.cat([tokens[:, :leading], tokens[:, leading + count :]], dim=1)
    return F.normalize(visual.head(trunk.forward_head(trunk.norm(tokens))), dim=-1)


@pytest.mark.parametrize("rows", [1, 2, 3])
@pytest.mark.parametrize("name", TIMM)
def test_features_and_gradients_are_those_of_timms_blocks_one_by_one(load, name, rows):
    backbone, pixels, prompts = load(name), photos(), drawn(rows)
    found = backbone.visual_prompt_encoder()(pixels, prompts)
    check_against(found.joint, by_timms_blocks(backbone.clip.visual, pixels, prompts), prompts)


def test_tokens_may_be_the_first_dimension(load):
    backbone, prompts = load("vit"), drawn(2)
    expected = backbone.visual_prompt_encoder()(photos(), prompts).joint
    inner = backbone.clip.visual.transformer
    parts = [inner, *(block.attn for block in inner.resblocks)]
    for part in parts:
        part.batch_first = False
    found = backbone.visual_prompt_encoder()(photos(), prompts).joint
    for part in parts:
        part.batch_first = True
    check_against(found, expected, prompts)


def test_a_tower_that_computes_its_blocks_again_by_itself(backbone):
    prompts, visual = drawn(3), backbone.clip.visual
    if hasattr(visual, "trunk") and not hasattr(timm.layers, "use_reentrant_ckpt"):
        pytest.skip("this version of timm computes blocks again in a way that loses gradients of frozen towers")
    expected = backbone.visual_prompt_encoder()(photos(), prompts).joint
    visual.set_grad_checkpointing(True)
    found = backbone.visual_prompt_encoder()(photos(), prompts).joint
    visual.set_grad_checkpointing(False)
    check_against(found, expected, prompts)


def test_two_sets_of_prompts_in_turn_and_their_gradients_later(backbone):
    encoder, sets = backbone.visual_prompt_encoder(recompute=True), (drawn(3), drawn(1, count=2, seed=5))
    first, second = (encoder(photos(1), prompts).joint for prompts in sets)
    check_against(first, backbone.visual_prompt_encoder()(photos(1), sets[0]).joint, sets[0])
    check_against(second, backbone.visual_prompt_encoder()(photos(1), sets[1]).joint, sets[1])


def test_the_tower_is_whole_again_after_a_pass_that_failed(backbone):
    names = [name for name, _ in backbone.named_modules()]
    with pytest.raises((RuntimeError, AssertionError)):
        backbone.visual_prompt_encoder()(torch.rand(1, 5, 32, 32), drawn(1))
    assert [name for name, _ in backbone.named_modules()] == names


def kept_bytes(backbone, prompts, recompute=False):
    """Bytes that the backward pass needs beside the weights."""
    weights = {parameter.untyped_storage().data_ptr() for parameter in backbone.parameters()}
    kept = {}

    def pack(tensor):
        if tensor.untyped_storage().data_ptr() not in weights:
            kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        backbone.visual_prompt_encoder(recompute)(photos(), prompts)
    return sum(tensor.untyped_storage().nbytes() for tensor in kept.values())


def test_activations_are_kept_only_where_a_gradient_needs_them(load):
    backbone = load("vit")
    assert kept_bytes(backbone, drawn(3).detach()) == 0
    frozen = kept_bytes(backbone, drawn(3))
    backbone.clip.visual.requires_grad_(True)
    thawed = kept_bytes(backbone, drawn(3))
    backbone.clip.visual.requires_grad_(False)
    assert kept_bytes(backbone, drawn(3), recompute=True) < 0.35 * frozen
    assert frozen < 0.8 * thawed


@pytest.mark.parametrize("name", REFUSED)
def test_a_tower_of_another_kind_is_refused_in_a_line_that_names_one_that_can(load, name):
    with pytest.raises(FgvrError, match=rf"it is a {name}, and a vision transformer .*for instance ViT-B-16\.$"):
        load(name).visual_prompt_encoder()


def test_pixels_of_a_patch(load):
    assert {name: load(name).visual_prompt_encoder().patch_pixels for name in TOWERS} == dict.fromkeys(TOWERS, 256)
