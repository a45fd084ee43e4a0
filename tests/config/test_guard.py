"""A run folder and a checkpoint are data: whatever they name, no code of theirs is run."""

import os
import shutil
from pathlib import Path

import pytest
import torch
import yaml
from tiny_run import OPTIONS, write_images, write_replies

import fgvr
from fgvr.cli import main
from fgvr.config.guard import ImportGuard
from fgvr.errors import FgvrError
from fgvr.known_classes import known_class

EVIL = """
from pathlib import Path
Path("imported").touch()
from fgvr.labelers.recorded import RecordedLabeler
from lightning.pytorch import Callback

class Evil(RecordedLabeler):
    simulated = True

class EvilCallback(Callback):
    pass
"""
RUN = Path("runs/run/0")


@pytest.fixture(scope="module")
def fitted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fitted")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("FGVR_CACHE", str(folder / "cache"))
        write_images(folder / "birds")
        write_replies(folder / "replies.jsonl")
        assert main(["fit", *OPTIONS, "--trainer.max_epochs", "1"]) == 0
    return folder


@pytest.fixture
def run(fitted, tmp_path, monkeypatch):
    """A copy of a run, in a working directory with a module that nobody may import."""
    shutil.copytree(fitted, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("FGVR_CACHE", str(tmp_path / "cache"))
    (tmp_path / "evil_module.py").write_text(EVIL)
    monkeypatch.setattr(os, "system", lambda command: Path("called").touch())
    yield tmp_path
    assert not Path("imported").exists()
    assert not Path("called").exists()


def change(key, value):
    """Write a value into the run's configuration; dots between keys."""
    config = yaml.safe_load((RUN / "config.yaml").read_text())
    node = config
    *above, last = key.split(".")
    for name in above:
        node = node[name] if node.get(name) is not None else node.setdefault(name, {})
    node[last] = value
    (RUN / "config.yaml").write_text(yaml.safe_dump(config))


STRANGE = {"class_path": "evil_module.Evil", "init_args": {"path": "replies.jsonl"}}
PRUNING = {"class_path": "lightning.pytorch.callbacks.ModelPruning", "init_args": {"pruning_fn": "os.system"}}
CALLS = {"class_path": "lightning.pytorch.callbacks.LambdaCallback", "init_args": {"setup": "os.system"}}
HOSTILE = [
    ("data.labeler", STRANGE),
    ("data.labeler.class_path", "evil_module.Evil"),
    ("data.labeler", "evil_module.Evil"),
    ("data.dataset.class_path", "subprocess.Popen"),
    ("data.describe", {"labeler": STRANGE}),
    ("model.class_path", "evil_module.Evil"),
    ("model.init_args.backbone.class_path", "evil_module.Evil"),
    ("model.init_args.loss", {"class_path": "evil_module.Evil"}),
    ("trainer.callbacks", [{"class_path": "evil_module.EvilCallback"}]),
    ("trainer.callbacks", ["evil_module.EvilCallback"]),
    ("trainer.callbacks", "evil_module.EvilCallback"),
    ("trainer.callbacks", [PRUNING]),
    ("trainer.callbacks", [CALLS]),
    ("trainer.logger", {"class_path": "evil_module.EvilCallback"}),
    ("trainer.plugins", ["evil_module.Evil"]),
    ("trainer.profiler", {"class_path": "evil_module.Evil"}),
    ("compare", {"row": {"data.labeler": "evil_module.Evil"}}),
    ("compare", {"row": {"data.labeler": "{class_path: evil_module.Evil}"}}),
    ("compare", {"row": {"any": {"class_path": "os.system", "init_args": {}}}}),
]


@pytest.mark.parametrize(("key", "value"), HOSTILE)
def test_a_run_that_names_other_code_is_refused_in_one_line(run, key, value):
    change(key, value)
    with pytest.raises(FgvrError) as refused:
        fgvr.open_run(RUN)
    (line,) = str(refused.value).splitlines()
    assert line.startswith(f"{RUN / 'config.yaml'}: {key.partition('.')[0]}")
    assert "trust=True" in line


@pytest.mark.parametrize(("key", "value"), HOSTILE[::3])
def test_a_report_reads_where_the_photos_are_and_no_more(run, key, value, capsys):
    change(key, value)
    refused = key.startswith("data.dataset")
    assert main(["report", str(RUN)]) == (2 if refused else 0)
    assert ("--trust" in capsys.readouterr().err) == refused


@pytest.mark.parametrize(("key", "value"), HOSTILE)
def test_a_model_is_loaded_from_what_says_the_method_and_no_more(run, key, value, monkeypatch):
    change(key, value)
    monkeypatch.setattr("fgvr.config.cli.FgvrCLI.build", lambda self: pytest.fail("nothing was refused"))
    if key.startswith("model"):
        with pytest.raises(FgvrError, match=r"config\.yaml: model.* If you trust it, give trust=True to fgvr\.load\.$"):
            fgvr.load(RUN)
    else:
        with pytest.raises(pytest.fail.Exception):
            fgvr.load(RUN)


def test_what_the_user_gives_may_be_any_code(run):
    (run / "own_module.py").write_text(EVIL.replace('Path("imported").touch()', ""))
    given = {"labeler": {"class_path": "own_module.Evil", "init_args": {"path": "replies.jsonl"}}}
    assert type(fgvr.open_run(RUN, data=given).data.labeler).__name__ == "Evil"
    change("data.labeler.class_path", "own_module.Evil")
    with pytest.raises(FgvrError, match=r"data\.labeler is 'own_module\.Evil'"):
        fgvr.open_run(RUN)
    assert type(fgvr.open_run(RUN, trust=True).data.labeler).__name__ == "Evil"


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("data.labeler", {"class_path": "openai", "init_args": {"base_url": "http://far.example/v1"}}, "a server that"),
        ("trainer.logger", {"class_path": "lightning.pytorch.loggers.WandbLogger"}, "to a server"),
        ("compare", {"row": {"trainer.logger": "WandbLogger"}}, "would be sent"),
        ("trainer.callbacks", [{"class_path": "ModelCheckpoint", "init_args": {"dirpath": "/far/away"}}], "written"),
        ("trainer.callbacks", [{"class_path": "ModelCheckpoint", "init_args": {"filename": "/far/away"}}], "written"),
        ("trainer.logger", {"class_path": "CSVLogger", "init_args": {"save_dir": ".", "name": "../far"}}, "written"),
        ("trainer.logger", {"class_path": "CSVLogger", "init_args": {"save_dir": ".", "version": "$HOME"}}, "written"),
        ("compare", {"row": {"trainer.logger.save_dir": "/far"}}, "written"),
        ("compare", {"row": {"data.cache_dir": "/far/cache"}}, "would be made"),
        ("data.cache_dir", "../far", "would be made"),
        ("data.label_store", "/far/labels.sqlite", "would be made"),
        ("compare", {"row": {"trainer.logger": "{class_path: CSVLogger, init_args: {save_dir: /far}}"}}, "written"),
    ],
)
def test_a_run_that_sends_or_writes_elsewhere_is_looked_at_and_goes_on_when_trusted(run, key, value, reason):
    change(key, value)
    opened = fgvr.open_run(RUN)
    assert "coop" in opened.table
    for stage in (opened.fit, opened.label, opened.test):
        with pytest.raises(FgvrError, match=rf"{reason}.*trust=True"):
            stage()
    assert not fgvr.open_run(RUN, trust=True).parts.refused


