import pytest
import torch

from fgvr.errors import FgvrError
from fgvr.methods.zero_shot import ZeroShotMethod, template_features
from fgvr.testing.tiny import TinyBackbone


@pytest.fixture
def backbone():
    backbone = TinyBackbone()
    backbone.load()
    return backbone


def test_templates_are_averaged_after_normalisation(backbone):
    features = template_features(backbone, ("house_finch", "blue jay"), ["a photo of a {}.", "{}"])
    expected = torch.stack(
        [
            (backbone.encode_text([f"a photo of a {name}."])[0] + backbone.encode_text([name])[0]) / 2
            for name in ("house finch", "blue jay")
        ]
    )
    torch.testing.assert_close(features, expected / expected.norm(dim=-1, keepdim=True))


def test_a_name_with_braces_is_text(backbone):
    torch.testing.assert_close(template_features(backbone, ("{0}",), ["{}"]), backbone.encode_text(["{0}"]))


@pytest.mark.parametrize("template", ["a photo", "{} {}", "a {name}", "templates.txt"])
def test_a_template_has_one_place_for_the_name(template):
    """Told by the method's options, so before anybody is asked."""
    for templates in (template, [template], ["{}", template]):
        with pytest.raises(FgvrError, match=r"exactly one \{\}"):
            ZeroShotMethod(TinyBackbone(), templates)
