import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from tiny.server import TinyAnswer, TinyServer

from fgvr.cli import main
from fgvr.errors import FgvrError
from fgvr.methods.labeler_direct import LabelerDirectMethod
from fgvr.registry import METHODS
from fgvr.testing.tiny import TinyBackbone

SPECIES, TEST = 4, 3
ASKED = SPECIES * TEST
DATA = [
    *["--data.dataset", "fieldguide", "--data.dataset.species", f"{SPECIES}", "--data.dataset.support", "2"],
    *["--data.dataset.test", f"{TEST}", "--data.dataset.part", "development"],
]
MODEL = ["--model", "labeler_direct", "--trainer.accelerator", "cpu"]
SIMULATED = ["--data.labeler", "fieldguide"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FGVR_CACHE", str(tmp_path / "cache"))
    return tmp_path


def fit(capsys, *options):
    assert main(["fit", *DATA, *options]) == 0
    run = Path(capsys.readouterr().out.splitlines()[-1])
    return run, json.loads((run / "metrics.json").read_text())


def test_the_row_is_that_of_data_direct(folder, capsys, monkeypatch):
    monkeypatch.setattr(TinyBackbone, "load", lambda self: pytest.fail("no weights are read"))
    run, metrics = fit(capsys, *SIMULATED, *MODEL, "--model.backbone", "fgvr.testing.tiny.TinyBackbone")
    monkeypatch.undo()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("FGVR_CACHE", str(folder / "cache"))
    assert list(metrics) == ["labeler_direct"]
    assert metrics["labeler_direct"]["cost_usd"] == pytest.approx(ASKED * 0.003)
    assert metrics["labeler_direct"]["simulated"]
    rows = pq.read_table(run / "predictions.parquet").to_pylist()
    assert len(rows) == ASKED
    assert all(row["labeler_direct_score"] is None for row in rows)
    assert not (run / "labels.parquet").exists(), "no support photo is asked about"
    assert not list(run.glob("checkpoints/*"))
    assert "labeler_direct" in (run / "report.html").read_text()

    zero_shot = ["--model", "zero_shot", "--model.backbone", "fgvr.testing.tiny.TinyBackbone"]
    beside, others = fit(capsys, *SIMULATED, *zero_shot, "--trainer.accelerator", "cpu", "--data.direct", "true")
    assert others["labeler"] == metrics["labeler_direct"]
    names = pq.read_table(beside / "predictions.parquet")["labeler_name"].to_pylist()
    assert names == [row["labeler_direct_name"] for row in rows]


def test_label_asks_about_the_evaluated_photos_alone(folder, capsys, caplog):
    caplog.set_level("INFO", logger="fgvr")
    assert main(["label", *DATA, *SIMULATED, *MODEL, "--dry-run"]) == 0
    assert f"{ASKED} photos, {ASKED} requests: 0 stored, {ASKED} to ask" in capsys.readouterr().out
    assert main(["label", *DATA, *SIMULATED, *MODEL]) == 0
    capsys.readouterr()
    fit(capsys, *SIMULATED, *MODEL)
    assert f"{ASKED} stored, 0 to ask" in caplog.text


def test_a_server_is_asked_once_and_within_the_budget(folder, capsys):
    async def answer(body):
        return TinyAnswer({"raw": "It is a **Blue Jay**."})

    with TinyServer(answer) as server:
        labeler = ["--data.labeler", "tiny.remote.TinyRemoteLabeler", "--data.labeler.base_url", server.url]
        labeler += ["--data.labeler.price_usd", "0.01"]
        assert main(["fit", *DATA, *labeler, *MODEL, "--data.max_cost_usd", "0.05"]) == 2
        assert "max_cost_usd" in capsys.readouterr().err
        stored = len(server.asked)
        assert 0 < stored <= 5
        run, metrics = fit(capsys, *labeler, *MODEL)
        assert len(server.asked) == ASKED, "what was paid for is not asked again"
        assert metrics["labeler_direct"]["cost_usd"] == pytest.approx(0.01 * ASKED)
        assert [each["name"] for each in json.loads((run / "vocabulary.json").read_text())["classes"]] == ["Blue Jay"]
        assert main(["predict", *DATA, *labeler, *MODEL]) == 0
        capsys.readouterr()
        # a chosen vocabulary is stated, and the names are its own spellings
        stated, _ = fit(capsys, *labeler, *MODEL, "--data.class_names", "dataset")
        assert len(json.loads((stated / "vocabulary.json").read_text())["classes"]) == SPECIES
        assert len(server.asked) == ASKED


def test_beside_other_rows(folder, capsys):
    zero_shot = ["--model", "zero_shot", "--model.backbone", "fgvr.testing.tiny.TinyBackbone"]
    compare = json.dumps({"direct": {"model": "labeler_direct"}})
    _, metrics = fit(capsys, *SIMULATED, *zero_shot, "--trainer.accelerator", "cpu", "--compare", compare)
    assert set(metrics) == {"zero_shot", "direct"}
    assert metrics["direct"]["cost_usd"] == pytest.approx(ASKED * 0.003)


def test_replies_about_support_photos_do_not_do(folder, capsys):
    """One line says of which photos replies are missing."""
    support = [*DATA, *SIMULATED, "--model", "zero_shot", "--model.backbone", "fgvr.testing.tiny.TinyBackbone"]
    assert main(["label", *support]) == 0
    assert main(["store", "export", "replies.jsonl"]) == 0
    capsys.readouterr()
    lines = [json.loads(line) for line in Path("replies.jsonl").read_text().splitlines()]
    Path("support.jsonl").write_text(
        "".join(json.dumps({"image": line["sample_id"], "raw": line["raw"]}) + "\n" for line in lines)
    )
    recorded = ["--data.labeler", "recorded", "--data.labeler.path", "support.jsonl"]
    assert main(["fit", *DATA, *recorded, *MODEL]) == 2
    (error,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("fgvr: error")]
    assert f"None of the {ASKED} test photos is in support.jsonl" in error


def test_a_photo_without_a_name_has_an_empty_one(folder, capsys):
    said = iter(["I cannot tell.", ""] + ["A house finch."] * ASKED)

    async def answer(body):
        return TinyAnswer({"raw": next(said)})

    with TinyServer(answer) as server:
        labeler = ["--data.labeler", "tiny.remote.TinyRemoteLabeler", "--data.labeler.base_url", server.url]
        run, _ = fit(capsys, *labeler, *MODEL)
    names = pq.read_table(run / "predictions.parquet")["labeler_direct_name"].to_pylist()
    assert names.count("") == 2
    assert len(set(names)) == 2


def test_what_it_has_not(folder, capsys):
    method = LabelerDirectMethod()
    with pytest.raises(FgvrError, match="no classifier, as it asks the labeler about each photo"):
        method.classifiers()
    for call in (
        method.backbone.fingerprint,
        method.backbone.prompt_encoder,
        lambda: method.backbone.encode_text(["a"]),
        lambda: method.backbone.encode_image(None),
    ):
        with pytest.raises(FgvrError, match=r"no backbone: set model\.backbone, to lite"):
            call()
    method._pass = "validate"
    with pytest.raises(FgvrError, match="asks about the evaluated photos and no others"):
        method.begin_evaluation()
    assert main(["fit", *DATA, *MODEL]) == 2
    assert "No labeler is set" in capsys.readouterr().err


def test_every_method_says_what_it_needs():
    for name in METHODS.builtins:
        method = METHODS.load(name)
        assert method.brings_names == (name in ("cased", "labeler_direct", "zs_wordnet"))
        assert method.needs_features != method.asks_evaluated
