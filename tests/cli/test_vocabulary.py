"""What data.vocabulary does to a run."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from forked_fit import fit_in_two_processes
from tiny.labeler import TinyLabeler
from tiny_run import COLOURS, OPTIONS, SUPPORT

import fgvr
from fgvr.cli import main
from fgvr.labelers.reconsider import ReconsiderLabeler
from fgvr.records import Join
from fgvr.vocabulary.base import VocabularyStrategy

CLASSES = len(COLOURS)
RULES = {"granularity": {"granularity"}, "looks": {"looks", "rare"}}


@pytest.fixture
def replies_with_years(tiny_run):
    lines = [json.loads(line) for line in Path("replies.jsonl").read_text().splitlines()]
    for number, line in enumerate(lines):
        if number % SUPPORT == 3:
            line["raw"] = line["raw"].replace("**.", f" {2000 + number}**.")
    Path("replies.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_names_are_joined_and_the_files_say_why(replies_with_years, capsys):
    assert main(["label", *OPTIONS]) == 0
    assert main(["candidates", *OPTIONS]) == 0
    spelled = json.loads((Path(capsys.readouterr().out.splitlines()[-1]) / "vocabulary.json").read_text())
    assert len(spelled["classes"]) == 2 * CLASSES
    assert "joins" not in spelled
    assert main(["fit", *OPTIONS, "--trainer.max_epochs", "1", "--data.vocabulary", "granularity"]) == 0
    folder = fgvr.open_run(max(Path("runs/run").iterdir())).folder
    joined = json.loads(folder.vocabulary.read_text())
    assert [entry["name"] for entry in joined["classes"]] == sorted(COLOURS)
    assert {join["into"] for join in joined["joins"]} == set(COLOURS)
    report = folder.report.read_text()
    assert "the same without year" in report
    assert "8 different spellings became 8 classes" in report
    assert "Joining made 4 classes of them, for the reasons below: 4 photos have another class than before." in report
    assert [join["count"] for join in joined["joins"]] == [1] * CLASSES
    metrics = json.loads(folder.metrics.read_text())
    figures = {"name": "granularity", "classes_before": 2 * CLASSES, "classes": CLASSES, "photos": CLASSES}
    assert metrics["coop"]["vocabulary"] == figures
    assert "vocabulary" not in metrics["zero_shot"]
    assert "follow_ups" not in metrics["coop"]
    header = next(folder.path.glob("logs/version_0/metrics.csv")).read_text().partition("\n")[0]
    assert {"candidates/photos", "candidates/coverage"} <= set(header.split(","))
    # the checkpoint's own vocabulary is taken, and a file of it as it is
    assert main(["test", "--config", str(folder.config), "--ckpt_path", str(folder.checkpoints / "last.ckpt")]) == 0
    capsys.readouterr()
    given = ["--data.class_names", str(folder.vocabulary), "--data.vocabulary", "granularity"]
    assert main(["candidates", *OPTIONS, *given]) == 0
    again = json.loads((Path(capsys.readouterr().out.splitlines()[-1]) / "vocabulary.json").read_text())
    assert again["classes"] == joined["classes"]
    assert "joins" not in again, "a person may have changed what was joined"


@pytest.mark.parametrize("strategy", ["granularity", "looks"])
@pytest.mark.usefixtures("replies_with_years")
def test_one_and_two_processes_agree(tiny_run, strategy):
    options = [*OPTIONS, "--data.vocabulary", strategy, "--trainer.max_epochs", "2", "--compare", "null"]
    assert main(["fit", *options, "--run.name", "one"]) == 0
    # with features that they compute themselves
    fit_in_two_processes([*options, "--run.name", "two"], FGVR_CACHE=str(tiny_run / "cache of two"))
    one, two = (fgvr.open_run(Path("runs") / name / "0").folder for name in ("one", "two"))
    rules = {join["rule"] for join in json.loads(one.vocabulary.read_text())["joins"]}
    assert rules
    assert rules <= RULES[strategy]
    for file in ("labels", "vocabulary", "candidates", "neighbours"):
        assert getattr(two, file).read_bytes() == getattr(one, file).read_bytes(), file
    predictions = [pq.read_table(folder.predictions).to_pandas() for folder in (one, two)]
    scores = [column for column in predictions[0] if column.endswith("_score")]
    np.testing.assert_allclose(*(each[scores].to_numpy(float) for each in predictions), atol=1e-4)
    assert predictions[0].drop(columns=scores).equals(predictions[1].drop(columns=scores))


class LooksVocabulary(VocabularyStrategy):
    """Joins the two names whose photos and texts are there."""

    def joins(self, vocabulary, given):
        """See the base class."""
        images, texts = given.image_features("visual"), given.text_features(vocabulary.names)
        assert (len(images), len(texts)) == (len(given.labels), len(vocabulary))
        assert all(label.sample_id for label in given.labels)
        return [Join(vocabulary.names[0], vocabulary.names[1], "looks", "they look alike")]


def test_a_strategy_looks_at_photos_and_texts(tiny_run):
    options = {"dataset": {"class_path": "manifest", "init_args": {"root": "birds"}}}
    options["labeler"] = {"class_path": "recorded", "init_args": {"path": "replies.jsonl"}}
    model = {"class_path": "zero_shot", "init_args": {"backbone": "fgvr.testing.tiny.TinyBackbone"}}
    run = fgvr.fit(data={**options, "vocabulary": LooksVocabulary()}, model=model)
    assert len(run.vocabulary) == CLASSES - 1
    assert [join.why for join in run.vocabulary.joins] == ["they look alike"]


def test_a_run_says_what_asking_again_cost(tiny_run):
    birds = list(COLOURS)
    photos = {f"photos/{number}_{i}.png": name for number, name in enumerate(birds) for i in range(SUPPORT)}
    rare = {photo: f"{name} 20{number:02}" for number, (photo, name) in enumerate(photos.items()) if photo[-5] == "3"}
    chosen = {photo: photos[photo] for photo in rare} | {"photos/0_3.png": "I cannot tell."}
    labeler = ReconsiderLabeler(
        TinyLabeler(photos | rare, price_usd=0.01), TinyLabeler(chosen, price_usd=0.105, prompt="Which?")
    )
    data = {"dataset": {"class_path": "manifest", "init_args": {"root": "birds"}}, "labeler": labeler}
    model = {"class_path": "class_means", "init_args": {"backbone": "fgvr.testing.tiny.TinyBackbone"}}
    run = fgvr.fit(data=data, model=model)
    metrics = json.loads(run.folder.metrics.read_text())
    own = list(metrics)[-1]
    again = {"photos": 4, "requests": 4, "cost_usd": pytest.approx(0.42), "renamed": 3}
    assert metrics[own]["follow_ups"] == {**again, "names_before": 8, "names": 5}
    assert metrics[own]["cost_usd"] == pytest.approx(16 * 0.01 + 0.42)
    report = run.folder.report.read_text()
    assert "Asking again about 4 photos is 4 requests and US$ 0.42 of it" in report
    assert "3 photos have a new name, and there are 5 different first names where there were 8." in report
    assert "vocabulary" not in metrics[own], "names were not joined"


def test_a_list_that_is_not_there_stops_before_anything_is_asked(tiny_run, capsys):
    assert main(["label", *OPTIONS, "--data.vocabulary", "granularity", "--data.vocabulary.without", "[yaer]"]) == 2
    assert "'yaer' is none of auto, body, size, year" in capsys.readouterr().err
    assert not Path("runs").exists()
