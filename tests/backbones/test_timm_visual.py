"""Image towers of timm beside a text tower."""

import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file

from fgvr.backbones.paired import PairedBackbone
from fgvr.backbones.timm_visual import TimmVisualBackbone
from fgvr.errors import FgvrError
from fgvr.testing.backbones import check_backbone, check_features
from fgvr.testing.tiny import TinyBackbone

SMALL = {"embed_dim": 48, "depth": 2, "num_heads": 3}
TOWERS = {
    "vit_small_patch14_reg4_dinov2.lvd142m": (SMALL, 28, 48),
    "vit_small_patch16_dinov3.lvd1689m": (SMALL, 32, 48),
    "eva02_tiny_patch14_224.mim_in22k": (SMALL, 28, 48),
    "convnext_atto.d2_in1k": ({"depths": (1, 1, 1, 1), "dims": (8, 16, 24, 32)}, 32, 32),
    "resnet10t.c3_in1k": ({}, 32, 512),
}
# the lowest version of timm that fgvr works with knows fewer
TOWERS = {name: tower for name, tower in TOWERS.items() if timm.is_model(name.partition(".")[0])}
DINO = "vit_small_patch14_reg4_dinov2.lvd142m"


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Models of timm of the same kinds, but small."""
    create = timm.create_model

    def create_small(name, **options):
        options = {key: value for key, value in options.items() if value is not None}
        return create(name, **options, **TOWERS[name][0])

    monkeypatch.setattr(timm, "create_model", create_small)


def weights_of(name, folder, classes=0, drop=None):
    size = {"img_size": TOWERS[name][1]} if "vit" in name or "eva" in name else {}
    torch.manual_seed(0)
    state = timm.create_model(name, num_classes=classes, **size).state_dict()
    state = {key: value for key, value in state.items() if key != drop}
    save_file(state, folder / "weights.bin")
    return str(folder / "weights.bin")


def loaded(name, folder, **options):
    if "pretrained" not in options:
        options["pretrained"] = weights_of(name, folder)
    backbone = TimmVisualBackbone(name, **{"image_size": TOWERS[name][1], **options})
    backbone.check_visual()
    backbone.load()
    return backbone


@pytest.mark.parametrize("name", TOWERS)
def test_contract_beside_a_text_tower(name, tmp_path):
    check_backbone(PairedBackbone(TinyBackbone(), loaded(name, tmp_path)))


@pytest.mark.parametrize("name", TOWERS)
def test_features_are_what_the_model_computes_before_its_classifier(name, tmp_path):
    backbone, (_, size, width) = loaded(name, tmp_path), TOWERS[name]
    pixels = torch.rand(2, 3, size, size)
    spaces = backbone.encode_spaces(pixels)
    check_features(spaces.of("visual"), (2, width), "visual")
    tower = backbone.tower
    pooled = tower.forward_head(tower.forward_features(pixels), pre_logits=True)
    torch.testing.assert_close(spaces.visual, torch.nn.functional.normalize(pooled, dim=-1))
    assert (backbone.visual_dim, backbone.embed_dim) == (width, width)


def test_the_pair_has_the_texts_of_one_and_the_photos_of_the_other(tmp_path):
    pair = PairedBackbone(TinyBackbone(), loaded(DINO, tmp_path))
    pair.check()
    pair.load()
    assert pair.tower_of("visual") is pair.visual_backbone
    assert pair.visual_dim == 48
    assert pair.encode_text(["a finch"]).shape == (1, 16)


def test_photos_are_prepared_as_for_the_weights_but_for_their_size(tmp_path):
    backbone = loaded(DINO, tmp_path)
    pixels = backbone.transform(Image.new("RGB", (70, 50), (124, 116, 104)))
    assert pixels.shape == (3, 28, 28)
    assert pixels.abs().max() < 0.02, "ImageNet's mean is taken away, as for DINOv2"


@pytest.mark.parametrize("name", ["resnet10t.c3_in1k", "eva02_tiny_patch14_224.mim_in22k"])
@pytest.mark.parametrize("classes", [0, 7, 1000])
def test_a_classifier_of_any_size_in_the_file_is_left_away(name, classes, tmp_path):
    if name in TOWERS:
        with_head = loaded(name, tmp_path, pretrained=weights_of(name, tmp_path, classes))
        pixels = torch.rand(1, 3, *[TOWERS[name][1]] * 2)
        assert with_head.encode_image(pixels).shape[1] == TOWERS[name][2]


@pytest.mark.parametrize("name", [name for name in TOWERS if "vit" in name or "eva" in name])
@pytest.mark.parametrize("rows", [1, 2])
def test_visual_prompts_are_those_of_timms_blocks_one_by_one(name, rows, tmp_path):
    backbone, size = loaded(name, tmp_path), TOWERS[name][1]
    tower, pixels = backbone.tower, torch.rand(2, 3, size, size)
    prompts = (0.3 * torch.randn(rows, 4, 48, generator=torch.Generator().manual_seed(1))).requires_grad_()
    leading, options = tower.num_prefix_tokens, {}
    tokens = tower._pos_embed(tower.patch_embed(pixels))
    if isinstance(tokens, tuple):
        tokens, options["rope"] = tokens
    tokens = getattr(tower, "norm_pre", torch.nn.Identity())(tokens)
    for number, block in enumerate(tower.blocks):
        if number < rows:
            rest = tokens[:, leading:] if number == 0 else tokens[:, leading + 4 :]
            tokens = torch.cat([tokens[:, :leading], prompts[number].expand(2, -1, -1), rest], dim=1)
        if options:
            block.attn.num_prefix_tokens = leading + 4
        tokens = block(tokens, **options)
        if options:
            block.attn.num_prefix_tokens = leading
    tokens = torch.cat([tokens[:, :leading], tokens[:, leading + 4 :]], dim=1)
    expected = torch.nn.functional.normalize(tower.forward_head(tower.norm(tokens)), dim=-1)
    found = backbone.visual_prompt_encoder()(pixels, prompts).of("visual")
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    target = torch.linspace(-1, 1, found.numel()).view_as(found)
    gradient, reference = (torch.autograd.grad((way * target).sum(), prompts)[0] for way in (found, expected))
    torch.testing.assert_close(gradient, reference, atol=1e-5, rtol=1e-5)


def test_a_convolutional_network_takes_no_visual_prompts(tmp_path):
    with pytest.raises(FgvrError, match=r"resnet10t.c3_in1k takes no visual prompts: it is a ResNet"):
        loaded("resnet10t.c3_in1k", tmp_path).visual_prompt_encoder()


def test_weights_and_size_change_the_fingerprint(tmp_path):
    first = loaded(DINO, tmp_path)
    other = loaded(DINO, tmp_path, image_size=42)
    assert other.transform(Image.new("RGB", (70, 50))).shape == (3, 42, 42)
    assert len({first.fingerprint(), other.fingerprint(), loaded(DINO, tmp_path).fingerprint()}) == 2
    assert first.fingerprint().startswith("timm-")


@pytest.mark.parametrize(
    "use",
    [
        lambda backbone: backbone.check(),
        lambda backbone: backbone.encode_text(["a finch"]),
        lambda backbone: backbone.prompt_encoder(),
    ],
)
def test_alone_it_is_refused_in_a_line_that_says_what_it_is_for(use):
    with pytest.raises(FgvrError, match=r"knows no texts: give it as visual_backbone of the backbone 'paired'"):
        use(TimmVisualBackbone())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"model": "vit_small_patch14_dinov1"},
            r"no model 'vit_small_patch14_dinov1'; close to it: vit_small",
        ),
        ({"model": "resnet10t.of_mine"}, r"resnet10t has no weights 'of_mine' in timm; it has 'c3_in1k'"),
        ({"model": "test_vit4"}, r"test_vit4 has no weights in timm: give a file"),
        ({"pretrained": "none.pt"}, r"pretrained is none.pt, but there is no such file"),
        ({"pretrained": "."}, r"pretrained is ., which is a folder: name the file in it"),
        ({"model": "hf-hub:timm/some", "pretrained": "a.pt"}, r"leave out pretrained='a.pt'"),
    ],
)
def test_wrong_options(options, message):
    if options.get("model") == "test_vit4" and not timm.is_model("test_vit4"):
        pytest.skip("this version of timm does not know it")
    with pytest.raises(FgvrError, match=message):
        TimmVisualBackbone(**options).check_visual()


def test_wrong_size():
    with pytest.raises(FgvrError, match="image_size is 0; expected a number of pixels"):
        TimmVisualBackbone(image_size=0)


def test_without_a_network_the_error_says_what_to_do():
    with pytest.raises(FgvrError, match=r"timm cannot load vit_small.*give their file as pretrained.*HF_HUB_OFFLINE=1"):
        TimmVisualBackbone(image_size=28).load()


@pytest.mark.parametrize("drop", ["blocks.1.attn.qkv.weight", "cls_token"])
def test_weights_that_lack_a_part_are_refused(drop, tmp_path):
    with pytest.raises(FgvrError, match=r"weights.bin has no weights for vit_small.*Expected is a state dict"):
        loaded(DINO, tmp_path, pretrained=weights_of(DINO, tmp_path, drop=drop))


def test_pickled_code_is_refused(tmp_path):
    torch.save({"weight": print}, tmp_path / "weights.pt")
    with pytest.raises(FgvrError, match="holds Python objects beside tensors"):
        loaded(DINO, tmp_path, pretrained=str(tmp_path / "weights.pt"))
