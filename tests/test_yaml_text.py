"""YAML and JSON of absurd size, depth or meaning is refused in one line, wherever it is read."""

import json

import pytest
import yaml

from fgvr.config.files import expand_config_names
from fgvr.errors import FgvrError
from fgvr.metrics.files import read_metrics
from fgvr.reports.run_files import mask_secrets, read_run
from fgvr.runs import RunFolder
from fgvr.sweeps.grid import read_grid
from fgvr.vocabulary.files import read_vocabulary
from fgvr.vocabulary.name_files import read_class_names
from fgvr.yaml_text import TooMuchError, compose_yaml, load_json, load_yaml

LAUGHS = "\n".join(
    ["a0: &a0 [lol, lol, lol]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 30))]
)
MERGES = "\n".join(
    ["m0: &m0 {k: v}", *(f"m{n}: &m{n} {{<<: [{', '.join([f'*m{n - 1}'] * 10)}]}}" for n in range(1, 30))]
)


def read_names(path):
    return read_class_names(path, "data.class_names")


def read_config(path):
    return expand_config_names(["--config", str(path)])


BOMBS = {
    "laughs": (LAUGHS, "with its aliases written out, it has more than 1,000,000 values"),
    "merges": (MERGES, "with its aliases written out, it has more than 1,000,000 values"),
    "lists": ("data: " + "[" * 100_000, "nested more than 100 levels deep"),
    "mappings": ("data: " + "{a: " * 100_000, "nested more than 100 levels deep"),
    "blocks": ("- " * 5_000 + "a", "nested more than 100 levels deep"),
    "itself": ("data: &a [*a]", "an alias in it stands for what it is a part of"),
    "size": ("data: 1 #" + "x" * 9_000_000, "MB of YAML, and at most"),
}


@pytest.mark.parametrize("name", BOMBS)
@pytest.mark.parametrize("read", [load_yaml, compose_yaml, mask_secrets])
def test_bombs_are_refused_at_once(name, read):
    text, why = BOMBS[name]
    with pytest.raises(TooMuchError, match=why):
        read(text)


@pytest.mark.parametrize("name", BOMBS)
def test_every_reader_names_the_file(tmp_path, name):
    text, why = BOMBS[name]
    path = tmp_path / "bomb.yaml"
    path.write_text(text)
    folder = RunFolder(tmp_path)
    folder.config.write_text(text)
    readers = {
        path: [read_config, read_grid, read_names],
        folder.config: [lambda path: read_run(folder)],
    }
    for file, each in readers.items():
        for read in each:
            with pytest.raises(FgvrError, match=why) as caught:
                read(file)
            assert str(file) in str(caught.value)
            assert "\n" not in str(caught.value)


@pytest.mark.parametrize("read", [read_vocabulary, read_metrics, read_names])
def test_deep_json_is_refused_by_name(tmp_path, read):
    path = tmp_path / "deep.json"
    path.write_text("[" * 1_000_000)
    with pytest.raises(FgvrError, match=r"deep\.json.*nested too deep"):
        read(path)


@pytest.mark.parametrize("text", ["day: 2026-99-99", f"number: {'9' * 5000}", "a: !!python/object:os.system {}"])
def test_values_that_are_none(text):
    with pytest.raises(yaml.YAMLError):
        load_yaml(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "data: {shots: 3, names: [no, 1e3]}",
        "common: &common {lr: 0.1, steps: [1, 2]}\na: {<<: *common, lr: 0.2}\nb: *common",
        "- &name Beagle\n- *name\n- *name",
    ],
)
def test_anchors_and_aliases_go_on_working(text):
    assert load_yaml(text) == yaml.safe_load(text)


def test_json_is_read_as_ever():
    assert load_json(json.dumps({"a": [1, {"b": None}]})) == {"a": [1, {"b": None}]}
