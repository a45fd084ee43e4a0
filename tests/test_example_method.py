"""The example of docs/how-to/write-a-method.md: installed with pip, tested, run, and the same as on the page."""

import json
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from tiny_run import COLOURS, OPTIONS

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "docs" / "examples" / "fgvr-example-method"
PAGE = ROOT / "docs" / "how-to" / "write-a-method.md"
FENCED = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    target = tmp_path_factory.mktemp("example")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*command, "--target", str(target), str(PACKAGE)], check=True, capture_output=True)
    return target


def run(installed, *args, **options):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(installed), os.environ.get("PYTHONPATH", "")])}
    return subprocess.run([sys.executable, "-m", *args], capture_output=True, text=True, env=environment, **options)


def test_its_own_tests_pass(installed):
    result = run(installed, "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", cwd=PACKAGE)
    assert result.returncode == 0, result.stdout
    assert re.search(r"^\d+ passed", result.stdout, re.MULTILINE)


def test_a_run_by_its_short_name(installed, tiny_run):
    """Nobody is asked for a label."""
    (tiny_run / "words.txt").write_text("\n".join([*COLOURS, "Emu", "Ostrich"]))
    start = OPTIONS.index("--model")
    method = ["--model", "nearest_words", "--model.words", "words.txt", "--model.per_photo", "2"]
    method += ["--model.backbone", "fgvr.testing.tiny.TinyBackbone", "--trainer.accelerator", "cpu"]
    result = run(installed, "fgvr", "fit", *OPTIONS[:start], *method, cwd=tiny_run)
    assert result.returncode == 0, result.stderr
    mine = tiny_run / "runs/run/0"
    assert set(json.loads((mine / "metrics.json").read_text())) == {"nearest_words"}
    assert not (mine / "labels.parquet").exists()
    names = [each["name"] for each in json.loads((mine / "vocabulary.json").read_text())["classes"]]
    assert set(names) <= {*COLOURS, "Emu", "Ostrich"}


@pytest.mark.parametrize("language", ["python", "toml"])
def test_the_page_shows_the_package(language):
    files = [path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*") if path.suffix in (".py", ".toml")]
    blocks = [block for kind, block in FENCED if kind == language]
    assert blocks
    for block in blocks:
        shown = (block, textwrap.indent(block, " " * 4))  # a function is shown without its class
        assert any(text in file for text in shown for file in files), f"not in the package:\n{block}"
