import pytest
import torch
from torch import nn
from torch.nn import functional as F

from fgvr.backbones.open_clip import OpenClipBackbone
from fgvr.errors import FgvrError
from fgvr.methods.tuned_weights import NORMS, TunedWeights
from fgvr.testing.tiny import TinyBackbone


@pytest.fixture(scope="module")
def backbone():
    made = OpenClipBackbone("fieldguide-clip")
    made.load()
    return made


@pytest.fixture(scope="module")
def pixels():
    return torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def test_each_tower_has_its_own_layers(backbone, pixels):
    image = TunedWeights(backbone, lambda part: part.encode_image(pixels), "image", NORMS)
    text = TunedWeights(backbone, lambda part: part.embed_text(["a jay"]), "text", NORMS)
    norms = {
        f"backbone/{layer}/{name}".replace(".", "/")
        for layer, module in backbone.named_modules()
        if isinstance(module, nn.LayerNorm | nn.BatchNorm2d)
        for name in ("weight", "bias")
    }
    assert {name for name in norms if "visual" in name} == set(image.weights)
    assert {name for name in norms if "visual" not in name} == set(text.weights)


def test_the_backbone_stays_as_it_was(backbone, pixels):
    tuned = TunedWeights(backbone, lambda part: part.encode_image(pixels), "image", NORMS)
    before, state = backbone.encode_image(pixels), {k: v.clone() for k, v in backbone.state_dict().items()}
    torch.testing.assert_close(tuned(lambda part: part.encode_image(pixels)), before)
    tuned(lambda part: part.encode_image(pixels))[:, 0].sum().backward()
    with torch.no_grad():
        for weight in tuned.parameters():
            assert weight.grad is not None
            weight -= weight.grad
    assert (tuned(lambda part: part.encode_image(pixels)) - before).abs().max() > 1e-3
    torch.testing.assert_close(backbone.encode_image(pixels), before, rtol=0, atol=0)
    assert all(torch.equal(backbone.state_dict()[name], value) for name, value in state.items())
    assert not any(weight.requires_grad for weight in backbone.parameters())


def test_the_gradient_is_that_of_the_layers_themselves(backbone, pixels):
    tuned = TunedWeights(backbone, lambda part: part.encode_image(pixels), "image", NORMS)
    goal = F.normalize(torch.randn(2, backbone.embed_dim, generator=torch.Generator().manual_seed(1)), dim=1)
    (tuned(lambda part: part.encode_image(pixels)) * goal).sum().backward()
    own = {f"backbone.{name}".replace(".", "/"): weight for name, weight in backbone.named_parameters()}
    layers = [own[name].requires_grad_() for name in tuned.weights]
    try:
        expected = torch.autograd.grad((backbone.encode_image(pixels) * goal).sum(), layers)
    finally:
        backbone.requires_grad_(False)
    for weight, gradient in zip(tuned.weights.values(), expected, strict=True):
        torch.testing.assert_close(weight.grad, gradient)


def test_a_tower_without_such_layers_is_refused():
    plain = TinyBackbone()
    plain.load()
    with pytest.raises(FgvrError, match=r"the image tower of TinyBackbone has none.*ViT-B-32"):
        TunedWeights(plain, lambda part: part.encode_image(torch.zeros(1, 3, 32, 32)), "image", NORMS)


def test_all_weights_behind_the_features_can_be_tuned_and_replaced():
    plain = TinyBackbone()
    plain.load()
    pixels = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    tuned = TunedWeights(plain, lambda part: part.encode_image(pixels), "image")
    assert {name.rpartition("/")[2] for name in tuned.weights} == {"weight", "bias"}, "and none of the texts"
    before = plain.encode_image(pixels)
    torch.testing.assert_close(tuned(lambda part: part.encode_image(pixels)), before, rtol=0, atol=0)
    others = {name: torch.ones_like(weight) for name, weight in tuned.weights.items()}
    assert not torch.allclose(tuned(lambda part: part.encode_image(pixels), others), before)
    torch.testing.assert_close(plain.encode_image(pixels), before, rtol=0, atol=0)
