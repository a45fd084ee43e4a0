from pathlib import Path

import pytest
import torch
import yaml
from tiny_run import OPTIONS

from fgvr.cli import main

RUN = Path("runs/run/0")
GO_ON = ["fit", "--config", str(RUN / "config.yaml"), "--ckpt_path", str(RUN / "checkpoints/last.ckpt")]


def config():
    return yaml.safe_load((RUN / "config.yaml").read_text())


def test_the_configuration_is_that_of_the_newest_epoch(tiny_run, capsys):
    assert main(["fit", *OPTIONS, "--trainer.max_epochs", "1"]) == 0
    begun = (RUN / "config.yaml").stat().st_mtime_ns
    before = (RUN / "config.yaml").read_text()

    # what is refused, before training or when the checkpoint is taken, changes nothing
    assert main([*GO_ON, "--trainer.max_epochs", "2", "--checkpoint.select", "covering_rate"]) == 2
    assert main([*GO_ON, "--trainer.max_epochs", "2", "--model.head.n_ctx", "8"]) == 2
    assert (RUN / "config.yaml").read_text() == before

    callback = '[{"class_path": "lightning.pytorch.callbacks.ModelSummary"}]'
    changed = ["--trainer.limit_test_batches", "2", "--model.lr", "0.01", "--trainer.callbacks", callback]
    # the folder is its own, whatever name is given, and the configuration keeps saying so
    assert main([*GO_ON, "--trainer.max_epochs", "2", "--run.name", "other", *changed]) == 0
    now = config()
    assert (now["run"]["name"], Path("runs/other").exists()) == ("run", False)
    assert (now["trainer"]["max_epochs"], now["trainer"]["limit_test_batches"]) == (2, 2)
    assert now["model"]["init_args"]["lr"] == 0.01
    assert now["trainer"]["callbacks"][0]["class_path"] == "lightning.pytorch.callbacks.ModelSummary"
    assert (now["ckpt_path"], now["run"]["version"]) == (None, None)
    checkpoint = torch.load(RUN / "checkpoints/last.ckpt", weights_only=True)
    assert yaml.safe_load(checkpoint["fgvr"]["config"]) == now
    assert (RUN / "config_to_epoch_1.yaml").read_text() == before
    assert (RUN / "config.yaml").stat().st_mtime_ns == begun

    # so the command to go on works, and trains nothing
    assert main(GO_ON) == 0
    assert config() == now
    assert not (RUN / "config_to_epoch_2.yaml").exists()
    assert [path.name for path in RUN.glob(".*")] == [".lock"]

    # nothing would be learned with what is given
    capsys.readouterr()
    assert main([*GO_ON, "--trainer.max_epochs", "1"]) == 2
    assert "last.ckpt has 2 epochs, and trainer.max_epochs is 1. To train on, set" in capsys.readouterr().err
    assert main([*GO_ON, "--model.lr", "0.5"]) == 2
    error = capsys.readouterr().err
    assert "has all epochs of trainer.max_epochs, 2, and model.lr is 0.5, but was 0.01. To train on, set" in error
    assert config() == now


@pytest.mark.parametrize("option", ["limit_test_batches", "limit_train_batches"])
def test_the_configuration_of_a_table_that_is_written_anew(tiny_run, option):
    assert main(["fit", *OPTIONS, "--trainer.max_epochs", "1"]) == 0
    assert main([*GO_ON, f"--trainer.{option}", "1"]) == 0
    assert config()["trainer"][option] == 1
