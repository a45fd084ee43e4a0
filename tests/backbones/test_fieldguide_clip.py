"""The weights that come with fgvr."""

import json
import random

import pytest
import torch

from fgvr.backbones.open_clip import SHIPPED, OpenClipBackbone
from fgvr.fieldguide.drawing import draw_image
from fgvr.fieldguide.species import draw_guide
from fgvr.testing.backbones import check_backbone


@pytest.fixture(scope="module")
def backbone():
    made = OpenClipBackbone("fieldguide-clip")
    made.load()
    return made


def accuracy(backbone, style):
    guide = draw_guide(40, 0, "development")
    names = backbone.encode_text([bird.name for bird in guide])
    draw = random.Random(0)
    images = torch.stack([backbone.transform(draw_image(bird, style, draw)) for bird in guide for _ in range(3)])
    with torch.inference_mode():
        found = (backbone.encode_image(images) @ names.T).argmax(1)
    return (found == torch.arange(40).repeat_interleave(3)).float().mean().item()


def test_contract(backbone):
    check_backbone(OpenClipBackbone("fieldguide-clip"))


def test_size(backbone):
    assert (SHIPPED / "fieldguide-clip.safetensors").stat().st_size <= 20e6
    assert sum(parameter.numel() for parameter in backbone.clip.parameters()) <= 10e6
    assert backbone.embed_dim == json.loads((SHIPPED / "fieldguide-clip.json").read_text())["embed_dim"]


def test_it_knows_species_that_it_never_saw_and_field_photos_are_harder(backbone):
    plates, field = accuracy(backbone, "plate"), accuracy(backbone, "field")
    assert plates > 0.8
    assert 0.2 < field < plates - 0.1


def test_other_weights_can_be_given_for_the_architecture(backbone):
    again = OpenClipBackbone("fieldguide-clip", pretrained=str(SHIPPED / "fieldguide-clip.safetensors"))
    again.load()
    torch.testing.assert_close(again.encode_text(["Grey Jay"]), backbone.encode_text(["Grey Jay"]))
