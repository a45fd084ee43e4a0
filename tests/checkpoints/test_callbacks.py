import csv
import json
import re
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
from forked_fit import fit_in_two_processes
from lightning.pytorch import Callback
from lightning.pytorch.callbacks import ModelCheckpoint
from tiny_run import COLOURS, OPTIONS, SUPPORT

from fgvr.checkpoints.best_checkpoint import BestCheckpoint
from fgvr.cli import main
from fgvr.data.datamodule import FgvrDataModule
from fgvr.data.holdout import draw_held_out
from fgvr.methods.coop import CoOpMethod

TINY_MODEL = [
    *["--model.backbone", "fgvr.testing.tiny.TinyBackbone", "--model.head", "prompt"],
    *["--model.head.n_ctx", "4", "--model.lr", "0.1"],
]
HOLDOUT = ["--data.holdout", "0.4"]
BEST = [*HOLDOUT, "--checkpoint.select", "approximated_accuracy"]
FIGURES = ("select/covering_rate", "select/approximated_accuracy")


def fit(*options):
    assert main(["fit", *OPTIONS, *options]) == 0


def checkpoint(name, folder="runs/run/0"):
    return torch.load(Path(folder) / f"checkpoints/{name}.ckpt", weights_only=True)


def row(folder="runs/run/0", name="coop"):
    return json.loads(Path(folder, "metrics.json").read_text())[name]


def logged(folder="runs/run/0"):
    """Figure -> its value in each epoch, over all parts of the run."""
    values = {}
    for path in sorted(Path(folder, "logs").glob("*/metrics.csv")):
        with path.open() as stream:
            for line in csv.DictReader(stream):
                for figure in FIGURES:
                    if line.get(figure):
                        values.setdefault(figure, {})[int(line["epoch"])] = float(line[figure])
    return values


@pytest.mark.parametrize("select", [[], ["--checkpoint.select", "covering_rate"]])
@pytest.mark.parametrize("model", [["class_means"], ["linear"], ["coop", "--model.fuse", "true"]])
def test_methods_that_read_the_visual_space_are_judged_too(tiny_run, model, select):
    options = [*OPTIONS[:10], "--model", *model, "--model.backbone", "fgvr.testing.tiny.TinyBackbone"]
    assert main(["fit", *options, "--trainer.accelerator", "cpu", "--trainer.max_epochs", "2", *HOLDOUT, *select]) == 0
    assert set(logged()) == set(FIGURES)
    fused = row(name=f"{model[0]}_fused")
    assert 0 <= fused["agreement"] <= 100
    assert Path("runs/run/0/checkpoints/best.ckpt").is_file() == bool(select)


def test_held_out_photos_have_candidates_and_are_not_trained_on(tiny_run):
    fit(*HOLDOUT, "--trainer.max_epochs", "3")
    sets = pq.read_table("runs/run/0/candidates.parquet").to_pylist()
    assert len(sets) == len(COLOURS) * SUPPORT
    held_out = draw_held_out([entry["sample_id"] for entry in sets], 0.4, seed=0)
    assert len(held_out) == 6
    state = checkpoint("last")["state_dict"]["loss._extra_state"]["state"]
    for entry, weights in zip(sets, state.tolist(), strict=True):
        size = len(entry["candidates"])
        untouched = weights == pytest.approx([1 / size] * size + [0] * (len(weights) - size))
        assert untouched == (entry["sample_id"] in held_out or size == 1)


def test_figures_are_logged_where_photos_are_held_out_and_nowhere_else_unless_asked_for(tiny_run):
    fit("--trainer.max_epochs", "2")
    assert logged() == {}
    fit(*HOLDOUT, "--trainer.max_epochs", "2")
    fit(*HOLDOUT, "--checkpoint.log_figures", "false", "--trainer.max_epochs", "2")
    fit("--checkpoint.log_figures", "true", "--trainer.max_epochs", "2")
    assert logged("runs/run/2") == {}
    for version in (1, 3):
        figures = logged(f"runs/run/{version}")
        assert all(list(figures[figure]) == [0, 1] for figure in FIGURES)
        assert all(0 <= figures[FIGURES[1]][e] <= figures[FIGURES[0]][e] <= 100 for e in (0, 1))
    contexts = [checkpoint("last", f"runs/run/{version}")["state_dict"]["head.context"] for version in range(4)]
    torch.testing.assert_close(contexts[1], contexts[2], rtol=0, atol=0)
    torch.testing.assert_close(contexts[0], contexts[3], rtol=0, atol=0)


