"""A third-party package, installed with pip, and what a broken one of its plugins does to the others."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_run import OPTIONS

PACKAGE = Path(__file__).parent / "plugin_package"


@pytest.fixture(scope="session")
def installed(tmp_path_factory):
    target = tmp_path_factory.mktemp("plugins")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*command, "--target", str(target), str(PACKAGE)], check=True, capture_output=True)
    return target


@pytest.fixture
def fgvr(installed, tiny_run):
    """Run a command in a process that has the package installed."""

    def run(*args):
        environment = {**os.environ, "PYTHONPATH": str(installed)}
        return subprocess.run([sys.executable, "-m", "fgvr", *args], capture_output=True, text=True, env=environment)

    return run


def test_plugins_are_listed_with_their_package(fgvr):
    listed = {entry["name"]: entry for entry in json.loads(fgvr("list", "--json").stdout)["labelers"]}
    assert listed["file_stem"]["package"] == "fgvr-example"
    assert {"recorded", "broken"} <= set(listed)


def test_labeler_and_loss_run_by_short_name(fgvr):
    own = ["--data.labeler", "file_stem", "--data.labeler.suffix", " bird", "--model.loss", "squared"]
    options = [option for option in OPTIONS if option not in ("--data.labeler.path", "replies.jsonl")]
    for path in Path("birds/photos").glob("*.png"):
        path.rename(path.with_name(f"{'abcd'[int(path.stem[0])]}_bird_{path.stem[-1]}.png"))
    manifest = Path("birds/manifest.csv")
    for number, letter in enumerate("abcd"):
        manifest.write_text(manifest.read_text().replace(f"photos/{number}_", f"photos/{letter}_bird_"))
    result = fgvr("fit", *options, *own, "--model.loss.scale", "2")
    assert result.returncode == 0, result.stderr
    config = Path(result.stdout.splitlines()[-1], "config.yaml").read_text()
    assert "fgvr_example.loss.SquaredLoss" in config
    assert "fgvr_example.labeler.FileStemLabeler" in config


def test_a_broken_plugin_harms_only_the_run_that_selects_it(fgvr):
    result = fgvr("fit", *OPTIONS, "--data.labeler", "broken")
    assert result.returncode == 2
    assert "a_package_that_nobody_has" in result.stderr
    assert "Traceback" not in result.stderr
    result = fgvr("show", "labeler", "broken")
    assert result.returncode == 2
    assert "from fgvr-example) cannot be imported: No module named 'a_package_that_nobody_has'" in result.stderr
    assert fgvr("fit", *OPTIONS, "--trainer.max_epochs", "1").returncode == 0


def test_the_plugins_pass_their_contracts(installed, monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(str(installed))
    from fgvr_example.labeler import FileStemLabeler
    from fgvr_example.loss import SquaredLoss
    from PIL import Image

    from fgvr.datasets.folder import FolderDataset
    from fgvr.datasets.scan import scan
    from fgvr.testing.labelers import check_labeler
    from fgvr.testing.losses import check_loss

    check_loss(SquaredLoss)
    for number in range(3):
        Image.new("RGB", (8, 8), (number, 0, 0)).save(tmp_path / f"blue_jay_{number}.png")
    images = scan(FolderDataset(tmp_path).records(), tmp_path / "cache").readable
    check_labeler(FileStemLabeler(), images)
