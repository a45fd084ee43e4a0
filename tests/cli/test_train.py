import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
import yaml
from lightning.pytorch import Callback
from tiny_run import COLOURS, OPTIONS, SUPPORT, TEST, started_on_two_devices, write_images

from fgvr.cli import main

FILES = {"config.yaml", "labels.parquet", "vocabulary.json", "candidates.parquet", "predictions.parquet"}
FILES |= {"metrics.json", "report.html", "neighbours.parquet", "checkpoints", "logs", "checksums.txt", ".lock"}


def fit(*options, command="fit"):
    assert main([command, *OPTIONS, *options]) == 0


def context(folder):
    return torch.load(Path(folder) / "checkpoints/last.ckpt", weights_only=True)["state_dict"]["head.context"]


def test_fit_leaves_every_file_and_prints_the_folder_last(tiny_run, capsys):
    fit()
    *_, report, last = capsys.readouterr().out.splitlines()
    folder = Path(last)
    assert folder == Path("runs/run/0")
    assert report == "report: runs/run/0/report.html"
    assert {path.name for path in folder.iterdir()} == FILES
    metrics = json.loads((folder / "metrics.json").read_text())
    assert list(metrics) == ["zero_shot", "coop"]
    assert {"cacc", "siou", "siou_hyphen", "seconds", "cost_usd"} <= set(metrics["coop"])
    assert metrics["coop"]["cacc"] > metrics["zero_shot"]["cacc"]
    candidates = pq.read_table(folder / "candidates.parquet")
    assert candidates.column_names == ["sample_id", "candidates", "weights"]
    assert candidates.num_rows == len(COLOURS) * SUPPORT
    predictions = pq.read_table(folder / "predictions.parquet")
    assert set(predictions.column_names) == {
        *("sample_id", "split", "true_name", "zero_shot_name", "zero_shot_score", "coop_name", "coop_score")
    }
    assert predictions.num_rows == len(COLOURS) * TEST
    assert yaml.safe_load((folder / "config.yaml").read_text())["model"]["class_path"] == "fgvr.methods.coop.CoOpMethod"
    assert "train/loss" in next((folder / "logs").rglob("metrics.csv")).read_text()


def test_the_saved_config_repeats_the_run(tiny_run):
    fit()
    assert main(["fit", "--config", "runs/run/0/config.yaml"]) == 0
    torch.testing.assert_close(context("runs/run/1"), context("runs/run/0"), rtol=0, atol=0)


class Stop(Callback):
    """Ends the process in the middle of an epoch, as a killed one ends."""

    def on_train_batch_end(self, trainer, pl_module, outputs, batch, batch_idx):
        if trainer.current_epoch == 2 and batch_idx == 1:
            raise SystemExit("killed")


def test_a_run_that_was_stopped_in_mid_epoch_goes_on_as_if_it_had_not_been(tiny_run):
    fit("--run.name", "whole")
    with pytest.raises(SystemExit, match="killed"):
        main(["fit", *OPTIONS, "--run.name", "stopped", "--trainer.callbacks+", "cli.test_train.Stop"])
    fit("--run.name", "ignored", "--ckpt_path", "runs/stopped/0/checkpoints/last.ckpt")
    (before,) = Path("runs/stopped/0").glob("config_to_epoch_*.yaml")  # it had a callback more
    assert {path.name for path in Path("runs/stopped/0").iterdir()} == {*FILES, before.name}
    torch.testing.assert_close(context("runs/stopped/0"), context("runs/whole/0"), rtol=0, atol=0)
    whole, stopped = (pq.read_table(f"runs/{name}/0/predictions.parquet") for name in ("whole", "stopped"))
    assert stopped.equals(whole)
    assert len(list(Path("runs/stopped/0/logs").iterdir())) == 2, "the first part's log is kept"


def test_two_processes_do_what_one_does(tiny_run):
    fit("--run.name", "one")
    started_on_two_devices([*OPTIONS, "--run.name", "two"])
    one, two = (pq.read_table(f"runs/{name}/0/candidates.parquet") for name in ("one", "two"))
    assert two.equals(one)
    torch.testing.assert_close(context("runs/two/0"), context("runs/one/0"), rtol=1e-4, atol=1e-5)
    states = [
        torch.load(f"runs/{name}/0/checkpoints/last.ckpt", weights_only=True)["state_dict"]["loss._extra_state"][
            "state"
        ]
        for name in ("one", "two")
    ]
    torch.testing.assert_close(states[1], states[0], rtol=1e-3, atol=1e-4)
    one, two = (json.loads(Path(f"runs/{name}/0/metrics.json").read_text()) for name in ("one", "two"))
    assert two["coop"]["cacc"] == pytest.approx(one["coop"]["cacc"], abs=0.5)
    assert not list(Path("runs").glob("*/unknown"))


