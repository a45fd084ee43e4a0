"""What model.transductive does to a run."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from forked_fit import fit_in_two_processes
from tiny_run import COLOURS, OPTIONS, TEST

import fgvr
from fgvr.cli import main
from fgvr.methods.class_means import ClassMeansMethod
from fgvr.testing.tiny import TinyBackbone

OWN = "class_means_fused_transductive"
ROWS = ["zero_shot", "class_means", "class_means_fused", "class_means_transductive", OWN]
PLAIN = [*OPTIONS[: OPTIONS.index("--model")], "--model", "class_means", "--compare", "null"]
PLAIN += ["--model.backbone", "fgvr.testing.tiny.TinyBackbone", "--trainer.accelerator", "cpu"]
MOVED = [*PLAIN, "--model.transductive", "true"]


def last_folder():
    return fgvr.open_run(max(Path("runs/run").iterdir(), key=lambda folder: int(folder.name))).folder


def predictions_of(folder):
    return pq.read_table(folder.predictions).to_pandas()


def test_rows_and_files_say_it_and_other_rows_are_as_without(tiny_run, capsys):
    assert main(["fit", *PLAIN]) == 0
    plain = last_folder()
    assert main(["fit", *MOVED]) == 0
    printed = capsys.readouterr().out
    moved = last_folder()
    metrics = json.loads(moved.metrics.read_text())
    assert list(metrics) == ROWS
    assert OWN in printed
    assert OWN in moved.report.read_text()
    before, after = predictions_of(plain), predictions_of(moved)
    assert [f"{row}_name" in after for row in ROWS] == [True] * len(ROWS)
    shared = list(before.columns)
    assert before.equals(after[shared])
    for row, same in (("class_means_transductive", "class_means"), (OWN, "class_means_fused")):
        # the support photos are judged by what has not looked at the evaluated ones
        assert metrics[row]["agreement"] == metrics[same]["agreement"]
        assert not np.allclose(after[f"{row}_score"], after[f"{same}_score"], atol=1e-6)


def test_a_checkpoint_and_a_loaded_model_look_at_the_photos_that_they_name(tiny_run):
    assert main(["fit", *MOVED]) == 0
    folder = last_folder()
    fitted = predictions_of(folder)
    checkpoint = ["--config", str(folder.config), "--ckpt_path", str(folder.checkpoints / "last.ckpt")]
    assert main(["test", *checkpoint]) == 0
    assert predictions_of(last_folder()).equals(fitted)
    model = fgvr.load(folder)
    files = [Path("birds") / sample_id for sample_id in fitted["sample_id"]]
    together = model.predict(files, batch_size=5)
    assert [said.name for said in together] == list(fitted[f"{OWN}_name"])
    np.testing.assert_allclose([said.scores[0] for said in together], fitted[f"{OWN}_score"], atol=1e-3)
    alone = fgvr.load(folder, row="class_means_fused").predict(files)
    np.testing.assert_allclose([said.scores[0] for said in alone], fitted["class_means_fused_score"], atol=1e-3)


def test_one_and_two_processes_agree(tiny_run):
    assert main(["fit", *MOVED]) == 0
    alone = predictions_of(last_folder())
    fit_in_two_processes(MOVED)
    both = predictions_of(last_folder())
    scores = [column for column in alone if column.endswith("_score")]
    np.testing.assert_allclose(alone[scores].to_numpy(float), both[scores].to_numpy(float), atol=1e-5)
    assert alone.drop(columns=scores).equals(both.drop(columns=scores))
    assert len(alone) == TEST * len(COLOURS)


def test_fused_means_move_and_another_classifier_stays(tiny_run):
    assert main(["fit", *MOVED, "--model.classifier", "class_means", "--model.text_weight", "0"]) == 0
    said = predictions_of(last_folder())
    # without the text, the fused row is the means that moved, on another scale
    assert said["class_means_transductive_name"].equals(said[f"{OWN}_name"])
    assert not np.allclose(said[f"{OWN}_score"], said["class_means_fused_score"], atol=1e-6)
    assert main(["fit", *MOVED, "--model.classifier", "gaussian"]) == 0
    folder = last_folder()
    said = predictions_of(folder)
    assert said[f"{OWN}_score"].equals(said["class_means_fused_score"])
    checkpoint = ["--config", str(folder.config), "--ckpt_path", str(folder.checkpoints / "last.ckpt")]
    assert main(["test", *checkpoint]) == 0
    assert predictions_of(last_folder()).equals(said)


def test_a_folder_whose_photos_are_support_and_evaluated_is_named_photo_by_photo(tiny_run, caplog):
    manifest = Path("birds/manifest.csv")
    kept = [line for line in manifest.read_text().splitlines() if not line.endswith(",test")]
    manifest.write_text("\n".join(kept) + "\n")
    assert main(["fit", *MOVED]) == 0
    assert "The photos that are named are the support photos themselves" in caplog.text
    folder = last_folder()
    said = predictions_of(folder)
    assert said["class_means_transductive_name"].equals(said["class_means_name"])
    # other photos, named later and together, move the means
    others = sorted(Path("birds/photos").glob("*_[456].png"))
    together = fgvr.load(folder).predict(others)
    alone = [fgvr.load(folder).predict(other)[0] for other in others[:1]]
    assert together[0].scores != alone[0].scores


def test_a_subclass_keeps_its_row():
    class MyMethod(ClassMeansMethod):
        row = "mine"

    assert MyMethod(TinyBackbone()).row_names() == ("zero_shot", "class_means", "mine")
    assert MyMethod(TinyBackbone(), transductive=True).row == "mine_transductive"
