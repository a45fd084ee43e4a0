import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from tiny.server import TinyAnswer, TinyServer

from fgvr.cli import main

SPECIES, SHOTS, TEST = 4, 2, 3
TINY = "tiny.remote.TinyRemoteLabeler"
OPTIONS = [
    *["--data.dataset", "fieldguide", "--data.dataset.species", f"{SPECIES}", "--data.dataset.support", "3"],
    *["--data.dataset.test", f"{TEST}", "--data.dataset.part", "development"],
    *["--data.labeler", "fieldguide", "--data.shots", f"{SHOTS}", "--data.batch_size", "4"],
    *["--model", "coop", "--model.backbone", "fgvr.testing.tiny.TinyBackbone", "--model.head", "prompt"],
    *["--model.head.n_ctx", "2", "--trainer.accelerator", "cpu", "--trainer.max_epochs", "1"],
]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FGVR_CACHE", str(tmp_path / "cache"))
    return tmp_path


def test_the_labeler_itself_is_the_last_row(folder, capsys, caplog):
    caplog.set_level("INFO", logger="fgvr")
    assert main(["fit", *OPTIONS, "--data.direct", "true"]) == 0
    asked = SPECIES * (SHOTS + TEST)
    assert f"{asked} to ask, about $0.06 (simulated)" in caplog.text
    run = Path(capsys.readouterr().out.splitlines()[-1])
    metrics = json.loads((run / "metrics.json").read_text())
    assert list(metrics) == ["zero_shot", "coop", "labeler"]
    assert metrics["labeler"]["cost_usd"] == pytest.approx(SPECIES * TEST * 0.003)
    assert metrics["coop"]["cost_usd"] == pytest.approx(SPECIES * SHOTS * 0.003)
    assert metrics["coop"]["label_seconds"] == pytest.approx(SPECIES * SHOTS * 2)
    assert metrics["coop"]["candidates"] == "knn"
    assert "candidates" not in metrics["zero_shot"]
    assert all(row["simulated"] for row in metrics.values())
    assert "simulated" in (run / "report.html").read_text()

    predictions = pq.read_table(run / "predictions.parquet").to_pylist()
    right = sum(row["labeler_name"] == row["true_name"] for row in predictions)
    assert 0 < right <= len(predictions) == SPECIES * TEST
    assert all(row["labeler_score"] is None and row["coop_score"] > 0 for row in predictions)
    assert len(pq.read_table(run / "labels.parquet")) == SPECIES * SHOTS, "the vocabulary is that of the support photos"

    caplog.clear()
    assert main(["fit", *OPTIONS, "--data.direct", "true"]) == 0
    assert f"{asked} stored, 0 to ask" in caplog.text
    assert "0 pictures to compute" in caplog.text
    assert "(simulated)" in capsys.readouterr().out


def test_label_asks_about_the_evaluated_photos_too(folder, capsys):
    assert main(["label", *OPTIONS, "--dry-run"]) == 0
    assert f"{SPECIES * SHOTS} to ask" in capsys.readouterr().out
    assert main(["label", *OPTIONS, "--data.direct", "true", "--dry-run"]) == 0
    assert f"{SPECIES * (SHOTS + TEST)} to ask" in capsys.readouterr().out


def test_a_model_chooses_among_the_known_names(folder, capsys):
    """LatteCLIP's "LLaVA zero-shot": nobody writes the list of names down again."""

    async def answer(body):
        listed = body["prompt"].partition("options:")[2].partition(". Write")[0].split(", ")
        assert len(listed) == SPECIES
        return TinyAnswer({"raw": f"It is a {listed[0].lower()}."})

    with TinyServer(answer) as server:
        labeler = [
            "--data.labeler",
            "tiny.remote.TinyRemoteLabeler",
            "--data.labeler.base_url",
            server.url,
        ]
        zero_shot = ["--model", "zero_shot", "--model.backbone", "fgvr.testing.tiny.TinyBackbone"]
        options = [*OPTIONS[: OPTIONS.index("--data.labeler")], *labeler, *zero_shot, "--data.class_names", "dataset"]
        assert main(["fit", *options, "--data.labeler.task", "choose", "--data.direct", "true"]) == 0
        assert len(server.asked) == SPECIES * TEST
        metrics = json.loads((folder / "runs/run/0/metrics.json").read_text())
        assert metrics["labeler"]["accuracy"] == pytest.approx(100 / SPECIES)
        free = ["--data.labeler.task", "choose", "--data.class_names", "labels"]
        capsys.readouterr()
        assert main(["fit", *options, *free]) == 2
        assert "'choose' has nothing to choose from" in capsys.readouterr().err


def test_known_names_are_not_simulated(folder, capsys):
    zero_shot = ["--model", "zero_shot", "--model.backbone", "fgvr.testing.tiny.TinyBackbone"]
    assert main(["fit", *OPTIONS[: OPTIONS.index("--model")], *zero_shot, "--data.class_names", "dataset"]) == 0
    metrics = json.loads((folder / "runs/run/0/metrics.json").read_text())
    assert "simulated" not in metrics["zero_shot"]
    assert "simulat" not in capsys.readouterr().out


def test_direct_asks_only_where_its_row_is_made(folder, capsys, caplog):
    caplog.set_level("INFO", logger="fgvr")
    assert main(["fit", *OPTIONS, "--data.direct", "true"]) == 0
    run = Path(capsys.readouterr().out.splitlines()[-1])
    saved = ["--config", str(run / "config.yaml"), "--ckpt_path", str(run / "checkpoints/last.ckpt")]
    flat = folder / "new"
    flat.mkdir()
    image = next((folder / "cache" / "fieldguide").rglob("test/*/000.png"))
    (flat / "a.png").write_bytes(image.read_bytes())
    other = ["--data.dataset", "folder", "--data.dataset.root", str(flat)]
    caplog.clear()
    assert main(["predict", *saved, *other]) == 0, "new photos without names, and nothing is asked"
    assert "to ask" not in caplog.text
    caplog.clear()
    assert main(["test", *saved, "--data.label_store", "other.sqlite"]) == 0
    assert f"{SPECIES * TEST} photos" in caplog.text, "the support photos are not needed again"
    tested = json.loads((folder / capsys.readouterr().out.splitlines()[-1] / "metrics.json").read_text())
    assert list(tested) == ["zero_shot", "coop", "labeler"]
    assert main(["candidates", *OPTIONS, "--data.direct", "true"]) == 0, "candidate sets need the support photos only"


def test_names_from_a_simulated_labeler_stay_simulated_through_a_checkpoint(folder, capsys):
    assert main(["fit", *OPTIONS]) == 0
    run = Path(capsys.readouterr().out.splitlines()[-1])
    saved = ["--config", str(run / "config.yaml"), "--ckpt_path", str(run / "checkpoints/last.ckpt")]
    assert main(["test", *saved, "--data.labeler", "null"]) == 0
    assert "coop (simulated)" in capsys.readouterr().out