def test_files_and_sentences_in_the_options_of_compared_rows_are_no_code(run):
    options = {"data.class_names": "names.txt", "model.templates": ["a {}.", "one bird.One {}"]}
    change("compare", {"row": options})
    assert "coop" in fgvr.open_run(RUN).table


def test_a_test_of_an_opened_run_stays_beside_it(run):
    change("run.root", str(run / "elsewhere"))
    change("run.name", "../../far")
    options = fgvr.open_run(RUN).parts.options
    assert (options.root, options.name) == (run / "runs", "run")


def test_photos_are_not_drawn_where_a_run_folder_says(run, capsys):
    drawn = {"class_path": "fieldguide", "init_args": {"root": str(run / "elsewhere"), "species": 2}}
    change("data.dataset", drawn)
    change("data.cache_dir", str(run / "far"))
    assert main(["report", str(RUN)]) == 2
    assert "photos would be drawn there" in capsys.readouterr().err
    change("data.dataset", {"class_path": "manifest", "init_args": {"root": "birds"}})
    assert main(["report", str(RUN)]) == 0
    assert not (run / "elsewhere").exists()
    assert not (run / "far").exists()


@pytest.mark.parametrize("command", ["predict", "test", "fit"])
def test_a_checkpoint_names_nothing_that_is_imported(run, command):
    path = RUN / "checkpoints/last.ckpt"
    content = torch.load(path, weights_only=True)
    config = yaml.safe_load(content["fgvr"]["config"])
    config["data"]["labeler"] = STRANGE
    config["data"]["describe"] = {"group_labeler": {"class_path": "os.system"}}
    content["fgvr"]["config"] = yaml.safe_dump(config)
    torch.save(content, path)
    assert main([command, *OPTIONS, "--trainer.max_epochs", "2", "--ckpt_path", str(path)]) == 0


def test_a_checkpoint_of_code_is_refused(run, capsys):
    class Code:
        def __reduce__(self):
            return os.mkdir, ("made",)

    torch.save({"fgvr": Code()}, RUN / "checkpoints/last.ckpt")
    assert main(["predict", *OPTIONS, "--ckpt_path", str(RUN / "checkpoints/last.ckpt")]) == 2
    with pytest.raises(FgvrError):
        fgvr.load(RUN)
    with pytest.raises(FgvrError):
        fgvr.open_run(RUN)
    assert not Path("made").exists()


@pytest.mark.parametrize(
    ("path", "known"),
    [
        ("fgvr.losses.ProdenLoss", True),
        ("fgvr.losses.proden.ProdenLoss", True),
        ("lightning.pytorch.callbacks.EarlyStopping", True),
        ("torch.optim.AdamW", True),
        ("evil_module.ProdenLoss", False),
        ("fgvr.losses.proden.torch", False),
        ("fgvr.files.os.system", False),
        ("fgvr.__main__.main", False),
        ("lightning.pytorch.callbacks.LambdaCallback", False),
        ("ProdenLoss", False),
        ("fgvr. losses.ProdenLoss", False),
    ],
)
def test_what_may_be_named(path, known):
    assert (known_class(path) is not None) == known


def test_a_guard_ends_with_its_block():
    with ImportGuard({}, Path("config.yaml"), "say so"):
        pass
    from jsonargparse import ArgumentParser

    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--kind", type=type)
    assert parser.parse_args(["--kind=fractions.Fraction"]).kind.__name__ == "Fraction"
