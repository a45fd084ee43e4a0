import json

import pytest
import torch

from fgvr.errors import FgvrError
from fgvr.methods.zero_shot import ZeroShotMethod, template_features
from fgvr.testing.tiny import TinyBackbone
from fgvr.vocabulary.build import known_vocabulary


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


def test_sentences_take_the_place_of_the_name(backbone, tmp_path, monkeypatch):
    monkeypatch.setenv("FGVR_CACHE", str(tmp_path / "cache"))
    said = ["A House Finch has a red breast.", "A House Finch sings."]
    (tmp_path / "sentences.json").write_text(json.dumps({"house_finch": said}))
    method = ZeroShotMethod(backbone, "a photo of a {}.", tmp_path / "sentences.json")
    method.build(known_vocabulary(["House Finch", "Blue Jay"]), None)
    finch, jay = method.classifiers()["zero_shot"]
    mean = backbone.encode_text(said).mean(0)
    torch.testing.assert_close(finch, mean / mean.norm(), atol=1e-3, rtol=0)
    torch.testing.assert_close(jay, backbone.encode_text(["a photo of a Blue Jay."])[0])


def test_sentences_about_none_of_the_names_are_refused(backbone, tmp_path):
    (tmp_path / "sentences.json").write_text('{"Emu": ["An Emu is tall."]}')
    method = ZeroShotMethod(backbone, sentences=tmp_path / "sentences.json")
    with pytest.raises(FgvrError, match="no sentence about any of 1 name, such as 'Kea'"):
        method.build(known_vocabulary(["Kea"]), None)
