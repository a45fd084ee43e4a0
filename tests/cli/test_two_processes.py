"""What is learned of each photo is the same on one process and on two."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
from forked_fit import fit_in_two_processes

from fgvr.cli import main

SPECIES, SHOTS, BATCH = 7, 3, 8
OPTIONS = [
    *["--data.dataset", "fieldguide", "--data.dataset.species", f"{SPECIES}", "--data.dataset.support", "3"],
    *["--data.dataset.test", "1", "--data.labeler", "fieldguide", "--data.shots", f"{SHOTS}"],
    *["--data.batch_size", f"{BATCH}", "--model", "coop", "--model.backbone", "open_clip"],
    *["--model.backbone.model", "fieldguide-clip", "--model.head", "prompt"],
    *["--model.head.init_words", "a photo of a", "--model.lr", "0.03"],
    *["--trainer.max_epochs", "8", "--trainer.accelerator", "cpu"],
]
LOSSES = {"proden": [], "near": ["--model.loss.warmup_epochs", "3"]}


def states(name):
    """The loss's state in the run's last checkpoint, one row for each photo of its candidate file."""
    checkpoint = torch.load(f"runs/{name}/0/checkpoints/last.ckpt", weights_only=True)
    return checkpoint["state_dict"]["loss._extra_state"]["state"]


@pytest.mark.slow
@pytest.mark.parametrize("loss", LOSSES)
def test_weights_and_candidate_sets_do_not_depend_on_the_number_of_processes(loss, tmp_path, monkeypatch):
    assert SPECIES * SHOTS % 2 == 1, "so that shares of the last batch are uneven"
    assert SPECIES * SHOTS % BATCH % 2 == 1
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FGVR_CACHE", str(tmp_path / "cache"))
    options = [*OPTIONS, "--model.loss", loss, *LOSSES[loss]]
    assert main(["fit", *options, "--run.name", "one"]) == 0
    # with features that they compute themselves
    fit_in_two_processes([*options, "--run.name", "two"], FGVR_CACHE=str(tmp_path / "cache of two"))

    sets = [pq.read_table(Path("runs") / name / "0/candidates.parquet") for name in ("one", "two")]
    assert sets[1].equals(sets[0])
    assert sets[0].num_rows == SPECIES * SHOTS
    width = max(map(len, sets[0]["candidates"].to_pylist()))  # what else a loss keeps comes after the weights
    one, two = states("one"), states("two")
    assert ((one[:, :width] > 0.01) & (one[:, :width] < 0.99)).any(), "some weights are neither 0 nor 1"
    torch.testing.assert_close(two[:, :width], one[:, :width], rtol=0, atol=1e-5)
    torch.testing.assert_close(two, one, rtol=1e-5, atol=1e-5)
