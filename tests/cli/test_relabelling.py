"""What data.relabelling does to a run."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from forked_fit import fit_in_two_processes
from tiny_run import COLOURS, OPTIONS, SUPPORT

import fgvr
from fgvr.cli import main
from fgvr.errors import FgvrError
from fgvr.relabelling.files import read_relabelling

IMAGES = SUPPORT * len(COLOURS)
MEANS = [*OPTIONS[: OPTIONS.index("--model")], "--model", "class_means"]
MEANS += ["--model.backbone", "fgvr.testing.tiny.TinyBackbone", "--trainer.accelerator", "cpu"]
EM = ["--data.relabelling", "em", "--data.relabelling.temperature", "0.02"]

ALWAYS = ["--data.relabelling.min_agreement", "0"]


def last_run():
    return fgvr.open_run(max(Path("runs/run").iterdir(), key=lambda folder: int(folder.name)))


@pytest.mark.parametrize("model", [MEANS, OPTIONS], ids=["class_means", "coop"])
@pytest.mark.parametrize("always", [True, False])
def test_names_are_said_anew_and_the_files_say_what_changed(tiny_run, model, always):
    options = [*model, *EM, "--data.candidates", "single", *(ALWAYS if always else [])]
    assert main(["fit", *options, "--compare", "null"]) == 0
    run = last_run()
    found = read_relabelling(run.folder.relabelling)
    metrics = json.loads(run.folder.metrics.read_text())
    own = list(metrics)[-1]
    assert metrics[own]["relabelling"]["applied"] is found.verdict.applied
    assert metrics[own]["relabelling"]["name"] == found.name == "em"
    assert (found.verdict.hidden_after is None) is always
    said = "were" if found.verdict.applied else "were not"
    assert f"Names {said} said anew by what photos look like (em)" in run.folder.report.read_text()
    sets = {row["sample_id"]: row for row in pq.read_table(run.folder.candidates).to_pylist()}
    said = pq.read_table(run.folder.relabelling).to_pylist()
    assert all(sets[row["sample_id"]]["candidates"] == row["after"] for row in said)
    if always:
        assert len(said) == IMAGES
        unnamed = next(row for row in said if not row["before"])
        assert unnamed["after"][0] == "Monk Parakeet"
        assert unnamed["sample_id"] in found.changed
        # every fourth name is wrong, and all of them are mended by colours
        truth = {f"photos/{number}_{i}.png": name for number, name in enumerate(COLOURS) for i in range(SUPPORT)}
        assert {row["sample_id"]: row["after"][0] for row in said} == truth
        assert "true name" in run.folder.report.read_text()


def test_it_is_no_part_of_a_run_that_does_not_ask_for_it(tiny_run):
    assert main(["fit", *MEANS, "--compare", "null"]) == 0
    run = last_run()
    assert not run.folder.relabelling.exists()
    assert "said anew" not in run.folder.report.read_text()
    assert "relabelling" not in run.folder.metrics.read_text()


def test_a_run_that_goes_on_and_a_second_one_say_the_same(tiny_run):
    options = [*OPTIONS, *EM, *ALWAYS, "--compare", "null"]
    assert main(["fit", *options, "--trainer.max_epochs", "2"]) == 0
    first = last_run()
    before = first.folder.relabelling.read_bytes(), first.folder.candidates.read_bytes()
    checkpoint = str(first.folder.checkpoints / "last.ckpt")
    assert (
        main(["fit", "--config", str(first.folder.config), "--ckpt_path", checkpoint, "--trainer.max_epochs", "3"]) == 0
    )
    assert (first.folder.relabelling.read_bytes(), first.folder.candidates.read_bytes()) == before
    assert main(["fit", *options, "--trainer.max_epochs", "2"]) == 0
    again = last_run()
    assert again.folder.path != first.folder.path
    assert again.folder.relabelling.read_bytes() == before[0]


def test_class_means_choose_by_names_that_relabelling_has_not_seen(tiny_run, monkeypatch):
    seen = []
    from fgvr.relabelling.em import EmRelabelling

    relabel = EmRelabelling.relabel

    def noted(self, features, names):
        seen.append(int((names.weights.sum(1) > 0).sum()))
        return relabel(self, features, names)

    monkeypatch.setattr(EmRelabelling, "relabel", noted)
    assert main(["fit", *MEANS, *EM, *ALWAYS, "--compare", "null"]) == 0
    named = IMAGES - 1
    # all names once, for the candidate sets; then once for each fold, without its names
    assert seen[0] == named
    assert len(seen) == 11
    assert all(named - 2 <= count < named for count in seen[1:])


def test_one_and_two_processes_agree(tiny_run):
    options = [*MEANS, *EM, *ALWAYS, "--compare", "null"]
    assert main(["fit", *options]) == 0
    alone = last_run().folder
    fit_in_two_processes(options)
    both = last_run().folder
    assert both.path != alone.path
    assert both.relabelling.read_bytes() == alone.relabelling.read_bytes()
    one, two = (pq.read_table(folder.predictions).to_pandas() for folder in (alone, both))
    scores = [column for column in one if column.endswith("_score")]
    np.testing.assert_allclose(one[scores].to_numpy(float), two[scores].to_numpy(float), atol=1e-4)
    assert one.drop(columns=scores).equals(two.drop(columns=scores))


def test_photos_that_nobody_was_asked_about_are_named(tiny_run):
    options = [*MEANS, *EM, *ALWAYS, "--data.select", "random", "--data.select.n", "12"]
    assert main(["fit", *options, "--compare", "null"]) == 0
    found = read_relabelling(last_run().folder.relabelling)
    assert found.images == IMAGES
    assert sum(not before for before, _ in found.changed.values()) >= 4


def test_from_python(tiny_run):
    from fgvr.relabelling import EmRelabelling

    data = {"dataset": {"class_path": "manifest", "init_args": {"root": "birds"}}}
    data["labeler"] = {"class_path": "recorded", "init_args": {"path": "replies.jsonl"}}
    model = {"class_path": "class_means", "init_args": {"backbone": "fgvr.testing.tiny.TinyBackbone"}}
    run = fgvr.fit(data={**data, "relabelling": EmRelabelling(temperature=0.02, min_agreement=0)}, model=model)
    assert len(read_relabelling(run.folder.relabelling).changed) >= 4


def test_a_file_that_does_not_say_is_refused(tiny_run):
    assert main(["fit", *MEANS, *EM, "--compare", "null"]) == 0
    path = last_run().folder.relabelling
    pq.write_table(pq.read_table(path).replace_schema_metadata({}), path)
    (path.parent / "checksums.txt").unlink()
    with pytest.raises(FgvrError, match="does not say whether names were said anew"):
        read_relabelling(path)
    path.write_text("no parquet")
    with pytest.raises(FgvrError, match="is not a Parquet file"):
        read_relabelling(path)


def test_a_file_of_an_older_version_has_the_name_of_the_class(tiny_run):
    assert main(["fit", *MEANS, *EM, "--compare", "null"]) == 0
    folder = last_run().folder
    table = pq.read_table(folder.relabelling)
    meta = {key: value.replace(b'"em"', b'"EmRelabelling"') for key, value in table.schema.metadata.items()}
    pq.write_table(table.replace_schema_metadata(meta), folder.relabelling)
    (folder.path / "checksums.txt").unlink()
    assert read_relabelling(folder.relabelling).name == "EmRelabelling"
    assert main(["report", str(folder.path)]) == 0
    assert "by what photos look like (EmRelabelling)" in folder.report.read_text()


def test_held_out_photos_that_lend_their_names_are_no_longer_unseen(tiny_run):
    options = [*OPTIONS, "--data.candidates", "single", "--data.holdout", "0.25", "--compare", "null"]
    assert main(["fit", *options]) == 0
    assert json.loads(last_run().folder.metrics.read_text())["coop"]["agreement_of"] == "held out"
    assert main(["fit", *options, *EM, *ALWAYS]) == 0
    assert json.loads(last_run().folder.metrics.read_text())["coop"]["agreement_of"] == "seen"


def test_what_cannot_do_anything_says_so(tiny_run, caplog):
    caplog.set_level("INFO", logger="fgvr")
    assert main(["fit", *MEANS, "--data.relabelling", "partial_label_graph", "--compare", "null"]) == 0
    assert "every candidate set has one name alone: set data.candidates to knn" in caplog.text
    zero_shot = [*MEANS[: MEANS.index("--model")], "--model", "zero_shot"]
    zero_shot += ["--model.backbone", "fgvr.testing.tiny.TinyBackbone", "--trainer.accelerator", "cpu"]
    assert main(["fit", *zero_shot, *EM, "--compare", "null"]) == 0
    assert "data.relabelling changes nothing: zero_shot learns from no candidate sets" in caplog.text


def test_a_mistyped_name_is_hinted_at(tiny_run, capsys):
    assert main(["fit", *MEANS, "--data.relabelling", "emm"]) != 0
    assert "Did you mean 'em'" in capsys.readouterr().err