def test_training_sees_the_names_that_were_given_and_not_the_true_ones(tiny_run):
    fit("--run.name", "with")
    other = dict(zip(COLOURS, [*list(COLOURS)[1:], "Nothing Like It"], strict=True))
    write_images(tiny_run / "birds", other)
    fit("--run.name", "wrong")
    write_images(tiny_run / "birds", dict.fromkeys(COLOURS, ""))
    fit("--run.name", "without")
    for name in ("wrong", "without"):
        torch.testing.assert_close(context(f"runs/{name}/0"), context("runs/with/0"), rtol=0, atol=0)
        files = [pq.read_table(f"runs/{run}/0/candidates.parquet") for run in ("with", name)]
        assert files[1].equals(files[0])
    assert "cacc" not in json.loads(Path("runs/without/0/metrics.json").read_text())["coop"]


def test_a_checkpoint_alone_classifies_new_photos(tiny_run, capsys):
    fit()
    (tiny_run / "new").mkdir()
    for path in sorted((tiny_run / "birds/photos").glob("*_6.png")):
        path.rename(tiny_run / "new" / path.name)
    before = (tiny_run / "runs/run/0/predictions.parquet").read_bytes()
    options = ["--config", "runs/run/0/config.yaml", "--ckpt_path", "runs/run/0/checkpoints/last.ckpt"]
    new = ["--data.dataset", "folder", "--data.dataset.root", "new", "--data.labeler", "null"]
    assert main(["predict", *options, *new]) == 0
    folder = Path(capsys.readouterr().out.splitlines()[-1])
    predictions = pq.read_table(folder / "predictions.parquet").to_pylist()
    fitted = pq.read_table("runs/run/0/predictions.parquet").to_pylist()
    said = {Path(row["sample_id"]).name: row["coop_name"] for row in fitted}
    assert {row["sample_id"]: row["coop_name"] for row in predictions}.items() <= said.items()
    assert len(predictions) == len(COLOURS)
    assert (tiny_run / "runs/run/0/predictions.parquet").read_bytes() == before


def test_the_test_command_repeats_the_table_of_fit(tiny_run, capsys):
    fit()
    options = ["--config", "runs/run/0/config.yaml", "--ckpt_path", "runs/run/0/checkpoints/last.ckpt"]
    assert main(["test", *options]) == 0
    first, second = (json.loads(Path(f"runs/run/{n}/metrics.json").read_text()) for n in (0, 1))
    for row in first:
        assert second[row]["cacc"] == first[row]["cacc"]


def test_an_oracle_is_marked_through_its_checkpoint(tiny_run):
    flyp = ["--model", "flyp", "--model.backbone", "fgvr.testing.tiny.TinyBackbone", "--trainer.accelerator", "cpu"]
    known = ["--data.dataset", "manifest", "--data.dataset.root", "birds", "--data.class_names", "dataset", *flyp]
    quick = ["--trainer.max_epochs", "1", "--model.warmup_steps", "0"]
    assert main(["fit", *known, *quick, "--model.labels", "true"]) == 0
    assert main(["test", *known, "--ckpt_path", "runs/run/0/checkpoints/last.ckpt"]) == 0
    for run in (0, 1):
        assert json.loads(Path(f"runs/run/{run}/metrics.json").read_text())["flyp"]["oracle"] is True


def test_augmented_photos_train_another_way_and_the_same_on_any_number_of_workers(tiny_run):
    for options in ([], ["--data.augment", "true"], ["--data.augment", "true", "--data.num_workers", "2"]):
        fit("--trainer.max_epochs", "2", *options)
    plain, augmented, on_two_workers = (context(f"runs/run/{number}") for number in range(3))
    torch.testing.assert_close(on_two_workers, augmented, rtol=0, atol=0)
    assert not torch.allclose(augmented, plain, atol=1e-3)


def test_zero_shot_trains_nothing(tiny_run, capsys):
    options = ["--model", "zero_shot", "--model.backbone", "fgvr.testing.tiny.TinyBackbone"]
    known = ["--data.dataset", "manifest", "--data.dataset.root", "birds", "--data.class_names", "dataset"]
    assert main(["fit", *options, *known, "--trainer.accelerator", "cpu"]) == 0
    folder = Path(capsys.readouterr().out.splitlines()[-1])
    assert list(json.loads((folder / "metrics.json").read_text())) == ["zero_shot"]
    assert not (folder / "checkpoints").exists()


class NoteWandb(Callback):
    """Writes down under which project and name a run is logged, and with which configuration."""

    def on_train_start(self, trainer, pl_module):
        run = trainer.loggers[0].experiment
        Path("noted.json").write_text(json.dumps([run.project, run.name, dict(run.config)["data"]["batch_size"]]))


