"""What a grid would ask: each request once, nothing asked and nothing written."""

from pathlib import Path

import pytest
import yaml
from tiny_run import OPTIONS, SUPPORT

from fgvr.cli import main
from fgvr.sweeps.asking_plan import plan_asking
from fgvr.sweeps.grid import read_grid
from fgvr.sweeps.sweep import Sweep

OPENAI = {"class_path": "openai", "init_args": {"model": "gpt-4o"}}
MINI = {"class_path": "openai", "init_args": {"model": "gpt-4o-mini"}}
SERVER = {"class_path": "openai", "init_args": {"model": "mine", "base_url": "https://llm.example.org/v1"}}
ALL, TEST = 4 * SUPPORT, 12


@pytest.fixture
def plan(tiny_run, monkeypatch):
    """Writes a grid over the tiny run, and plans it."""
    monkeypatch.setenv("OPENAI_API_KEY", "no key")
    options = iter(OPTIONS)
    given = {key.removeprefix("--"): yaml.safe_load(value) for key, value in zip(options, options, strict=True)}
    base = {"seed_everything": 0, "data": {"dataset": {"class_path": "manifest", "init_args": {"root": "birds"}}}}
    (tiny_run / "base.yaml").write_text(yaml.safe_dump(base))

    def plan(vary, seeds=(0, 1), **keys):
        set_ = keys.pop("set", {})
        replaced = ("data.labeler", *(["model"] if "model" in set_ else []))
        options = {key: value for key, value in given.items() if not key.startswith(replaced)}
        options |= {"data.labeler": OPENAI} | set_
        content = {"base": "base.yaml", "seeds": list(seeds), "set": options, "vary": vary, **keys}
        Path("grid.yaml").write_text(yaml.safe_dump(content))
        return plan_asking(Sweep(read_grid(Path("grid.yaml")), Path("runs/grid")))

    return plan


def calls(plan):
    return {what: each.missing for what, each in plan.plans.items()}


def test_each_request_is_counted_once(plan):
    found = plan({"data.shots": [2, 3]})
    # the photos of two shots are among those of three
    assert calls(found) == {"labels by openai gpt-4o": 12}
    assert found.usd > 0
    assert f"the whole grid: 12 calls, about ${found.usd:.2f}" in str(found)
    assert not Path("runs").exists()


def test_each_draw_is_asked_about(plan):
    found = plan({"data.candidates": ["single"]}, seeds=range(4), set={"data.shots": 1}, seeded=["data.support_seed"])
    # of four draws of one photo a class, and no photo twice
    assert 4 < found.calls < ALL


def test_direct_asks_about_test_photos(plan):
    assert calls(plan({"data.direct": [True]})) == {"labels by openai gpt-4o": ALL + TEST}


def test_compared_rows_count_and_unknown_prices_are_said(plan):
    compare = {"other": {"data.labeler": SERVER}, "same": {"data.candidates": "random"}}
    found = plan({"data.candidates": ["single"]}, set={"compare": compare})
    assert calls(found) == {"labels by openai gpt-4o": ALL, "labels by openai mine": ALL}
    assert str(found).endswith("; not in it, because the price is not known: labels by openai mine")


def test_a_cascade_says_what_may_follow(plan):
    cascade = {"class_path": "cascade", "init_args": {"first": MINI, "fallback": OPENAI}}
    found = plan({"data.labeler": {"both": {"data.labeler": cascade}}})
    assert calls(found) == {"labels by openai gpt-4o-mini": ALL, "labels by openai gpt-4o": 0}
    assert f"the whole grid: {ALL} calls, about $" in str(found)
    assert f"then up to {ALL} more, about $" in str(found)


LATTECLIP = {
    "model": "latteclip",
    "model.backbone": "fgvr.testing.tiny.TinyBackbone",
    "model.warmup_steps": 1,
    "data.describe.group_size": 2,
}


def test_descriptions_of_known_classes(plan):
    found = plan({"data.class_names": ["dataset"]}, seeds=[0], set=LATTECLIP)
    by_what = calls(found)
    assert by_what["image descriptions by openai gpt-4o"] == ALL
    assert by_what["group descriptions by openai gpt-4o"] > 0
    assert found.notes == ()


def test_descriptions_before_class_names_are_known(plan):
    found = plan({"data.class_names": ["labels"]}, seeds=[0], set=LATTECLIP)
    assert calls(found) == {"labels by openai gpt-4o": ALL, "image descriptions by openai gpt-4o": ALL}
    assert found.notes[0].startswith("not counted: descriptions that depend on class names")


def test_what_is_stored_is_not_counted(plan, tiny_run, capsys):
    recorded = {"class_path": "recorded", "init_args": {"path": "replies.jsonl"}}
    labeler = {"data.labeler": {"recorded": {"data.labeler": recorded}}}
    plan(labeler)
    assert main(["sweep", "--config", "grid.yaml", "--dry-run"]) == 0
    assert f"{ALL} requests: 0 stored, {ALL} to ask" in capsys.readouterr().out
    assert not Path("runs").exists()
    options = ["--data.dataset", "manifest", "--data.dataset.root", "birds", "--data.labeler", "recorded"]
    assert main(["label", *options, "--data.labeler.path", "replies.jsonl"]) == 0
    assert plan(labeler).calls == 0
