"""Plugin objects as a configuration holds them."""

import inspect
from pathlib import Path

import pytest

from fgvr.config.options import as_config
from fgvr.datasets import FolderDataset
from fgvr.labelers import FieldguideLabeler, FixedLabeler, OpenAILabeler, VoteLabeler
from fgvr.labelers.tasks import NameTask
from fgvr.registry import KINDS, option_names
from fgvr.testing.tiny import TinyBackbone

SAMPLES = {
    "root": Path("photos"),
    "path": Path("names.csv"),
    "backbone": TinyBackbone(),
    "joint_backbone": TinyBackbone(),
    "visual_backbone": TinyBackbone(),
    "labelers": [FieldguideLabeler(), FixedLabeler(Path("names.csv")), FieldguideLabeler(seed=1)],
    "first": FieldguideLabeler(),
    "fallback": FieldguideLabeler(seed=1),
    "labeler": OpenAILabeler("gpt-test"),
    "vqa": OpenAILabeler("gpt-test"),
    "strategies": ["knn", "single"],
    "n": 5,
    "run": Path("runs/run"),
}
ENTRIES = [(kind, name) for kind, registry in KINDS.items() for name in registry.builtins]


def made(plugin, given=None):
    """An object of a plugin: with what must be given, and what is ``given``."""
    parameters = inspect.signature(plugin).parameters.values()
    needed = {p.name: SAMPLES[p.name] for p in parameters if p.default is p.empty and p.kind != p.VAR_KEYWORD}
    if "strategies" in needed:
        needed["strategies"] = [KINDS["candidates"].load(name)() for name in needed["strategies"]]
    return plugin(**{**needed, **(given or {})})


@pytest.mark.parametrize(("kind", "name"), ENTRIES)
def test_every_plugin_keeps_what_it_was_made_of(kind, name, monkeypatch):
    monkeypatch.chdir(Path(__file__).parent)
    plugin = KINDS[kind].load(name)
    config = as_config(made(plugin))
    assert config["class_path"] == KINDS[kind].builtins[name]
    assert list(config["init_args"]) == option_names(plugin)
    # plain values are kept as they were given: the object that they make says the same
    plain = {
        key: value for key, value in config["init_args"].items() if isinstance(value, int | float | str | type(None))
    }
    paths = {key: Path(value) for key, value in plain.items() if isinstance(SAMPLES.get(key), Path)}
    assert as_config(made(plugin, {**plain, **paths})) == config


def test_other_values_than_the_defaults(tmp_path):
    labeler = VoteLabeler([FieldguideLabeler(confusion=0.2, seed=3), FixedLabeler(tmp_path / "names.csv")])
    first, second = as_config(labeler)["init_args"]["labelers"]
    assert first["init_args"]["confusion"] == 0.2
    assert first["init_args"]["seed"] == 3
    assert second["init_args"]["path"] == str(tmp_path / "names.csv")
    assert as_config(FolderDataset(tmp_path))["init_args"]["root"] == str(tmp_path)
    task = as_config(NameTask(style="expert", category="bird", unit="species"))
    assert task["init_args"] == {"style": "expert", "category": "bird", "unit": "species", "structured": None}
