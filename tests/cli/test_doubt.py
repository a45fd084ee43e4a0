"""``fgvr doubt`` on a run of a tiny data set, some of whose true names are wrong."""

import csv
import hashlib
import json

import pytest
from tiny_run import OPTIONS, write_images

import fgvr
from fgvr.cli import main
from fgvr.metrics.files import write_metrics
from fgvr.records import Prediction
from fgvr.reports.predictions import write_predictions

NASTY = '<script>alert("x")</script>'


@pytest.fixture
def run(tiny_run):
    """A run of which two test photos of finches are said to be jays."""
    write_images(
        tiny_run / "birds",
        {name: name for name in ("House Finch", "Blue Jay", "Monk Parakeet")} | {"Atlantic Canary": NASTY},
    )
    manifest = tiny_run / "birds/manifest.csv"
    text = manifest.read_text()
    for number in (4, 5):
        text = text.replace(f"photos/0_{number}.png,House Finch", f"photos/0_{number}.png,Blue Jay")
    manifest.write_text(text)
    options = ["--model", "class_means", "--model.backbone", "fgvr.testing.tiny.TinyBackbone"]
    assert main(["fit", *OPTIONS[:8], *options, "--trainer.accelerator", "cpu"]) == 0
    return tiny_run / "runs/run/0"


def listed(path):
    with path.open(encoding="utf-8-sig", newline="") as stream:
        return list(csv.DictReader(stream))


def test_wrong_true_names_are_listed_and_corrected(run, capsys):
    found = fgvr.doubtful(run)
    assert {"photos/0_4.png", "photos/0_5.png"} <= {each.sample_id for each in found.images}
    assert not (run / "doubtful.csv").exists()
    assert main(["doubt", str(run)]) == 0
    rows = {row["sample_id"]: row for row in listed(run / "doubtful.csv")}
    assert {"photos/0_4.png", "photos/0_5.png"} <= rows.keys()
    assert rows["photos/0_4.png"]["other_name"] == "House Finch"
    assert "neighbours (" in rows["photos/0_4.png"]["who"]
    page = (run / "doubtful.html").read_text()
    assert "Blue Jay" in page
    assert "data:image/jpeg;base64," in page
    assert "<script" not in page

    before = {path: hashlib.sha256(path.read_bytes()).digest() for path in run.iterdir() if path.is_file()}
    decided = run.parent / "decided.csv"
    with decided.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, next(iter(rows.values())))
        writer.writeheader()
        writer.writerows({**row, "decision": "other"} for row in rows.values() if row["sample_id"] in list(rows)[:2])
    capsys.readouterr()
    figures = run.parent / "figures.json"
    assert main(["doubt", str(run), "--corrections", str(decided), "--output", str(figures)]) == 0
    assert "2 photos of the list: 2 other" in capsys.readouterr().out
    saved = json.loads(figures.read_text())
    own = list(saved["before"])[-1]
    metrics = json.loads((run / "metrics.json").read_text())
    assert saved["before"][own]["cacc"] == pytest.approx(metrics[own]["cacc"], abs=1e-3)
    assert saved["after"][own]["siou"] > saved["before"][own]["siou"]
    assert before == {path: hashlib.sha256(path.read_bytes()).digest() for path in before}
    assert fgvr.correct(run, decided).after == saved["after"]


def test_photos_that_are_gone_leave_the_rows(run, caplog):
    (run.parents[2] / "birds").rename(run.parents[2] / "moved")
    assert main(["doubt", str(run)]) == 0
    assert "Neighbours are not asked" in caplog.text
    assert (run / "doubtful.csv").is_file()
    assert main(["doubt", str(run), "--data.dataset.root", str(run.parents[2] / "moved")]) == 0


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--output", "list.txt"], "expected the name of a CSV file"),
        (["--corrections"], "--corrections has no value"),
        (["--corrections", "nowhere.csv"], "There is no 'nowhere.csv'"),
        (["--corrections", "nowhere.csv", "--trust"], "takes no option '--trust'"),
        (["--model.lr", "1"], "doubt takes no option '--model.lr'"),
    ],
)
def test_mistakes(tiny_run, capsys, args, said):
    folder = tiny_run / "runs/run/0"
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text("data: {}\n")
    prediction = Prediction("a", "test", "Pug", {"coop": "Pug"}, {"coop": 0.5})
    write_predictions([prediction], folder / "predictions.parquet")
    write_metrics(folder / "metrics.json", {"coop": {"cacc": 100.0}})
    assert main(["doubt", str(folder), *args]) == 2
    assert said in capsys.readouterr().err
