"""Image features before the projection, of every kind of tower that open_clip builds."""

import json

import open_clip
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from fgvr.backbones.open_clip import OpenClipBackbone
from fgvr.backbones.open_clip_visual import iso_clip, unprojected_tower
from fgvr.errors import FgvrError
from fgvr.testing.backbones import check_backbone

TEXT = {"context_length": 16, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 1}
VIT = {"image_size": 32, "layers": 2, "width": 48, "patch_size": 16, "head_width": 16}
TIMM = {"timm_model_name": "resnet10t", "timm_model_pretrained": False, "image_size": 64}
POOLED = {**VIT, "attentional_pool": True, "attn_pooler_heads": 2}
RESNET = {"image_size": 64, "layers": [1, 1, 1, 1], "width": 8, "patch_size": None}
TOWERS = {
    "vit": ({"vision_cfg": VIT, "text_cfg": TEXT}, 48),
    "vit-attentional-pool": ({"vision_cfg": POOLED, "text_cfg": TEXT}, 24),
    "resnet": ({"vision_cfg": RESNET, "text_cfg": TEXT}, 256),
    "timm-linear": ({"vision_cfg": {**TIMM, "timm_pool": "avg", "timm_proj": "linear"}, "text_cfg": TEXT}, 512),
    "timm-mlp": ({"vision_cfg": {**TIMM, "timm_pool": "avg", "timm_proj": "mlp"}, "text_cfg": TEXT}, 512),
    "timm-classifier": ({"vision_cfg": {**TIMM, "timm_pool": "avg", "timm_proj": ""}, "text_cfg": TEXT}, 512),
    "custom-text": ({"vision_cfg": VIT, "text_cfg": TEXT, "custom_text": True}, 48),
}
# there is no projection, as in SigLIP
UNPROJECTED = {
    "timm-unprojected": {
        "embed_dim": 512,
        "vision_cfg": {**TIMM, "timm_pool": "avg", "timm_proj": "none"},
        "text_cfg": TEXT,
    },
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    for name, config in {**{name: config for name, (config, _) in TOWERS.items()}, **UNPROJECTED}.items():
        (folder / f"fgvr-visual-{name}.json").write_text(json.dumps({"embed_dim": 24, **config}))
    open_clip.add_model_config(folder)
    for seed, name in enumerate([*TOWERS, *UNPROJECTED]):
        torch.manual_seed(seed)
        torch.save(open_clip.create_model(f"fgvr-visual-{name}").state_dict(), folder / f"{name}.pt")
    return folder


def loaded(folder, name, **options):
    backbone = OpenClipBackbone(f"fgvr-visual-{name}", str(folder / f"{name}.pt"), config_dir=str(folder), **options)
    backbone.load()
    return backbone


@pytest.mark.parametrize("name", TOWERS)
def test_features_before_the_projection_and_behind_it_by_one_pass(folder, name):
    backbone = loaded(folder, name)
    assert backbone.has_visual_space
    assert backbone.visual_dim == TOWERS[name][1]
    pixels = torch.rand(3, *backbone.transform(Image.new("RGB", (80, 60))).shape)
    passes = []
    handle = backbone.clip.visual.register_forward_hook(lambda *_: passes.append(1))
    spaces = backbone.encode_spaces(pixels)
    handle.remove()
    assert len(passes) == 1
    torch.testing.assert_close(spaces.joint, backbone.encode_image(pixels), atol=1e-5, rtol=0)
    assert spaces.visual.shape == (3, backbone.visual_dim)
    check_backbone(backbone, prompts=False)


def test_the_projection_of_a_vision_transformer_is_what_stands_between(folder):
    backbone = loaded(folder, "vit")
    pixels = torch.rand(2, 3, 32, 32)
    before, after = unprojected_tower(backbone.clip, pixels)(pixels)
    torch.testing.assert_close(before @ backbone.clip.visual.proj, after)
    torch.testing.assert_close(F.normalize(before, dim=-1), backbone.encode_spaces(pixels).visual)


def test_the_tower_is_whole_again_after_a_pass_that_failed(folder):
    backbone = loaded(folder, "vit")
    tower = unprojected_tower(backbone.clip, torch.rand(1, 3, 32, 32))
    with pytest.raises(RuntimeError):
        tower(torch.rand(1, 5, 32, 32))
    assert isinstance(backbone.clip.visual.proj, torch.nn.Parameter)


def test_a_tower_without_a_projection_compares_photos_in_the_joint_space(folder):
    backbone = loaded(folder, "timm-unprojected")
    assert not backbone.has_visual_space
    assert backbone.visual_dim == backbone.embed_dim
    check_backbone(backbone, prompts=False)


def test_options_are_features_of_their_own(folder):
    spaces = {space: loaded(folder, "vit", visual_space=space) for space in ("pre_projection", "projected", "iso_clip")}
    assert len({backbone.fingerprint() for backbone in spaces.values()}) == 3
    assert [backbone.visual_dim for backbone in spaces.values()] == [48, 24, 24]
    pixels = torch.rand(2, 3, 32, 32)
    projected = spaces["projected"].encode_spaces(pixels)
    assert torch.equal(projected.visual, projected.joint)
    for backbone in spaces.values():
        torch.testing.assert_close(backbone.encode_spaces(pixels).joint, projected.joint)
    with pytest.raises(FgvrError, match="visual_space is 'text'"):
        OpenClipBackbone("ViT-B-32", visual_space="text")


def test_iso_clip_drops_the_first_and_the_last_directions_of_both_projections(folder):
    backbone = loaded(folder, "vit", visual_space="iso_clip")
    image, text = backbone.clip.visual.proj.detach().double(), backbone.clip.text_projection.detach().double()
    directions = torch.linalg.svd(image @ text.T, full_matrices=False).U
    count = directions.shape[1]
    first, last = round(0.3 * count), round(0.1 * count)
    projection = iso_clip(backbone.clip).double()
    expected = sum(torch.outer(directions[:, i], directions[:, i] @ image) for i in range(first, count - last))
    torch.testing.assert_close(projection, expected, atol=1e-6, rtol=0)
    assert torch.allclose(directions[:, :first].T @ projection, torch.zeros(first, 24).double(), atol=1e-6)
    pixels = torch.rand(2, 3, 32, 32)
    before, _ = unprojected_tower(backbone.clip, pixels)(pixels)
    found = backbone.encode_spaces(pixels).visual
    torch.testing.assert_close(found, F.normalize(before @ projection.float(), dim=-1))


def test_iso_clip_needs_two_matrices(folder):
    with pytest.raises(FgvrError, match="does not project both images and texts by a matrix"):
        loaded(folder, "timm-mlp", visual_space="iso_clip")
