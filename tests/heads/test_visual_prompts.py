import math
from types import SimpleNamespace

import pytest
import torch

from fgvr.backbones.lite import LiteBackbone
from fgvr.errors import FgvrError
from fgvr.heads.visual_prompts import VisualPrompts


def built(backbone, seed=0, **options):
    torch.manual_seed(seed)
    prompts = VisualPrompts(**options)
    prompts.build(backbone)
    return prompts


def photos(count=3):
    return torch.rand(count, 3, 32, 32, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize(("deep", "rows"), [(True, 2), (False, 1)])
def test_only_the_tokens_are_learned_and_saved(backbone, deep, rows):
    prompts = built(backbone, n_tokens=5, deep=deep)
    assert prompts.tokens.shape == (rows, 5, 3)
    assert list(prompts.state_dict()) == ["tokens"]
    assert prompts.parameter_count == sum(parameter.numel() for parameter in prompts.parameters()) == rows * 15
    assert [name for name, _ in prompts.named_modules()] == [""]


def test_tokens_start_uniform_as_in_the_released_code():
    # of a ViT-B/16 with VPT-deep; nothing but these numbers is asked of the encoder
    shape = SimpleNamespace(width=768, depth=12, patch_pixels=16 * 16)
    backbone = SimpleNamespace(visual_prompt_encoder=lambda recompute: shape, device=torch.device("cpu"))
    prompts = built(backbone, n_tokens=20)
    bound = math.sqrt(6 / (3 * 16 * 16 + 768))
    assert prompts.parameter_count == 184_320
    assert 0.999 * bound < prompts.tokens.abs().max() <= bound
    assert prompts.tokens.mean().item() == pytest.approx(0, abs=0.01 * bound)
    assert prompts.tokens.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.01)


def test_a_seed_draws_the_tokens(backbone):
    assert torch.equal(built(backbone).tokens, built(backbone).tokens)
    assert not torch.equal(built(backbone).tokens, built(backbone, seed=1).tokens)


def test_a_saved_set_of_prompts_gives_the_same_features(backbone):
    prompts, other = built(backbone), built(backbone, seed=1)
    expected = prompts(photos())
    assert not torch.allclose(other(photos()).joint, expected.joint)
    other.load_state_dict(prompts.state_dict())
    assert torch.equal(other(photos()).joint, expected.joint)
    assert torch.equal(other(photos()).visual, expected.visual)


def test_dropout_is_drawn_for_each_photo_and_in_training_only(backbone):
    prompts, same = built(backbone, dropout=0.5), photos(1).expand(4, -1, -1, -1)
    features = prompts(same).joint
    assert len(features.unique(dim=0)) > 1
    features.sum().backward()
    assert prompts.tokens.grad is not None
    prompts.eval()
    assert torch.equal(prompts(same).joint, built(backbone).eval()(same).joint)


@pytest.mark.parametrize(
    ("options", "message"), [({"n_tokens": 0}, "is 0; expected 1"), ({"dropout": 1}, "dropout .*1;")]
)
def test_options_out_of_range(options, message):
    with pytest.raises(FgvrError, match=message):
        VisualPrompts(**options)


def test_a_backbone_without_the_hook_is_refused():
    with pytest.raises(FgvrError, match=r"image tower of lite takes no visual prompts: .* for instance ViT-B-16\.$"):
        VisualPrompts().build(LiteBackbone())
