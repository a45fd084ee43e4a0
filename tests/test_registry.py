import importlib
import inspect
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from jsonargparse import ArgumentParser

from fgvr import registry as module
from fgvr.errors import FgvrError
from fgvr.losses.proden import ProdenLoss
from fgvr.registry import KINDS, OWN_SLOTS, SLOTS, Registry, option_names

ENTRIES = [(kind, name) for kind, registry in KINDS.items() for name in registry.builtins]
BASES = {
    "datasets": "fgvr.datasets.base.ImageDataset",
    "labelers": "fgvr.labelers.base.Labeler",
    "tasks": "fgvr.labelers.tasks.base.Task",
    "selections": "fgvr.selections.base.Selection",
    "vocabulary": "fgvr.vocabulary.base.VocabularyStrategy",
    "candidates": "fgvr.candidates.base.CandidateStrategy",
    "relabelling": "fgvr.relabelling.base.Relabelling",
    "backbones": "fgvr.backbones.base.Backbone",
    "heads": "fgvr.heads.base.Head",
    "losses": "fgvr.losses.base.Loss",
    "filters": "fgvr.filters.base.Filter",
    "methods": "fgvr.methods.base.Method",
    "protocols": "fgvr.judging.base.Protocol",
}


def base_of(kind):
    name, _, class_name = BASES[kind].rpartition(".")
    return getattr(importlib.import_module(name), class_name)


@pytest.mark.parametrize(("kind", "name"), ENTRIES)
def test_entry_is_a_concrete_plugin_in_the_file_of_its_name(kind, name):
    plugin = KINDS[kind].load(name)
    assert issubclass(plugin, base_of(kind))
    assert not inspect.isabstract(plugin)
    # the file of its name, or the file "labeler" in the folder of its name
    assert plugin.__module__.removesuffix(".labeler").rpartition(".")[2] == name
    assert inspect.getdoc(plugin)


@pytest.mark.parametrize(("kind", "name"), ENTRIES)
def test_every_option_is_annotated_and_documented(kind, name):
    plugin = KINDS[kind].load(name)
    parser = ArgumentParser()
    parser.add_class_arguments(plugin)  # refuses an option without a type
    for action in parser._actions:
        assert action.help, f"{plugin.__name__} does not document {action.dest}"
    declared, options = inspect.signature(plugin).parameters, option_names(plugin)
    for parameter in declared.values() if "__init__" in vars(plugin) else ():
        hides = parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
        assert not hides or set(options) - declared.keys(), f"{parameter} hides options"
        assert f"{parameter.name}:" in (plugin.__doc__ or ""), f"{plugin.__name__} does not document {parameter.name}"


@pytest.mark.parametrize("kind", KINDS)
def test_every_plugin_class_of_the_package_is_listed(kind):
    base = base_of(kind)
    folder = Path(inspect.getfile(base)).parent
    found = {
        f"{name}.{value.__name__}"
        for path in folder.rglob("*.py")
        for name in [".".join((base.__module__.rpartition(".")[0], *path.relative_to(folder).with_suffix("").parts))]
        for value in vars(importlib.import_module(name)).values()
        if inspect.isclass(value)
        and issubclass(value, base)
        and not inspect.isabstract(value)
        and value.__module__ == name
    }
    assert found == set(KINDS[kind].builtins.values())


def test_names_classes_and_paths_mean_one_thing():
    for name in ("proden", "ProdenLoss", "fgvr.losses.ProdenLoss", "fgvr.losses.proden.ProdenLoss"):
        assert KINDS["losses"].resolve(name) == "fgvr.losses.proden.ProdenLoss"


def test_a_typo_gets_the_closest_name_and_a_command():
    with pytest.raises(FgvrError, match=r"'prodenn'.*Did you mean 'proden'\?.*`fgvr list losses`"):
        KINDS["losses"].resolve("prodenn")


def entry(name, value):
    return EntryPoint(name=name, value=value, group="fgvr.losses")


def test_installed_plugins_are_found_and_not_imported(monkeypatch):
    monkeypatch.setattr(module, "entry_points", lambda group: [entry("mine", "a_missing_package.loss:Mine")])
    registry = Registry("losses", {"proden": "fgvr.losses.proden.ProdenLoss"})
    assert registry.resolve("mine") == "a_missing_package.loss.Mine"
    assert registry.resolve("proden") == "fgvr.losses.proden.ProdenLoss"


def test_a_built_in_name_wins_with_a_warning(monkeypatch):
    monkeypatch.setattr(module, "entry_points", lambda group: [entry("proden", "other:Proden")])
    registry = Registry("losses", {"proden": "fgvr.losses.proden.ProdenLoss"})
    with pytest.warns(UserWarning, match="name of a built-in"):
        assert registry.resolve("proden") == "fgvr.losses.proden.ProdenLoss"


def test_two_packages_of_one_name_make_only_that_name_an_error(monkeypatch):
    entries = [entry("mine", "first:Mine"), entry("mine", "second:Mine"), entry("other", "first:Other")]
    monkeypatch.setattr(module, "entry_points", lambda group: entries)
    registry = Registry("losses", {})
    assert registry.resolve("other") == "first.Other"
    with pytest.raises(FgvrError, match=r"first\.Mine and second\.Mine"):
        registry.resolve("mine")


def test_a_class_has_its_short_name_and_another_one_its_own(monkeypatch):
    class Own(ProdenLoss):
        pass

    monkeypatch.setattr(module, "entry_points", lambda group: [entry("mine", f"{__name__}:Listed")])
    registry = Registry("losses", {"proden": "fgvr.losses.proden.ProdenLoss"})
    assert [registry.short_name(loss) for loss in (ProdenLoss, Listed, Own)] == ["proden", "mine", "Own"]


class Listed(ProdenLoss):
    pass


def test_a_path_without_its_class(monkeypatch):
    with pytest.raises(FgvrError, match="has no NoSuchLoss"):
        KINDS["losses"].load("fgvr.losses.proden.NoSuchLoss")


@pytest.mark.parametrize("code", ["import fgvr.registry", "from fgvr.cli import main; main(['list'])"])
def test_the_registry_and_list_import_no_torch(code):
    check = f"{code}\nimport sys; assert not {{'torch', 'lightning', 'numpy'}} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", check], check=True, capture_output=True)


def test_slots_cover_every_kind():
    slots = [*SLOTS.values(), *(registry for own in OWN_SLOTS.values() for registry in own.values())]
    assert {registry.kind for registry in slots} | {"methods"} == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_a_package_hands_out_its_plugins_and_says_so_to_type_checkers(kind):
    base = base_of(kind)
    package = importlib.import_module(base.__module__.rpartition(".")[0])
    paths = sorted({*KINDS[kind].builtins.values(), f"{base.__module__}.{base.__qualname__}"})
    assert package.__all__ == sorted(path.rpartition(".")[2] for path in paths)
    assert {getattr(package, path.rpartition(".")[2]).__module__ for path in paths} == {
        path.rpartition(".")[0] for path in paths
    }
    parts = [path.rpartition(".") for path in paths]
    stub = Path(package.__file__).with_suffix(".pyi").read_text()
    assert stub.splitlines() == [f"from {module} import {name} as {name}" for module, _, name in parts]
    with pytest.raises(AttributeError, match="has no attribute 'NoSuchThing'"):
        package.NoSuchThing  # noqa: B018
