"""The example of docs/how-to/write-a-labeler.md: installed with pip, tested, run, and the same as on the page."""

import json
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from tiny_run import COLOURS, OPTIONS, SUPPORT

from fgvr.cli import main

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "docs" / "examples" / "fgvr-example-labeler"
PAGE = ROOT / "docs" / "how-to" / "write-a-labeler.md"
KEY = "namery-secret-0123456789"
FENCED = re.findall(r"^```(\w+)\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="session")
def installed(tmp_path_factory):
    target = tmp_path_factory.mktemp("example")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*command, "--target", str(target), str(PACKAGE)], check=True, capture_output=True)
    return target


def run(installed, *args, **options):
    environment = {**os.environ, "PYTHONPATH": str(installed), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run([sys.executable, "-m", *args], capture_output=True, text=True, env=environment, **options)


def test_its_own_tests_pass(installed):
    result = run(installed, "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", cwd=PACKAGE)
    assert result.returncode == 0, result.stdout
    assert re.search(r"^\d+ passed", result.stdout, re.MULTILINE)


def test_its_labelers_are_listed(installed, tmp_path):
    listed = json.loads(run(installed, "fgvr", "list", "labelers", "--json", cwd=tmp_path).stdout)["labelers"]
    mine = {entry["name"] for entry in listed if entry["package"] == "fgvr-example-labeler"}
    assert mine == {"hue", "namery", "prototype"}


def test_a_run_asks_its_server_and_keeps_the_key_to_itself(installed, tiny_run, httpserver, monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(installed))
    monkeypatch.setenv("NAMERY_API_KEY", KEY)
    answer = {"text": "It is a **House Finch**.", "model": "namery-1.3", "tokens": 77}
    httpserver.expect_request("/v1/name", headers={"Authorization": f"Bearer {KEY}"}).respond_with_json(answer)
    images = len(COLOURS) * SUPPORT
    own = ["--data.labeler", "fgvr_example_labeler.namery.NameryLabeler"]
    own += ["--data.labeler.base_url", httpserver.url_for("").rstrip("/"), "--data.labeler.limits.concurrency", "3"]
    start = OPTIONS.index("--data.labeler")
    options = [*OPTIONS[:start], *own, *OPTIONS[start + 4 :]]
    assert main(["label", *options, "--dry-run"]) == 0
    assert f"{images} to ask, about $0.02" in capsys.readouterr().out
    assert not httpserver.log
    for _ in range(2):
        assert main(["label", *options]) == 0
    assert f"{images} stored, 0 to ask" in capsys.readouterr().out
    assert len(httpserver.log) == images
    for path in Path("runs").rglob("*"):
        assert path.is_dir() or KEY.encode() not in path.read_bytes(), path


@pytest.mark.parametrize("language", ["python", "toml"])
def test_the_page_shows_the_package(language):
    files = [path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*") if path.suffix in (".py", ".toml")]
    blocks = [block for kind, block in FENCED if kind == language]
    assert blocks
    for block in blocks:
        shown = (block, textwrap.indent(block, " " * 4))  # a method is shown without its class
        assert any(text in file for text in shown for file in files), f"not in the package:\n{block}"


def test_every_block_of_the_page_is_compared():
    assert {kind for kind, _ in FENCED} == {"python", "toml"}