class Pixels(CoOpMethod):
    """Reads photos in every pass."""

    needs_pixels = True


def test_photos_are_read_for_the_figures_only_where_they_are_asked_for(tiny_run):
    fit(*HOLDOUT, "--data.augment", "true", "--trainer.max_epochs", "2")
    pixels = ["--model", "checkpoints.test_callbacks.Pixels", *TINY_MODEL]
    more = [*HOLDOUT, "--data.augment", "true", "--trainer.max_epochs", "2", *pixels]
    fit(*more)
    assert logged("runs/run/1") == {}
    fit(*more, "--checkpoint.log_figures", "true")
    stored, read = logged("runs/run/0"), logged("runs/run/2")
    assert read["select/covering_rate"] == stored["select/covering_rate"]
    assert read["select/approximated_accuracy"] == pytest.approx(stored["select/approximated_accuracy"], abs=0.2)


def test_the_best_epoch_is_tested_and_named(tiny_run, capsys):
    # the schedule is for 6 epochs: with a large step, later epochs are not always better
    fit(*BEST, "--model.lr", "1")
    out = capsys.readouterr().out
    figures = logged()["select/approximated_accuracy"]
    assert list(figures) == list(range(6))
    epoch = max(figures, key=lambda e: (figures[e], e))
    assert epoch < 5, "else this would test nothing"
    selected = row()["selected"]
    assert selected == {
        "by": "approximated_accuracy",
        "figure": pytest.approx(figures[epoch], abs=1e-3),
        "epoch": epoch + 1,
        "epochs": 6,
        "photos": 6,
        "held_out": True,
    }
    said = (
        f"coop: epoch {epoch + 1} of 6, the one with the highest approximated_accuracy ({figures[epoch]:.1f}) on 6 held"
    )
    assert said in out
    assert checkpoint("best")["epoch"] == epoch
    assert checkpoint("last")["epoch"] == 5
    assert "selected" not in row(name="zero_shot")

    # what was tested is what the file holds
    options = ["--config", "runs/run/0/config.yaml", "--ckpt_path"]
    predictions = pq.read_table("runs/run/0/predictions.parquet")
    for version, name in ((1, "best"), (2, "last")):
        assert main(["test", *options, f"runs/run/0/checkpoints/{name}.ckpt"]) == 0
        same = pq.read_table(f"runs/run/{version}/predictions.parquet").equals(predictions)
        assert same == (name == "best")


class Stop(Callback):
    """Ends the process in the middle of an epoch."""

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if trainer.current_epoch == 4:
            raise SystemExit("killed")


