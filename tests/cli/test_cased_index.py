"""``fgvr cased-index``, with the backbone of the checks."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tiny.wordnet import NOUNS, write_wordnet

from fgvr.captions.index import CaptionIndex
from fgvr.cli import main

TINY = "fgvr.testing.tiny.TinyBackbone"


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FGVR_CACHE", str(tmp_path / "cache"))
    Path("captions.jsonl").write_text('"a finch"\n{"caption": "two finches"}\n"a finch"\n""\n')
    return tmp_path


def test_captions_of_a_file(here, capsys):
    command = ["cased-index", "--captions", "captions.jsonl", "--model.backbone", TINY]
    assert main(command) == 0
    said, use, folder = capsys.readouterr().out.splitlines()
    assert said == "2 captions (captions.jsonl), without 1 repeated one and 1 empty one, 2 words"
    assert use == f"To use it: --model cased --model.index {folder}"
    assert Path(folder).parent == here / "cache/captions"
    assert CaptionIndex.open(Path(folder)).texts([0, 1]) == ["a finch", "two finches"]
    assert main(command) == 0
    assert capsys.readouterr().out.splitlines()[-1] == folder


def test_glosses_of_a_wordnet(here, capsys):
    write_wordnet(here / "wordnet")
    options = ["--wordnet", "wordnet", "--backbone", TINY, "--backbone.embed_dim", "8", "--output", "there"]
    assert main(["cased-index", "--captions", "wordnet", *options]) == 0
    assert f"{len(NOUNS)} captions (wordnet glosses, WordNet 3.0), " in capsys.readouterr().out
    index = CaptionIndex.open(here / "there")
    assert (len(index), index.width, index.captions, index.version) == (len(NOUNS), 8, "wordnet glosses", "3.0")


def test_the_backbone_of_a_configuration(here):
    backbone = {"class_path": TINY, "init_args": {"embed_dim": 8}}
    model = {"class_path": "coop", "init_args": {"backbone": backbone}}
    Path("base.yaml").write_text(json.dumps({"model": model, "data": {"shots": 2}}))
    Path("run.yaml").write_text(json.dumps({"base": "base.yaml", "run": {"name": "x"}}))
    command = ["cased-index", "--captions", "captions.jsonl", "--config", "run.yaml"]
    assert main([*command, "--output", "a"]) == 0
    assert main([*command, "--output", "b", "--model.backbone.seed=3"]) == 0
    widths = {name: CaptionIndex.open(here / name) for name in "ab"}
    assert widths["a"].width == widths["b"].width == 8
    assert widths["a"].made_with != widths["b"].made_with


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "the following arguments are required: --captions"),
        (["--captions", "none.jsonl"], "There is no file 'none.jsonl'"),
        (["--captions", "captions.jsonl", "--bakbone", "lite"], "unrecognized arguments: --bakbone"),
        (["--captions", "captions.jsonl", "lite"], "unrecognized arguments: lite"),
        (["--captions", "captions.jsonl", "--backbone", "lita"], "Did you mean 'lite'"),
        (["--captions", "captions.jsonl", "--backbone", TINY, "--backbone.dim", "3"], "has no option 'dim'"),
        (["--captions", "captions.jsonl", "--config", "none.yaml"], "no configuration 'none.yaml'"),
        (["--captions", "captions.jsonl", "--wordnet", "x"], "--wordnet is for --captions wordnet"),
        (["--captions", "wordnet", "--column", "x"], "--column is for files"),
        (["--captions", "wordnet", "--wordnet", "x"], "--wordnet: there is no WordNet in 'x'"),
    ],
)
def test_mistakes_are_answered(here, capsys, options, said):
    given = [] if "--backbone" in options or "--bakbone" in options else ["--backbone", TINY]
    assert main(["cased-index", *options, *given]) == 2
    assert said in capsys.readouterr().err


def test_help_comes_without_torch():
    code = "import sys, fgvr.cli.cased_index; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "False\n"
