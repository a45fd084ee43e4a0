import importlib
import types
import typing
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml

from fgvr.config.cli import FgvrCLI
from fgvr.config.options import as_arguments
from fgvr.config.texts import TEXT_LISTS, TEXT_OPTIONS, keep_texts
from fgvr.data.datamodule import FgvrDataModule
from fgvr.errors import FgvrError
from fgvr.pipeline.options import RunOptions
from fgvr.registry import KINDS
from fgvr.sweeps.grid import read_grid

ODD = ["no", "On", "yes", "off", "true", "Null", "~", "1e3", "1_000", "0x1F", "12:30", "2024-01-31", "007", ".5", "+1"]
BASE = ["--data.dataset", "fieldguide", "--model=zero_shot", "--model.backbone=lite"]


def read(*args):
    return FgvrCLI("fit", [*BASE, *args]).config


def constructors():
    for registry in KINDS.values():
        for path in registry.builtins.values():
            module, _, name = path.rpartition(".")
            yield from (kind for kind in getattr(importlib.import_module(module), name).__mro__)
    yield from (*FgvrDataModule.__mro__, RunOptions)


def is_text(kind):
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        return any(map(is_text, typing.get_args(kind)))
    return kind in (str, Path) or is_text_list(kind)


def is_text_list(kind):
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        return any(map(is_text_list, typing.get_args(kind)))
    return typing.get_origin(kind) in (list, Sequence) and is_text(typing.get_args(kind)[0])


def test_every_text_of_what_comes_with_fgvr_is_known():
    hints = [
        hint
        for kind in constructors()
        if "__init__" in vars(kind) and kind.__module__.startswith("fgvr")
        for hint in typing.get_type_hints(kind.__init__).items()
    ]
    assert {name for name, kind in hints if is_text_list(kind)} == TEXT_LISTS
    assert {name for name, kind in hints if is_text(kind)} <= TEXT_OPTIONS


@pytest.mark.parametrize(
    "text",
    [
        "data:\n  class_names:\n" + "".join(f"  - {each}\n" for each in ODD),
        f"data: {{class_names: [{', '.join(ODD)}]}}",
        f"set: {{data.class_names: [{', '.join(ODD)}]}}",
        f"names: &a [{', '.join(ODD)}]\ndata: {{class_names: *a}}",
    ],
)
def test_texts_stay_as_they_are_written(text):
    content = yaml.safe_load(keep_texts(text))
    section = content.get("data") or content["set"]
    assert next(iter(section.values())) == ODD


@pytest.mark.parametrize(
    "text",
    [
        "data: {shots: 010, class_names: dataset}",
        "trainer: {logger: {init_args: {version: 3, name: no}}, devices: [0, 1]}",
        "model: {init_args: {templates: null, betas: [0.9, 1e-3]}}",
        "data: {class_names: ['no', \"on\", !!str off]}",
        "data: {labeler: {init_args: {prompt: }}}",
        "[1, 2]",
        "",
    ],
)
def test_all_else_is_read_as_before(text):
    assert yaml.safe_load(keep_texts(text)) == yaml.safe_load(text)


def test_an_alias_inside_itself_is_refused():
    with pytest.raises(yaml.YAMLError, match="an alias in it stands for what it is a part of"):
        keep_texts("data: &a\n  class_names: [no, *a]\n")


def test_names_and_templates_of_a_file(tmp_path):
    path = tmp_path / "odd.yaml"
    path.write_text(f"data: {{class_names: [{', '.join(ODD)}]}}\nrun: {{name: 1e3, version: 012}}\n")
    config = read("--config", str(path))
    assert config.data.class_names == ODD
    assert (config.run.name, config.run.version) == ("1e3", "012")


def test_names_on_the_command_line():
    assert read("--data.class_names", f"[{', '.join(ODD)}]").data.class_names == ODD
    assert read("--data.class_names=[0, 1]").data.class_names == ["0", "1"]
    chosen = read("--data.labeler=openai", "--data.labeler.model=1e3", "--data.labeler.task=choose")
    assert chosen.data.labeler.init_args.model == "1e3"
    task = '{"class_path": "choose", "init_args": {"options": [yes, no]}}'
    for option in (["--data.labeler.task.options", "[yes, no]"], ["--data.labeler.task", task]):
        args = ["--data.labeler=openai", "--data.labeler.model=x", "--data.labeler.task=choose", *option]
        assert read(*args).data.labeler.init_args.task.init_args.options == ["yes", "no"]


@pytest.mark.parametrize(
    ("given", "names"),
    [
        (["+=Pug"], ["Pug"]),
        (["+=Pug", "+=no"], ["Pug", "no"]),
        (["+=null", "+=1e3"], ["null", "1e3"]),
        (["+=[Pug, 5]"], ["Pug", "5"]),
        (["=[Boxer]", "+=Pug"], ["Boxer", "Pug"]),
    ],
)
def test_names_are_added_one_by_one(given, names):
    assert read(*(f"--data.class_names{each}" for each in given)).data.class_names == names


@pytest.mark.parametrize("before", ["dataset", "names.txt"])
def test_names_are_added_to_a_list_alone(before):
    with pytest.raises(FgvrError, match=f"data.class_names is '{before}', and --data.class_names. adds to a list"):
        read(f"--data.class_names={before}", "--data.class_names+", "Pug")


def test_a_sweep_keeps_texts(tmp_path):
    path = tmp_path / "sweep.yaml"
    path.write_text("base: quickstart\nseeds: [0]\nvary: {data.class_names: [[no, on], [1e3, off]], data.shots: [1]}\n")
    tokens = [variant.tokens for variant in read_grid(path).variants]
    assert ['--data.class_names=["no", "on"]' in each for each in tokens] == [True, False]
    assert '--data.class_names=["1e3", "off"]' in tokens[1]


@pytest.mark.parametrize(("value", "shown"), [([None], "None"), (["Pug", 5], "5"), (["Pug", True], "True")])
def test_names_from_python_are_texts(value, shown):
    for key in ("class_names", "templates"):
        with pytest.raises(FgvrError, match=f"{key} holds {shown}; expected texts"):
            as_arguments({"data": {key: value}})
