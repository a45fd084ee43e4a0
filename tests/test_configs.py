"""Every YAML under configs/, found on disk."""

from pathlib import Path

import pytest

from fgvr.cli.configs import shipped_folder
from fgvr.cli.stages import StageCLI
from fgvr.data.datamodule import FgvrDataModule
from fgvr.methods.base import Method

CONFIGS = sorted(shipped_folder().rglob("*.yaml"))


class ParsedOnly(StageCLI):
    """Builds data module and method, and runs nothing."""

    def before_instantiate_classes(self):
        pass

    def instantiate_trainer(self, **kwargs):
        return None


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_config_is_parsed_and_instantiated(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cli = ParsedOnly("candidates", ["--config", str(path)], run=False)
    assert isinstance(cli.datamodule, FgvrDataModule)
    assert isinstance(cli.model, Method)
    assert not list(tmp_path.iterdir()), "constructors are pure"


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_config_says_what_it_is_and_how_to_run_it(path):
    first, second, *_ = path.read_text().splitlines()
    assert first.startswith("# ")
    assert second.startswith(f"#   fgvr fit --config {path.relative_to(shipped_folder())}")


def test_gpt4o_says_what_is_missing(tmp_path, monkeypatch, capsys):
    from PIL import Image

    from fgvr.cli import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FGVR_CACHE", str(tmp_path / "cache"))
    Path("cub/images/001.Auk").mkdir(parents=True)
    Image.new("RGB", (8, 8)).save("cub/images/001.Auk/a.jpg")
    Path("cub/images.txt").write_text("1 001.Auk/a.jpg\n")
    Path("cub/train_test_split.txt").write_text("1 1\n")
    options = ["--config", "cub_gpt4o.yaml", "--data.dataset.root", "cub"]
    assert main(["label", *options, "--dry-run"]) == 0
    assert "1 photos, 1 requests: 0 stored, 1 to ask" in capsys.readouterr().out
    assert main(["fit", *options, "--trainer.accelerator", "cpu"]) == 2
    assert "recorded" in capsys.readouterr().err
