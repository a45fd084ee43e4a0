"""Tags of open_clip in ``fgvr list backbones``, and where their figures are from."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest
from open_clip import list_models
from open_clip import list_pretrained_tags_by_model as tags_of

from fgvr.cli import main
from fgvr.cli.listing import _TAGS

ROOT = Path(__file__).parents[2]
CONTENT = json.loads(_TAGS.read_text())
HEADER = "name,pretrained,params (M),FLOPs (B)," + ",".join(CONTENT["sets"].values())


def test_the_listing_of_backbones_has_tags_with_their_source_and_why(capsys):
    assert main(["list", "backbones"]) == 0
    out = capsys.readouterr().out
    lines = [line for line in out.splitlines() if "ViT-B-16-SigLIP " in line]
    assert len(lines) == 1
    cells = " ".join(lines[0].split())
    assert cells.startswith("ViT-B-16-SigLIP webli 203 46 90.81 43.77 85.49 94.20 91.62 81.2 the best up to 50 GFLOP")
    assert "as open_clip publishes it" in out
    assert CONTENT["source"] in out


@pytest.mark.parametrize("kind", [[], ["losses"]])
def test_other_listings_have_none(capsys, kind):
    assert main(["list", *kind, "--json"]) == 0
    assert "open_clip_tags" not in json.loads(capsys.readouterr().out)


def test_json_has_them_too(capsys):
    assert main(["list", "backbones", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert listed["open_clip_tags"] == CONTENT
    assert {row["name"] for row in listed["backbones"]} >= {"open_clip", "timm_visual"}


def test_tags_exist_and_means_are_those_of_their_figures():
    known = list_models()
    for tag in CONTENT["tags"]:
        assert tag["model"] not in known or tag["pretrained"] in tags_of(tag["model"])
        assert tag["mean"] == pytest.approx(sum(tag[name] for name in CONTENT["sets"]) / 5, abs=0.051)


def test_the_page_has_the_same_table():
    page = (ROOT / "docs/how-to/choose-a-backbone.md").read_text()
    for tag in CONTENT["tags"]:
        figures = " | ".join(f"{tag[name]:.2f}" for name in CONTENT["sets"])
        assert (
            f"| `{tag['model']}` | `{tag['pretrained']}` | {tag['million_parameters']} | {tag['gflop']} | {figures}"
            in page
        )
    assert CONTENT["source"] in page


@pytest.fixture
def script(monkeypatch, tmp_path):
    spec = importlib.util.spec_from_file_location("tags", ROOT / "scripts/write_backbone_tags.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "TARGET", tmp_path / "tags.json")
    rows = []
    for tag in CONTENT["tags"]:
        accuracies = [f"{tag[name] / 100:.4f}" for name in CONTENT["sets"]]
        rows.append([tag["model"], tag["pretrained"], tag["million_parameters"], tag["gflop"], *accuracies])

    def run(*further):
        lines = [",".join(map(str, row)) for row in [*rows, *further]]
        (tmp_path / "results.csv").write_text("\n".join([HEADER, *lines]))
        monkeypatch.setattr(sys, "argv", ["", str(tmp_path / "results.csv")])
        assert module.main() == 0
        return json.loads((tmp_path / "tags.json").read_text())

    return run


def test_the_script_writes_the_file_from_the_published_table(script):
    assert script() == CONTENT


def test_the_script_finds_a_tag_that_is_not_the_best_any_more(script):
    with pytest.raises(SystemExit, match="up to 50 GFLOP the best is New tag, not ViT-B-16-SigLIP webli"):
        script(["New", "tag", 200, 45, *[0.99] * 5])
