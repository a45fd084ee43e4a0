"""What cannot work is refused before a labeler is asked: precision, loggers, what callbacks follow, and weights."""

from types import SimpleNamespace

import pytest
import torch
from lightning.pytorch import Callback
from lightning.pytorch.callbacks import EarlyStopping
from lightning.pytorch.loggers import WandbLogger
from tiny_run import OPTIONS

from fgvr.checkpoints.monitors import check_monitored
from fgvr.cli import main
from fgvr.errors import FgvrError
from fgvr.labelers.recorded import RecordedLabeler
from fgvr.methods.coop import CoOpMethod
from fgvr.pipeline.loggers import check_loggers
from fgvr.pipeline.preparation import build_trainer, check_precision


@pytest.fixture
def asked(monkeypatch):
    """The requests that the labeler was asked."""
    requests, ask = [], RecordedLabeler.ask

    def counted(self, wanted):
        requests.extend(wanted)
        return ask(self, wanted)

    monkeypatch.setattr(RecordedLabeler, "ask", counted)
    return requests


WANDB = ["--trainer.logger", "WandbLogger", "--trainer.logger.offline", "true"]
STOP = ["--trainer.callbacks+=EarlyStopping", "--trainer.callbacks.monitor"]
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:12ab\nsize 350000000\n"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--trainer.precision", "bf16-true"], "trainer.precision is 'bf16-true'"),
        (["--trainer.precision", "transformer-engine"], "trainer.precision is 'transformer-engine'"),
        ([*WANDB, "--trainer.logger.project", "team/birds"], "trainer.logger.entity to 'team'"),
        (
            [*WANDB, "--trainer.logger.project", "https://wandb.ai/team/birds"],
            "to 'birds' and trainer.logger.entity to 'team'.",
        ),
        ([*WANDB, "--trainer.logger.project", "birds/"], "has no slash: set trainer.logger.project to 'birds'."),
        ([*WANDB, "--trainer.logger.project", "/"], "has no slash: set trainer.logger.project to another."),
        (
            [*STOP, "train/loss", "--trainer.callbacks.mode", "minimum"],
            "error: EarlyStopping cannot be used: `mode` can be",
        ),
        (["--model.templates", "a photo"], "The template 'a photo' needs exactly one {}"),
        ([*WANDB, "--trainer.logger.project", "birds?"], "Weights & Biases does not take"),
        ([*STOP, "val_loss"], "EarlyStopping monitors 'val_loss', which nothing logs"),
        ([*STOP, "select/coverage"], "close to it: select/covering_rate"),
        (["--trainer.accelerator", "tpu"], "The trainer cannot be built"),
        (["--model.backbone", "open_clip", "--model.backbone.pretrained", "w.pt"], "w.pt is a Git LFS pointer"),
    ],
)
def test_nobody_is_asked(tiny_run, capsys, asked, options, said):
    (tiny_run / "w.pt").write_text(POINTER)
    assert main(["fit", *OPTIONS, *options]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert "Traceback" not in error
    assert ".." not in error.splitlines()[-1]
    assert asked == []
    assert not (tiny_run / "runs" / "labels.sqlite").exists()


def test_a_sweep_refuses_them_too(tiny_run, capsys, asked):
    (tiny_run / "sweep.yaml").write_text(
        "base: base.yaml\nseeds: [0]\nvary:\n  trainer.precision: [32-true, 16-true]\n"
    )
    with pytest.raises(SystemExit):
        main(["fit", *OPTIONS, "--print_config"])
    (tiny_run / "base.yaml").write_text(capsys.readouterr().out)
    assert main(["sweep", "--config", "sweep.yaml"]) == 2
    assert "trainer.precision is '16-true'" in capsys.readouterr().err
    assert asked == []


@pytest.mark.parametrize("precision", ["64-true", "16-true", "transformer-engine-float16", 64, "half", "bf16-truth"])
def test_precisions_that_are_refused(precision):
    with pytest.raises(FgvrError, match=rf"trainer\.precision is '{precision}'.*bf16-mixed"):
        check_precision(precision)


@pytest.mark.parametrize("precision", [None, 32, "32", "32-true", 16, "16-mixed", "bf16", "bf16-mixed"])
def test_precisions_that_work(precision):
    check_precision(precision)


@pytest.mark.parametrize("key", ["devices", "num_nodes"])
def test_numbers_of_processes_that_nobody_has(key):
    with pytest.raises(FgvrError, match=rf"trainer\.{key} is 1,180,591,620,717,411,303,424; expected at most 10,000\."):
        build_trainer({"accelerator": "cpu", key: 2**70})


@pytest.mark.parametrize("project", [r"a\b", "a#b", "what?", "50%", "a:b", "x" * 129])
@pytest.mark.parametrize("as_object", [False, True])
def test_projects_that_weights_and_biases_refuses(project, as_object):
    options = {"class_path": "lightning.pytorch.loggers.WandbLogger", "init_args": {"project": project}}
    with pytest.raises(FgvrError, match=r"^trainer\.logger\.project is .* does not take: [^\n]*[^.]\.$"):
        check_loggers([None, WandbLogger(project=project, offline=True) if as_object else options])


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"project": "team/lab/birds"}, "project to 'birds' and trainer.logger.entity to 'lab'"),
        ({"project": "/birds"}, "has no slash"),
        ({"id": "a/b"}, "trainer.logger.id is 'a/b'"),
        ({"version": "run:1"}, "trainer.logger.version is 'run:1'"),
    ],
)
def test_settings_of_weights_and_biases(options, said):
    with pytest.raises(FgvrError, match=said):
        check_loggers({"class_path": "WandbLogger", "init_args": options})


def test_a_project_of_the_environment(monkeypatch):
    monkeypatch.setenv("WANDB_PROJECT", "team/birds")
    with pytest.raises(FgvrError, match=r"environment variable WANDB_PROJECT is 'team/birds'"):
        check_loggers({"class_path": "WandbLogger", "init_args": {}})
    for given in (None, True, [], {"class_path": "WandbLogger", "init_args": {"project": "Vögel 2026 (first)"}}):
        check_loggers(given)


class Own(Callback):
    """Logs whatever it likes."""


class Derived(CoOpMethod):
    """Of a plugin, which may log more."""


@pytest.mark.parametrize("monitor", ["val_loss", "loss", "train/loss_epoch", "val/cacc", "select/covering_rate"])
def test_what_callbacks_may_follow(monitor):
    method = CoOpMethod.__new__(CoOpMethod)
    torch.nn.Module.__init__(method)
    data = SimpleNamespace(images=SimpleNamespace(splits={"support": [1], "val": []}))
    check_monitored([EarlyStopping("train/loss")], method, data)
    with pytest.raises(FgvrError, match=rf"EarlyStopping monitors '{monitor}', which nothing logs.*train/loss"):
        check_monitored([EarlyStopping(monitor)], method, data)
    check_monitored([EarlyStopping(monitor), Own()], method, data)
    derived = Derived.__new__(Derived)
    torch.nn.Module.__init__(derived)
    check_monitored([EarlyStopping(monitor)], derived, data)
