"""What the check of a backbone finds about visual prompts."""

import pytest
import torch

from fgvr.backbones.base import ImageFeatures
from fgvr.errors import FgvrError
from fgvr.testing.backbones import check_backbone
from fgvr.testing.tiny import TinyBackbone, TinyVisualPromptEncoder


class Refusing(TinyBackbone):
    def visual_prompt_encoder(self, recompute=False):
        raise FgvrError("This tower takes none.")


class Verbose(TinyBackbone):
    def visual_prompt_encoder(self, recompute=False):
        raise FgvrError("This tower\ntakes none.")


class Deaf(TinyVisualPromptEncoder):
    def encode(self, pixels, prompts):
        return super().encode(pixels, prompts[..., :0, :])


class Early(TinyVisualPromptEncoder):
    def encode(self, pixels, prompts):
        return super().encode(pixels, prompts[..., :1, :, :] if prompts.shape[-3] > 1 else prompts)


class Biased(TinyVisualPromptEncoder):
    def encode(self, pixels, prompts):
        return super().encode(pixels + 0.01, prompts)


class Mixing(TinyVisualPromptEncoder):
    def encode(self, pixels, prompts):
        some = 0.1 * len(pixels) if prompts.shape[-2] else 0
        return super().encode(pixels + some, prompts)


class JointOnly(TinyVisualPromptEncoder):
    def encode(self, pixels, prompts):
        return ImageFeatures(super().encode(pixels, prompts).joint)


class Lenient(TinyVisualPromptEncoder):
    def __call__(self, pixels, prompts):
        try:
            return super().__call__(pixels, prompts)
        except FgvrError:
            return self.backbone.encode_spaces(pixels)


class Sticky(TinyVisualPromptEncoder):
    def encode(self, pixels, prompts):
        if prompts.shape[-2]:
            with torch.no_grad():
                self.backbone.image_tower["bias"] += 0.01
        return super().encode(pixels, prompts)


def with_encoder(encoder):
    class Other(TinyBackbone):
        def visual_prompt_encoder(self, recompute=False):
            return encoder(self)

    return Other()


@pytest.mark.parametrize(
    ("encoder", "message"),
    [
        (Deaf, "they change nothing"),
        (Early, "not every prompt has a gradient"),
        (Biased, "without any, other features than encode_spaces"),
        (Mixing, "depend on the rest of the batch"),
        (JointOnly, "not the spaces of encode_spaces"),
        (Lenient, r"of shape \(3, 3\) are not refused"),
        (Sticky, "they stay when others ask for features"),
    ],
)
def test_the_check_finds_what_breaks_it(encoder, message):
    with pytest.raises(AssertionError, match=message):
        check_backbone(with_encoder(encoder), prompts=False)


def test_a_tower_that_takes_no_visual_prompts_says_so_in_one_line():
    check_backbone(Refusing(), prompts=False)
    with pytest.raises(AssertionError, match="refused in more than one line"):
        check_backbone(Verbose(), prompts=False)
