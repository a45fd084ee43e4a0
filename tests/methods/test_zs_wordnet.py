import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
from tiny.wordnet import FIRST_LEMMAS, write_wordnet

from fgvr.cli import main
from fgvr.data.batches import Batch
from fgvr.methods.base import Method
from fgvr.methods.zs_wordnet import ZsWordnetMethod
from fgvr.testing.tiny import TinyBackbone

NAMES = list(FIRST_LEMMAS[:7])
"""The first of those that are spellings of one name."""
OPTIONS = [
    *["--data.dataset", "fieldguide", "--data.dataset.species", "4", "--data.dataset.support", "2"],
    *["--data.dataset.test", "3", "--data.dataset.part", "development", "--trainer.accelerator", "cpu"],
]
MODEL = ["--model", "zs_wordnet", "--model.backbone", "fgvr.testing.tiny.TinyBackbone", "--model.wordnet", "wordnet"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FGVR_CACHE", str(tmp_path / "cache"))
    write_wordnet(tmp_path / "wordnet")
    return tmp_path


@pytest.fixture
def encoded(monkeypatch):
    """Texts that the backbone was given."""
    texts = []
    encode = TinyBackbone.encode_text

    def noted(self, given, truncate=False):
        texts.extend(given)
        return encode(self, given, truncate)

    monkeypatch.setattr(TinyBackbone, "encode_text", noted)
    return texts


def fit(capsys, *options):
    assert main(["fit", *OPTIONS, *options]) == 0
    return Path(capsys.readouterr().out.splitlines()[-1])


def test_a_row_without_labels(folder, capsys, encoded):
    run = fit(capsys, *MODEL)
    assert list(json.loads((run / "metrics.json").read_text())) == ["zs_wordnet"]
    assert [each["name"] for each in json.loads((run / "vocabulary.json").read_text())["classes"]] == NAMES
    assert not (run / "labels.parquet").exists()
    assert not list(run.glob("checkpoints/*")), "nothing is learned"
    rows = pq.read_table(run / "predictions.parquet").to_pylist()
    backbone = TinyBackbone()
    backbone.load()
    assert sorted(encoded) == sorted(NAMES)
    assert {row["zs_wordnet_name"] for row in rows} <= set(NAMES)
    assert all(0 < row["zs_wordnet_score"] <= 1 for row in rows)

    encoded.clear()
    again = fit(capsys, *MODEL)
    assert encoded == [], "text features are kept"
    assert pq.read_table(again / "predictions.parquet").equals(pq.read_table(run / "predictions.parquet"))
    fit(capsys, *MODEL, "--model.templates", "a photo of a {}.")
    assert sorted(encoded) == sorted(f"a photo of a {name}." for name in NAMES)


def test_classes_are_those_of_the_cosines(folder):
    method = ZsWordnetMethod(TinyBackbone(), Path("wordnet"), ["{}", "a {}."])
    method.backbone.load()
    method.build(method.discover(None), None)
    texts = [method.backbone.encode_text([form.format(name) for name in NAMES]) for form in ("{}", "a {}.")]
    expected = torch.nn.functional.normalize(sum(texts), dim=-1)
    torch.testing.assert_close(method.classifiers()["zs_wordnet"], expected, atol=1e-3, rtol=0)
    assert not method.state_dict(), "a checkpoint would not hold the matrix"


def test_a_large_batch_is_classified_in_parts(folder, monkeypatch):
    monkeypatch.setattr(ZsWordnetMethod, "photos_a_step", 4)
    seen = []
    monkeypatch.setattr(Method, "evaluation_step", lambda self, batch: seen.append((batch.images, batch.rows)))
    images, rows = torch.randn(10, 16), torch.arange(10) + 5
    ZsWordnetMethod(TinyBackbone()).evaluation_step(Batch(images, rows))
    assert [len(part) for part, _ in seen] == [4, 4, 2]
    assert torch.equal(torch.cat([part for part, _ in seen]), images)
    assert torch.equal(torch.cat([part for _, part in seen]), rows)


def test_beside_other_rows(folder, capsys):
    """Its vocabulary is not the run's, nor the run's names its own."""
    zero_shot = ["--model", "zero_shot", "--model.backbone", "fgvr.testing.tiny.TinyBackbone"]
    compare = json.dumps({"wordnet": {"model": "zs_wordnet", "model.wordnet": "wordnet"}})
    run = fit(capsys, *zero_shot, "--data.class_names", "dataset", "--compare", compare)
    rows = pq.read_table(run / "predictions.parquet").to_pylist()
    assert set(json.loads((run / "metrics.json").read_text())) == {"zero_shot", "wordnet"}
    assert all(row["wordnet_name"] in NAMES and row["zero_shot_name"] not in NAMES for row in rows)


def test_given_class_names_are_said_to_be_of_no_use(folder, capsys, caplog):
    fit(capsys, *MODEL, "--data.class_names", "dataset")
    assert caplog.text.count("data.class_names is not used by ZsWordnetMethod: it finds class names of its own") == 1


def test_no_wordnet_is_one_line(folder, capsys):
    assert main(["fit", *OPTIONS, *MODEL[:-1], "nowhere"]) == 2
    assert "model.wordnet: there is no WordNet in 'nowhere'" in capsys.readouterr().err
