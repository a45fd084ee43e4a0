import pytest
import torch

from fgvr.backbones.paired import PairedBackbone
from fgvr.errors import FgvrError
from fgvr.testing.backbones import check_backbone
from fgvr.testing.tiny import TinyBackbone


def paired():
    backbone = PairedBackbone(TinyBackbone(), TinyBackbone(seed=1, visual_width=7))
    backbone.load()
    return backbone


def test_contract():
    check_backbone(PairedBackbone(TinyBackbone(), TinyBackbone(seed=1, visual_width=7)))


def test_texts_and_joint_features_are_the_first_ones_and_the_visual_width_the_second_ones():
    backbone, first = paired(), TinyBackbone()
    first.load()
    pixels = torch.rand(2, 3, 32, 32)
    assert torch.equal(backbone.encode_image(pixels), first.encode_image(pixels))
    assert torch.equal(backbone.encode_text(["a finch"]), first.encode_text(["a finch"]))
    assert (backbone.embed_dim, backbone.visual_dim) == (16, 7)


def test_each_space_has_a_tower():
    backbone = paired()
    assert backbone.tower_of("joint") is backbone.joint_backbone
    assert backbone.tower_of("visual") is backbone.visual_backbone
    nested = PairedBackbone(backbone, backbone)
    assert nested.tower_of("visual") is backbone.visual_backbone
    assert nested.tower_of("joint") is backbone.joint_backbone


def test_pixels_of_one_tower_are_none_of_the_other():
    features = paired().encode_spaces(torch.rand(2, 3, 32, 32))
    assert features.visual is None
    with pytest.raises(FgvrError, match="reads visual features"):
        features.of("visual")


def test_either_tower_changes_the_fingerprint():
    backbones = [
        PairedBackbone(TinyBackbone(), TinyBackbone(seed=1)),
        PairedBackbone(TinyBackbone(), TinyBackbone(seed=2)),
        PairedBackbone(TinyBackbone(seed=1), TinyBackbone(seed=1)),
    ]
    for backbone in backbones:
        backbone.load()
    assert len({backbone.fingerprint() for backbone in backbones}) == 3


def test_visual_prompts_are_of_one_tower():
    backbone, pixels, prompts = paired(), torch.rand(2, 3, 32, 32), torch.rand(2, 4, 3)
    of_first = backbone.joint_backbone.visual_prompt_encoder()(pixels, prompts)
    found = backbone.visual_prompt_encoder()(pixels, prompts)
    assert torch.equal(found.joint, of_first.joint)
    assert found.visual is None
    assert backbone.tower_of("visual").visual_prompt_encoder()(pixels, prompts).visual.shape == (2, 7)
