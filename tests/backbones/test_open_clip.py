import json
import urllib.error

import open_clip
import pytest
import torch
from backbones.prompts import check_batches

from fgvr.backbones.open_clip import OpenClipBackbone
from fgvr.errors import FgvrError
from fgvr.testing.backbones import check_backbone

VISION = {"image_size": 32, "layers": 2, "width": 32, "patch_size": 16, "head_width": 16}
TEXT = {"context_length": 77, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2}
MODELS = {
    "fgvr-tiny-clip": {"embed_dim": 24, "vision_cfg": VISION, "text_cfg": TEXT},
    "fgvr-tiny-custom": {
        "embed_dim": 24,
        "vision_cfg": VISION,
        "text_cfg": TEXT | {"proj_bias": True, "pool_type": "eos", "eos_id": 49407},
        "custom_text": True,
    },
    # no causal mask: padding takes part in the features
    "fgvr-tiny-bidirectional": {
        "embed_dim": 24,
        "vision_cfg": VISION,
        "text_cfg": TEXT | {"no_causal_mask": True},
        "custom_text": True,
    },
}
NAMES = ["cat", "Great Pyrenees", "St. Bernard", "1967 Ford Mustang Convertible", "Côte d'Or wine"]


@pytest.fixture(scope="module")
def configs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("configs")
    for name, config in MODELS.items():
        (folder / f"{name}.json").write_text(json.dumps(config))
    return folder


@pytest.fixture(scope="module")
def backbones(configs, tmp_path_factory):
    """Every tiny model, with random weights read from a file."""
    open_clip.add_model_config(configs)
    folder, loaded = tmp_path_factory.mktemp("weights"), {}
    for seed, name in enumerate(MODELS):
        torch.manual_seed(seed)
        torch.save(open_clip.create_model(name).state_dict(), folder / f"{name}.pt")
        loaded[name] = OpenClipBackbone(name, str(folder / f"{name}.pt"), config_dir=str(configs))
        loaded[name].load()
    return loaded


@pytest.fixture(params=MODELS)
def backbone(request, backbones):
    return backbones[request.param]


def prompts(backbone, names, words, position="end"):
    encoder = backbone.prompt_encoder()
    context = encoder.embed(words)
    encoder.prepare(names, len(context), position)
    return encoder(context)


def test_contract(backbone):
    check_backbone(backbone)


def test_model_classes(backbones):
    assert [type(backbone.clip).__name__ for backbone in backbones.values()] == ["CLIP", *["CustomTextCLIP"] * 2]


def test_logit_scale_is_a_factor(backbone):
    assert backbone.logit_scale == pytest.approx(1 / 0.07, rel=1e-5)


def test_weights_are_float32(backbone):
    assert {parameter.dtype for parameter in backbone.parameters()} == {torch.float32}


@pytest.mark.parametrize(
    ("position", "prompt"),
    [("end", "a photo of a {}."), ("middle", "a photo {} of a."), ("front", "{} a photo of a.")],
)
def test_hard_words_give_the_features_of_encode_text_and_the_full_stop_stays_at_the_end(backbone, position, prompt):
    names = [*NAMES, "Great_Pyrenees"]
    expected = backbone.encode_text([prompt.format(name.replace("_", " ")) for name in names])
    torch.testing.assert_close(prompts(backbone, names, "a photo of a", position), expected, atol=1e-5, rtol=0)


def test_prompts_are_cut_to_the_longest_where_that_is_exact(backbones):
    lengths = {}
    for name, backbone in backbones.items():
        encoder = backbone.prompt_encoder()
        encoder.prepare(["cat", "Great Pyrenees"], 16, "end")
        lengths[name] = encoder.tokens.shape[1]
    # start, 16 context tokens, "great pyrenees", full stop, end
    assert lengths == {"fgvr-tiny-clip": 21, "fgvr-tiny-custom": 21, "fgvr-tiny-bidirectional": 77}


def test_end_token_in_a_name_does_not_move_the_end(backbones):
    backbone = backbones["fgvr-tiny-clip"]
    context = torch.zeros(4, 32)
    features = []
    for name in ("<end_of_text> cat", "<end_of_text> dog"):
        encoder = backbone.prompt_encoder()
        encoder.prepare([name], 4, "end")
        features.append(encoder(context))
    assert (features[0] - features[1]).abs().max() > 1e-3


def test_batches_give_the_same_features_and_gradients(backbone):
    encoders = [backbone.prompt_encoder() for _ in range(2)]
    encoders[1].batch_size = 2
    check_batches(encoders, NAMES, 1e-6)


def test_too_long_name(backbone):
    encoder = backbone.prompt_encoder()
    encoder.prepare(["cat " * 58], 16, "end")
    with pytest.raises(FgvrError, match=r"'cat cat .*' has 59 tokens, but beside 16 context tokens 58 are free"):
        encoder.prepare(["dog", "cat " * 59], 16, "end")


def test_unknown_position(backbone):
    with pytest.raises(FgvrError, match="'end', 'middle' or 'front'"):
        backbone.prompt_encoder().prepare(["cat"], 4, "back")