def test_a_resumed_run_knows_the_best_so_far(tiny_run, capsys):
    fit(*BEST, "--model.lr", "1", "--run.name", "whole")
    epoch = row("runs/whole/0")["selected"]["epoch"]
    assert epoch < 4, "else the best would not be older than the stop"
    stop = ["--run.name", "stopped", "--trainer.callbacks+", "checkpoints.test_callbacks.Stop"]
    with pytest.raises(SystemExit, match="killed"):
        fit(*BEST, "--model.lr", "1", *stop)
    # the folder may have been moved
    shutil.move("runs/stopped/0", "runs/stopped/1")
    resume = ["--ckpt_path", "runs/stopped/1/checkpoints/last.ckpt"]
    fit(*BEST, "--model.lr", "1", *resume)
    assert row("runs/stopped/1")["selected"] == row("runs/whole/0")["selected"]
    whole, stopped = (pq.read_table(f"runs/{name}/predictions.parquet") for name in ("whole/0", "stopped/1"))
    assert stopped.equals(whole)

    assert main(["fit", *OPTIONS, *resume, "--data.holdout", "0.2", *BEST[2:], "--model.lr", "1"]) == 2
    assert "begun with other held-out photos" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("begun", "resumed"),
    [([], HOLDOUT), (HOLDOUT, []), (HOLDOUT, [*HOLDOUT, "--seed_everything", "1"])],
    ids=["trained on", "held out", "drawn anew"],
)
def test_a_run_goes_on_with_the_photos_that_it_has_held_out(tiny_run, capsys, begun, resumed):
    fit(*begun, "--trainer.max_epochs", "2")
    assert (checkpoint("last")["fgvr"]["held_out"] == "nothing held out") == (not begun)
    resume = [*OPTIONS, "--ckpt_path", "runs/run/0/checkpoints/last.ckpt", "--trainer.max_epochs", "3"]
    assert main(["fit", *resume, *resumed]) == 2
    assert "begun with other held-out photos" in capsys.readouterr().err
    assert main(["fit", *resume, *begun]) == 0
    assert checkpoint("last")["epoch"] == 2
    # whatever the options were in between: the newest checkpoint says what was held out
    assert main(["fit", *resume, *resumed]) == 2


def test_a_checkpoint_that_says_nothing_held_nothing_out(tiny_run, capsys):
    fit("--trainer.max_epochs", "1")
    path = Path("runs/run/0/checkpoints/last.ckpt")
    content = checkpoint("last")
    del content["fgvr"]["held_out"]
    torch.save(content, path)
    assert main(["fit", *OPTIONS, *HOLDOUT, "--ckpt_path", str(path)]) == 2
    assert "begun with other held-out photos" in capsys.readouterr().err
    fit("--ckpt_path", str(path), "--trainer.max_epochs", "2")


def test_an_epoch_that_was_to_be_chosen_and_was_not_is_told(tiny_run, capsys):
    fit(*BEST, "--trainer.max_epochs", "2")
    Path("runs/run/0/checkpoints/best.ckpt").unlink()
    finished = ["--ckpt_path", "runs/run/0/checkpoints/last.ckpt", "--trainer.max_epochs", "2"]
    assert main(["fit", *OPTIONS, *BEST, *finished]) == 2
    error = capsys.readouterr().err
    assert "checkpoint.select is 'approximated_accuracy', but no epoch was chosen" in error
    assert "test with the run's config.yaml and ckpt_path=" in error
    # with something left to train, there is something to choose from
    fit(*BEST, *finished[:2], "--trainer.max_epochs", "3")
    assert row()["selected"]["epoch"] == 3
    # and a run that was finished so is finished
    fit(*BEST, *finished[:2], "--trainer.max_epochs", "3")
    assert row()["selected"]["epoch"] == 3


@pytest.mark.filterwarnings("ignore:Total length of `list`")
def test_a_trial_run_chooses_nothing(tiny_run):
    fit(*BEST, "--trainer.fast_dev_run", "true")
    assert "selected" not in row()


@pytest.mark.parametrize(
    "strategy",
    [
        ["--trainer.strategy", "ddp_fork"],
        ["--trainer.strategy", "ddp_spawn_find_unused_parameters_false"],
        ["--trainer.strategy", "DDPStrategy", "--trainer.strategy.start_method", "fork"],
    ],
    ids=lambda options: options[-1],
)
def test_processes_that_cannot_say_what_they_chose_are_refused(tiny_run, capsys, strategy):
    assert main(["fit", *OPTIONS, *BEST, "--trainer.devices", "2", *strategy]) == 2
    error = capsys.readouterr().err
    assert "checkpoint.select is 'approximated_accuracy', but trainer.strategy" in error
    assert "set trainer.strategy to ddp." in error
    assert not Path("runs/labels.sqlite").exists(), "before anything is paid for"


