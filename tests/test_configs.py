"""Every YAML under configs/, found on disk."""

from pathlib import Path

import pytest
import yaml

from fgvr.config.cli import ParsedCLI
from fgvr.config.files import shipped_folder
from fgvr.data.datamodule import FgvrDataModule
from fgvr.methods.base import Method
from fgvr.runs import RunFolder
from fgvr.sweeps.compare import compared_args
from fgvr.sweeps.grid import read_grid
from fgvr.sweeps.sweep import Sweep

FOUND = sorted(shipped_folder().rglob("*.yaml"))
SWEEPS = [path for path in FOUND if "vary" in yaml.safe_load(path.read_text())]
CONFIGS = [path for path in FOUND if path not in SWEEPS and path.parent.name != "bases"]
LATTECLIP = [path for path in CONFIGS if path.stem.endswith("_latteclip")]


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_config_is_parsed_and_instantiated(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cli = ParsedCLI(["--config", str(path)])
    assert isinstance(cli.datamodule, FgvrDataModule)
    assert isinstance(cli.model, Method)
    assert not list(tmp_path.iterdir()), "constructors are pure"
    saved = cli.parser.dump(cli.config, skip_none=False)
    (tmp_path / "saved.yaml").write_text(saved)
    again = ParsedCLI(["--config", "saved.yaml"])
    again.config.pop("config")
    cli.config.pop("config")
    assert again.config.as_dict() == cli.config.as_dict(), "a saved configuration is the same run"


@pytest.mark.parametrize("path", SWEEPS, ids=lambda path: path.stem)
def test_every_run_of_a_sweep_is_parsed(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    grid = read_grid(path)
    runs = Sweep(grid, Path("runs/sweep")).runs
    assert len({run.folder for run in runs}) == len(grid.variants) * len(grid.seeds) > 1
    assert not list(tmp_path.iterdir()), "nothing was run"


@pytest.mark.parametrize("path", LATTECLIP, ids=lambda path: path.stem)
def test_compared_rows_of_latteclip_are_trained_as_in_its_paper(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cli = ParsedCLI(["--config", str(path)])
    folder = RunFolder(tmp_path)
    folder.config.write_text(cli.parser.dump(cli.config, skip_none=False))
    own, rows = cli.config.model.init_args, yaml.safe_load(path.read_text())["compare"]
    options = {row: ParsedCLI(compared_args(folder, row, differing)).config for row, differing in rows.items()}
    assert [*options] == ["clip", "flyp", "flyp_true_names", "reclip"]
    for row in options.values():
        assert (row.model.init_args.backbone, row.model.init_args.templates) == (own.backbone, own.templates)
    for row, labels in (("flyp", "pseudo"), ("flyp_true_names", "true")):
        trained = options[row].model.init_args
        assert (trained.labels, trained.refresh) == (labels, "step")
        for key in ("weight_decay", "betas", "eps", "warmup_steps"):
            assert trained[key] == own[key]
        assert trained["lr"] == own["lr"] or path.stem.startswith("fieldguide"), "where another rate was tried"
        assert options[row].trainer == cli.config.trainer
        assert trained.chunk_size == own.chunk_size, "which fits into memory"
    reclip = options["reclip"].model.init_args
    assert (reclip.alpha, reclip.momentum, reclip.weight_decay) == (0.99, 0.9, 0.0001), "not those of latteclip"
    assert (reclip.text_lr, reclip.image_lr) == (0.001, 1.6e-5)


def test_the_data_sets_and_ablations_of_latteclip_are_there():
    assert len(LATTECLIP) == 12
    ablations = {path.stem: read_grid(path) for path in SWEEPS if path.stem.startswith("latteclip_")}
    runs = {stem: len(grid.variants) for stem, grid in ablations.items()}
    assert runs == {
        "latteclip_methods": 6,
        "latteclip_texts": 7,
        "latteclip_parts": 6,
        "latteclip_right_in_group": 4,
        "latteclip_group_size": 4,
        "latteclip_data": 10,
    }


def test_the_tables_and_figures_of_the_paper_are_there():
    assert {"candidates", "llm_candidates", "shots", "k"} <= {path.stem for path in SWEEPS}
    (shots,) = (path for path in SWEEPS if path.stem == "shots")
    assert {variant.values["shots"] for variant in read_grid(shots).variants} == set(range(1, 11))


@pytest.mark.parametrize("path", [*CONFIGS, *SWEEPS], ids=lambda path: path.stem)
def test_config_says_what_it_is_and_how_to_run_it(path):
    first, second, *_ = path.read_text().splitlines()
    assert first.startswith("# ")
    command = "sweep" if path in SWEEPS else "fit"
    assert second.startswith(f"#   fgvr {command} --config {path.relative_to(shipped_folder())}")


def test_gpt4o_says_what_is_missing(tmp_path, monkeypatch, capsys):
    """What it would cost, without a key; and that the key is missing, before anything is computed."""
    from PIL import Image

    from fgvr.cli import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FGVR_CACHE", str(tmp_path / "cache"))
    Path("cub/images/001.Auk").mkdir(parents=True)
    Image.new("RGB", (8, 8)).save("cub/images/001.Auk/a.jpg")
    Path("cub/images.txt").write_text("1 001.Auk/a.jpg\n")
    Path("cub/train_test_split.txt").write_text("1 1\n")
    options = ["--config", "cub_gpt4o.yaml", "--data.dataset.root", "cub"]
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    assert main(["label", *options, "--dry-run"]) == 0
    assert "1 photo, 1 request: 0 stored, 1 to ask, about $0.0" in capsys.readouterr().out
    assert main(["label", *options, "--dry-run", "--batch"]) == 0
    assert "by batch: about $0.0" in capsys.readouterr().out
    assert main(["fit", *options, "--trainer.accelerator", "cpu"]) == 2
    assert "OPENAI_API_KEY" in capsys.readouterr().err