def test_default_device_does_not_matter(backbones, configs):
    known = backbones["fgvr-tiny-clip"]
    backbone = OpenClipBackbone("fgvr-tiny-clip", known.pretrained, config_dir=str(configs))
    with torch.device("meta"):
        backbone.load()
    assert backbone.device.type == "cpu"
    assert backbone.fingerprint() == known.fingerprint()


def test_fingerprint_sees_the_activation(backbones, configs, tmp_path):
    known = backbones["fgvr-tiny-clip"]
    (tmp_path / "fgvr-tiny-clip.json").write_text(json.dumps(MODELS["fgvr-tiny-clip"] | {"quick_gelu": True}))
    backbone = OpenClipBackbone("fgvr-tiny-clip", known.pretrained, config_dir=str(tmp_path))
    backbone.load()
    open_clip.add_model_config(configs)
    assert backbone.fingerprint() != known.fingerprint()


def test_activation_follows_the_tag(monkeypatch, backbones):
    tag = {"file": backbones["fgvr-tiny-clip"].pretrained, "quick_gelu": True}
    monkeypatch.setitem(open_clip.pretrained._PRETRAINED, "fgvr-tiny-clip", {"openai": tag})
    backbone = OpenClipBackbone("fgvr-tiny-clip", "openai")
    backbone.load()
    assert type(backbone.clip.transformer.resblocks[0].mlp.gelu).__name__ == "QuickGELU"


def test_local_dir(backbones, tmp_path):
    known = backbones["fgvr-tiny-custom"]
    config = {"model_cfg": MODELS["fgvr-tiny-custom"], "preprocess_cfg": {"mean": [0.5] * 3, "std": [0.5] * 3}}
    (tmp_path / "open_clip_config.json").write_text(json.dumps(config))
    torch.save(known.clip.state_dict(), tmp_path / "open_clip_pytorch_model.bin")
    backbone = OpenClipBackbone(f"local-dir:{tmp_path}")
    backbone.load()
    assert torch.equal(backbone.encode_text(["cat"]), known.encode_text(["cat"]))
    assert backbone.fingerprint() != known.fingerprint(), "the transform is another one"


@pytest.mark.parametrize(
    ("model", "pretrained", "parts"),
    [
        ("ViT-B-61", "openai", ["'ViT-B-61'", "ViT-B-16", "open_clip.list_models()"]),
        ("vit-b/16", "openai", ["'vit-b/16'", "ViT-B-16"]),
        ("ViT-B/16", "laion2b_s34b_b88", ["'laion2b_s34b_b88'", "laion2b_s34b_b88k", "list_pretrained_tags_by_model"]),
        ("ViT-B-16", "weights/none.pt", ["'weights/none.pt'", "neither a file nor a tag"]),
        ("ViT-B-16", None, ["ViT-B-16 needs weights", "list_pretrained_tags_by_model('ViT-B-16')"]),
        ("hf-hub:laion/some", "openai", ["leave out pretrained='openai'"]),
        ("hf-hub:laion/some", None, ["hf-hub:laion/some", "HF_HUB_OFFLINE=1", "'lite'"]),
        ("local-dir:/no/such/folder", None, ["local-dir:/no/such/folder"]),
    ],
)
def test_wrong_names(model, pretrained, parts):
    with pytest.raises(FgvrError) as caught:
        OpenClipBackbone(model, pretrained).load()
    for part in parts:
        assert part in str(caught.value)


def test_text_memory(backbones, configs):
    with pytest.raises(FgvrError, match=r"text_memory_gb is -1.0; expected 0 or more"):
        OpenClipBackbone("fgvr-tiny-clip", text_memory_gb=-1.0)
    known = backbones["fgvr-tiny-clip"]
    backbone = OpenClipBackbone("fgvr-tiny-clip", known.pretrained, config_dir=str(configs), text_memory_gb=0.5)
    backbone.load()
    assert backbone.prompt_encoder().keep_bytes == 500_000_000


def test_wrong_config_dir(tmp_path):
    with pytest.raises(FgvrError, match="no such folder"):
        OpenClipBackbone("fgvr-tiny-clip", "openai", config_dir=str(tmp_path / "none")).load()


def test_no_network(monkeypatch):
    def fail(*args, **kwargs):
        raise urllib.error.URLError("Name or service not known")

    monkeypatch.setattr(open_clip.factory, "download_pretrained", fail)
    with pytest.raises(FgvrError, match=r"Name or service not known.*HF_HUB_OFFLINE=1"):
        OpenClipBackbone("ViT-B-16", "openai").load()


def test_file_without_these_weights(backbones, tmp_path):
    file = tmp_path / "weights.pt"
    torch.save({"weight": torch.zeros(3)}, file)
    with pytest.raises(FgvrError, match=r"weights.pt has no weights for fgvr-tiny-clip") as caught:
        OpenClipBackbone("fgvr-tiny-clip", str(file)).load()
    assert "\n" not in str(caught.value)


def test_pickled_code_is_refused(backbones, tmp_path):
    file = tmp_path / "weights.pt"
    torch.save({"weight": print}, file)
    with pytest.raises(FgvrError, match="holds Python objects beside tensors"):
        OpenClipBackbone("fgvr-tiny-clip", str(file)).load()