class Elsewhere(CoOpMethod):
    """Brings a callback of fgvr's along, which keeps an epoch of its own."""

    def configure_callbacks(self):
        return [BestCheckpoint(Path("elsewhere"), "train/loss")]


def test_only_the_checkpoint_that_fgvr_keeps_itself_is_taken(tiny_run):
    fit("--trainer.max_epochs", "2", "--model", "checkpoints.test_callbacks.Elsewhere", *TINY_MODEL)
    assert Path("elsewhere/best.ckpt").is_file()
    assert "selected" not in row()


@pytest.mark.parametrize("strategy", ["single", "knn"])
def test_what_the_figures_look_at_is_made_by_all_processes_before_one_goes_on(tiny_run, monkeypatch, strategy):
    prepared = []

    def setup(self, stage, original=FgvrDataModule.setup):
        original(self, stage)
        prepared.append("features/training" in self.seconds)

    monkeypatch.setattr(FgvrDataModule, "setup", setup)
    options = ["--data.augment", "true", "--data.candidates", strategy, "--trainer.max_epochs", "1"]
    fit(*BEST, *options)
    fit(*HOLDOUT, "--checkpoint.log_figures", "false", *options)
    # the first of each pair is that of training, the second that of the test
    assert prepared[0] is True
    assert prepared[2] is (strategy == "knn"), "nobody looks at them"


def test_two_processes_choose_as_one_does(tiny_run):
    # 6 epochs, 16 photos of which 6 are held out: 5 of them in the first batch, so the shares are uneven
    options = [*OPTIONS, *BEST, "--model.lr", "1"]
    assert main(["fit", *options, "--run.name", "one"]) == 0
    fit_in_two_processes([*options, "--run.name", "two"])
    one, two = logged("runs/one/0"), logged("runs/two/0")
    for figure in FIGURES:
        assert two[figure] == pytest.approx(one[figure], abs=1e-2)
    assert row("runs/two/0")["selected"]["epoch"] == row("runs/one/0")["selected"]["epoch"]
    assert row("runs/two/0")["selected"]["photos"] == 6


def test_without_held_out_photos_the_choice_says_what_it_rests_on(tiny_run, capsys, caplog):
    fit("--checkpoint.select", "covering_rate", "--trainer.max_epochs", "2")
    assert "data.holdout is 0" in caplog.text
    assert "on 16 photos that were trained on" in capsys.readouterr().out
    assert row()["selected"]["held_out"] is False


def test_a_callback_of_ones_own_may_monitor_the_figures(tiny_run):
    stop = ["--trainer.callbacks+", "EarlyStopping", "--trainer.callbacks.monitor", "select/covering_rate"]
    fit(*HOLDOUT, *stop, "--trainer.callbacks.mode", "max", "--trainer.callbacks.patience", "1")
    assert logged()["select/covering_rate"]


def test_a_run_goes_on_choosing_by_what_it_was_begun_with(tiny_run, capsys):
    fit(*HOLDOUT, "--trainer.max_epochs", "1")
    resume = ["--ckpt_path", "runs/run/0/checkpoints/last.ckpt", "--trainer.max_epochs", "2"]
    assert main(["fit", *OPTIONS, *BEST, *resume]) == 2
    assert "begun with 'last'" in capsys.readouterr().err


def test_who_tests_the_last_epoch_is_told_of_the_chosen_one(tiny_run, caplog):
    fit(*BEST, "--trainer.max_epochs", "1")
    assert main(["test", *OPTIONS, "--ckpt_path", "runs/run/0/checkpoints/best.ckpt"]) == 0
    assert "This is the last epoch" not in caplog.text
    assert main(["test", *OPTIONS, "--ckpt_path", "runs/run/0/checkpoints/last.ckpt"]) == 0
    assert "ckpt_path=runs/run/0/checkpoints/best.ckpt" in caplog.text