def test_weights_and_biases_offline(tiny_run):
    watch = ["--trainer.callbacks+", "cli.test_train.NoteWandb"]
    fit("--trainer.logger", "WandbLogger", "--trainer.max_epochs", "1", *watch)
    assert json.loads(Path("noted.json").read_text()) == ["fgvr", "run/0", 5]
    assert list(Path("runs/run/0/wandb").glob("offline-run-*/*.wandb"))
    assert list(Path("runs/run/0/logs").rglob("metrics.csv"))
    tables = list(Path("runs/run/0/wandb").rglob("*.table.json"))
    assert {path.parent.name for path in tables} == {"samples", "table"}
    (results,) = (json.loads(path.read_text()) for path in tables if path.name.startswith("results"))
    rows = json.loads(Path("runs/run/0/metrics.json").read_text())
    assert [line[0] for line in results["data"]] == list(rows)
    assert results["data"][-1][results["columns"].index("cacc")] == rows["coop"]["cacc"]
    assert not Path("wandb").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--config", "no_such.yaml"], "no configuration 'no_such.yaml'"),
        (["--model.loss", "prodenn"], "Did you mean 'proden'"),
        (["--model.loss", "proden", "--model.loss.momentm", "1"], "Did you mean 'momentum'"),
        (["--data.batchsize", "3"], "Did you mean '--data.batch_size'"),
        (["--data.shots", "2.5"], "data.shots is '2.5'; expected a whole number."),
        (["--model.lr", "abc"], "model.lr is 'abc'; expected a number (.inf is infinite)."),
        (["--model.fuse", "maybe"], "model.fuse is 'maybe'; expected true or false."),
        (["--data.candidates", "knn", "--data.candidates.space", "x"], "space is 'x'; expected one of joint, visual."),
        (
            ["--model.head", "linear", "--model.head.start", "x"],
            "head.start is 'x'; expected one of class_means, text,",
        ),
        (["--model.text_weight", "3"], "CoOpMethod has no option 'text_weight'. It is one of class_means, finer: name"),
        (["--data.batch_size", "three"], "data.batch_size is 'three'; expected a whole number."),
        (["--data.dataset.root", "no_such_folder"], "no folder 'no_such_folder'"),
        (["--data.labeler.path", "no_such.jsonl"], "There is no file"),
        (["--data.labeler", "null"], "No labeler is set"),
        (["--data.class_names", "[House Finch, house-finch]"], "given more than once"),
        (["--ckpt_path", "no_such.ckpt"], "no checkpoint 'no_such.ckpt'"),
        (["--model.templates", "[a photo]"], "needs exactly one {}"),
        (["--model.head.n_ctx", "400"], "It is the name of 'photos/"),
        (["--data.candidates", "knn", "--data.candidates.k", "0"], "candidates.k is 0: it must be at least 1"),
        (["--model.loss", "proden", "--model.loss.momentum", "2"], "loss.momentum is 2.0"),
        (["--data.select", "k_centre"], "data.select: KCentreSelection needs n. It is explained by: fgvr show sel"),
        (["--data.candidates.k", "3"], "--data.candidates.k is an option of what is given with --data.candidates NAME"),
        (["--data.labeler.answers", "0"], "data.labeler.answers is 0"),
        (["--data.batch_size", "0"], "data.batch_size is 0"),
        (["--model.lr", "0"], "model.lr is 0"),
        (["--trainer.strategy", "no_such"], "The trainer cannot be built: You selected an invalid strategy"),
        (["--data.class_names", "no_such.txt"], "'no_such.txt', which is no file"),
        (["--data.labeler", "no_such.Labeler"], "data.labeler: 'no_such.Labeler' cannot be used: No module named"),
    ],
)
def test_mistakes_are_answered_with_what_was_meant(tiny_run, capsys, options, message):
    assert main(["fit", *OPTIONS, *options]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert "Traceback" not in error
    assert not list(Path("runs").glob("*/*/checkpoints")), "found before anything was trained"
    folders = [run for run in Path("runs").glob("*/*") if run.is_dir()]
    assert not [run for run in folders if len(list(run.iterdir())) < 2], "no empty folder is left"


@pytest.mark.parametrize("command", ["test", "predict", "validate"])
def test_what_is_used_again_is_not_guessed(tiny_run, capsys, command):
    """The default model may be another one than the checkpoint's."""
    assert main([command, *OPTIONS[:4], "--ckpt_path", "no_such.ckpt"]) == 2
    assert f"fgvr {command} is told no model: give --config RUN/config.yaml" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["test", "predict", "validate"])