def test_nothing_is_chosen_where_nothing_is_trained(tiny_run, caplog):
    options = ["--model", "zero_shot", "--model.backbone", "fgvr.testing.tiny.TinyBackbone", "--data.class_names"]
    more = ["dataset", "--data.dataset", "manifest", "--data.dataset.root", "birds", "--trainer.accelerator", "cpu"]
    assert main(["fit", *options, *more, "--checkpoint.select", "covering_rate"]) == 0
    assert "selected" not in row(name="zero_shot")
    assert "zero_shot has nothing to train" in caplog.text


def test_compared_rows_are_chosen_as_the_run_is(tiny_run, capfd):
    Path("compare.yaml").write_text("compare: {coop_random: {data.candidates: random}}")
    fit(*BEST, "--trainer.max_epochs", "2", "--config", "compare.yaml", "--run.name", "run")
    assert row(name="coop_random")["selected"]["by"] == "approximated_accuracy"
    assert "coop_random: epoch " in capfd.readouterr().out


def val_images(root, shared=0):
    """Make the test photo number 4 of each class a validation photo; ``shared`` of them are copies of test photos."""
    manifest, images = root / "birds/manifest.csv", root / "birds/photos"
    manifest.write_text(re.sub(rf"(_{SUPPORT}\.png,.*),test", r"\1,val", manifest.read_text()))
    for number in range(shared):
        shutil.copy(images / f"{number}_{SUPPORT + 1}.png", images / f"{number}_{SUPPORT}.png")


class Hidden(ModelCheckpoint):
    """Monitors what its configuration does not say."""

    def __init__(self):
        super().__init__(monitor="val/cacc", mode="max")


class Plateau(CoOpMethod):
    """Has a learning rate that follows the true names."""

    def configure_optimizers(self):
        optimizer = super().configure_optimizers()["optimizer"]
        plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": plateau, "monitor": "val/siou"}}


MONITORS = [
    ["--trainer.callbacks+", "ModelCheckpoint", "--trainer.callbacks.monitor", "val/cacc"],
    ["--trainer.callbacks+", "EarlyStopping", "--trainer.callbacks.monitor", "val/siou_hyphen"],
    ["--trainer.callbacks+", "checkpoints.test_callbacks.Hidden"],
    [
        *["--trainer.callbacks+", "fgvr.checkpoints.best_checkpoint.BestCheckpoint"],
        *["--trainer.callbacks.folder", "mine", "--trainer.callbacks.monitor", "val/cacc"],
    ],
]


@pytest.mark.parametrize("command", ["fit", "label"])
@pytest.mark.parametrize("options", MONITORS, ids=lambda options: options[1])
def test_true_names_do_not_choose(tiny_run, capsys, command, options):
    val_images(tiny_run)
    assert main([command, *OPTIONS, *options]) == 2
    error = capsys.readouterr().err
    for said in ("trainer.callbacks: ", "val/", "true names", "select/covering_rate", "checkpoint.allow_true_names to"):
        assert said in error
    assert not Path("runs/labels.sqlite").exists(), "before anything is paid for"
    assert not list(Path("runs").glob("*/*/checkpoints"))


def test_a_schedule_does_not_follow_true_names(tiny_run, capsys):
    val_images(tiny_run)
    model = ["--model", "checkpoints.test_callbacks.Plateau", "--model.backbone", "fgvr.testing.tiny.TinyBackbone"]
    assert main(["fit", *OPTIONS, *model]) == 2
    assert "the learning-rate schedule of Plateau monitors 'val/siou'" in capsys.readouterr().err


@pytest.mark.parametrize("figure", ["test/cacc", "test/zero_shot/siou", "candidates/coverage"])
def test_test_figures_never_choose(tiny_run, capsys, figure):
    options = ["--trainer.callbacks+", "ModelCheckpoint", "--trainer.callbacks.monitor", figure]
    assert main(["fit", *OPTIONS, *options, "--checkpoint.allow_true_names", "true"]) == 2
    error = capsys.readouterr().err
    assert "would have seen the answers" in error
    assert "checkpoint.allow_true_names to" not in error


def test_a_variant_of_a_sweep_and_a_compared_row_are_refused_too(tiny_run, capsys):
    Path("compare.yaml").write_text(
        "compare: {best: {trainer.callbacks: [{class_path: EarlyStopping, init_args: {monitor: val/cacc}}]}}"
    )
    assert main(["fit", *OPTIONS, "--config", "compare.yaml"]) == 2
    assert (
        "compare: 'best' cannot be run: trainer.callbacks: EarlyStopping monitors 'val/cacc'" in capsys.readouterr().err
    )
    assert not Path("runs/labels.sqlite").exists()


def test_an_oracle_study_is_marked_wherever_it_is_shown(tiny_run, capsys):
    val_images(tiny_run)
    oracle = [*MONITORS[0], "--trainer.callbacks.mode", "max", "--checkpoint.allow_true_names", "true"]
    fit(*oracle, "--trainer.max_epochs", "2")
    out = capsys.readouterr().out
    assert "coop (oracle)" in out
    assert "(oracle: true names were trained on" in out
    assert row()["oracle"] is True
    assert "oracle" not in row(name="zero_shot")
    # the mark stays with the checkpoint, whatever the options are now
    config = ["--config", "runs/run/0/config.yaml", "--ckpt_path", "runs/run/0/checkpoints/last.ckpt"]
    assert main(["test", *config, "--trainer.callbacks", "null", "--checkpoint.allow_true_names", "false"]) == 0
    assert row("runs/run/1")["oracle"] is True

    # and with what was trained on from there, and again from there
    for epochs in ("3", "4"):
        fit("--ckpt_path", "runs/run/0/checkpoints/last.ckpt", "--trainer.max_epochs", epochs)
        assert row()["oracle"] is True
        assert "coop (oracle)" in capsys.readouterr().out
    config[-1] = "runs/run/0/checkpoints/last.ckpt"
    assert main(["test", *config, "--trainer.callbacks", "null", "--checkpoint.allow_true_names", "false"]) == 0
    assert row("runs/run/2")["oracle"] is True


def test_without_the_option_nothing_is_marked(tiny_run):
    fit("--trainer.max_epochs", "1")
    assert checkpoint("last")["fgvr"]["oracle"] is False
    assert "oracle" not in row()


@pytest.mark.parametrize(
    "options",
    [
        ["label_free_figures.LabelFreeFigures"],
        ["best_checkpoint.BestCheckpoint", "--trainer.callbacks.monitor", "select/covering_rate"],
        ["run_checkpoint.RunCheckpoint"],
    ],
    ids=lambda options: options[0],
)
def test_what_fgvr_adds_itself_is_not_for_the_user_to_add(tiny_run, capsys, options):
    folder = ["--trainer.callbacks.folder", "mine"] if "Checkpoint" in options[0] else []
    callback = ["--trainer.callbacks+", f"fgvr.checkpoints.{options[0]}", *options[1:], *folder]
    assert main(["fit", *OPTIONS, *BEST, *callback]) == 2
    assert "is added by fgvr itself" in capsys.readouterr().err
    assert not Path("runs/labels.sqlite").exists()


def test_validation_photos_that_are_test_photos_are_no_way_round(tiny_run, capsys):
    val_images(tiny_run, shared=2)
    oracle = [*MONITORS[0], "--checkpoint.allow_true_names", "true"]
    assert main(["fit", *OPTIONS, *oracle]) == 2
    error = capsys.readouterr().err
    assert "2 photos of the split 'val' are in the evaluated split 'test' too" in error
    assert not Path("runs/labels.sqlite").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--data.holdout", "1"], "data.holdout is 1.0; expected a share"),
        ([*BEST, "--checkpoint.log_figures", "false"], "checkpoint.log_figures is false"),
        ([*BEST, "--trainer.enable_checkpointing", "false"], "trainer.enable_checkpointing is false"),
    ],
)
def test_contradictions_are_refused(tiny_run, capsys, options, message):
    assert main(["fit", *OPTIONS, *options]) == 2
    assert message in capsys.readouterr().err