def test_trained_parameters_are_needed_to_use_them(tiny_run, capsys, command):
    assert main([command, *OPTIONS]) == 2
    assert "set ckpt_path to their file, or choose the method zero_shot" in capsys.readouterr().err


def test_what_does_not_fit_a_checkpoint_is_refused(tiny_run, capsys):
    fit("--trainer.max_epochs", "1")
    resume = ["--ckpt_path", "runs/run/0/checkpoints/last.ckpt"]
    for options in (["--model.head.n_ctx", "8"], ["--data.shots", "1"], ["--model.loss", "cc"]):
        assert main(["fit", *OPTIONS, *resume, *options]) == 2
        assert "Traceback" not in capsys.readouterr().err
    Path("damaged.ckpt").write_bytes(Path("runs/run/0/checkpoints/last.ckpt").read_bytes()[:1000])
    assert main(["fit", *OPTIONS, "--ckpt_path", "damaged.ckpt"]) == 2
    assert "damaged.ckpt is cut off: " in capsys.readouterr().err


def test_a_photo_that_cannot_be_read_is_reported_and_left_out(tiny_run, caplog):
    (tiny_run / "birds/photos/0_1.png").write_bytes(b"")
    fit("--trainer.max_epochs", "1")
    assert "1 photo that cannot be read is left out: photos/0_1.png (the file is empty)" in caplog.text
    assert pq.read_table("runs/run/0/labels.parquet").num_rows == len(COLOURS) * SUPPORT - 1


def test_every_photo_of_a_folder_is_named_though_few_were_labelled(tiny_run, capsys):
    options = ["--data.dataset", "folder", "--data.dataset.root", "birds/photos", "--data.support_size", "12"]
    replies = Path("replies.jsonl").read_text().splitlines()
    more = [replies[0].replace("0_0", f"{n}_{i}") for n in range(len(COLOURS)) for i in range(SUPPORT, SUPPORT + TEST)]
    Path("replies.jsonl").write_text("\n".join([*replies, *more]))
    fit(*options)
    assert f"{len(COLOURS) * (SUPPORT + TEST)} photos: " in capsys.readouterr().out
    assert pq.read_table("runs/run/0/predictions.parquet").num_rows == len(COLOURS) * (SUPPORT + TEST)
    assert pq.read_table("runs/run/0/labels.parquet").num_rows == 12
    again = ["--config", "runs/run/0/config.yaml", "--ckpt_path", "runs/run/0/checkpoints/last.ckpt"]
    assert main(["predict", *again]) == 0
    assert pq.read_table("runs/run/1/predictions.parquet").num_rows == len(COLOURS) * (SUPPORT + TEST)
    assert Path("runs/run/1/predictions.csv").read_text().count("\n") == 1 + len(COLOURS) * (SUPPORT + TEST)


def test_an_edited_vocabulary_is_taken(tiny_run):
    fit("--trainer.max_epochs", "1")
    text = Path("runs/run/0/vocabulary.json").read_text()
    Path("edited.json").write_text(text.replace('"name": "Blue Jay"', '"name": "Jay"'))
    fit("--trainer.max_epochs", "1", "--data.class_names", "edited.json")
    rows = pq.read_table("runs/run/1/candidates.parquet").to_pylist()
    assert "Jay" in {name for row in rows for name in row["candidates"]}
    Path("names.txt").write_text("House Finch\n\nBlue Jay\n")
    fit("--trainer.max_epochs", "1", "--data.class_names", "names.txt")
    assert set(pq.read_table("runs/run/2/predictions.parquet")["coop_name"].to_pylist()) <= {"House Finch", "Blue Jay"}


def test_a_resumed_configuration_starts_a_new_run(tiny_run):
    fit("--run.version", "mine", "--trainer.logger", "WandbLogger", "--trainer.max_epochs", "1")
    saved = yaml.safe_load(Path("runs/run/mine/config.yaml").read_text())
    assert saved["run"] == {"root": "runs", "name": "run", "version": None}
    assert saved["ckpt_path"] is None
    assert saved["trainer"]["logger"]["init_args"]["save_dir"] == "."
    assert main(["fit", "--config", "runs/run/mine/config.yaml"]) == 0
    assert Path("runs/run/0/metrics.json").is_file()


def test_validate_needs_no_test_split(tiny_run):
    text = (tiny_run / "birds/manifest.csv").read_text().replace(",test", ",val")
    (tiny_run / "birds/manifest.csv").write_text(text)
    fit("--trainer.max_epochs", "1")
    assert "val/cacc" in next(Path("runs/run/0/logs").rglob("metrics.csv")).read_text()
    assert set(pq.read_table("runs/run/0/predictions.parquet")["split"].to_pylist()) == {"support"}
