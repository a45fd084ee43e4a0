"""Fixtures of all tests, and an environment in which no test reaches for a network."""

import gc
import importlib.util
import os
import signal
import sys
from pathlib import Path

# before anything imports huggingface_hub or wandb, which read them once
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["WANDB_MODE"] = "offline"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
# Lightning calls what jsonargparse 5 will remove; the pin in pyproject.toml keeps 5 away
os.environ["JSONARGPARSE_DEPRECATION_WARNINGS"] = "off"

# read once, too: threads of two workers and of their processes wait for each other's cores, at full load
os.environ["OMP_NUM_THREADS"] = "1"

import pytest
import torch
from ddp_pool import ddp_pool
from PIL import Image
from small_disk import mounted
from tiny_run import tiny_run

__all__ = ["ddp_pool", "tiny_run"]

# 700 new objects, Python's own limit, are nothing here: looking for cycles that often is a tenth of all time
gc.set_threshold(20_000, 20, 20)

# the plugins of the tests are found by `fgvr` in a process of its own, as they are by this one
TESTS = str(Path(__file__).parent)
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [TESTS, os.environ.get("PYTHONPATH")]))


def pytest_runtest_setup(item):
    if item.get_closest_marker("gpu") and not torch.cuda.is_available():
        pytest.skip("needs a GPU")


@pytest.fixture
def draw(tmp_path):
    """Write small one-coloured photos: ``draw("a/b.png", "red")``."""

    def draw_image(name, colour="red"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), colour).save(path)
        return path

    return draw_image


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 1 MB; see ``small_disk.py``."""
    with mounted(tmp_path / "small") as disk:
        yield disk


@pytest.fixture
def store(tmp_path):
    """A label store."""
    from fgvr.labelling.store.label_store import LabelStore  # not before a test needs it

    with LabelStore(tmp_path / "labels.sqlite") as store:
        yield store


@pytest.fixture
def script(request, monkeypatch):
    """The file of ``scripts/`` that the module of the test names in ``SCRIPT``."""
    name = request.module.SCRIPT
    spec = importlib.util.spec_from_file_location(name, Path(TESTS).parent / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, module)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def interruptible():
    """Control-C as in a terminal: a process that was started in the background ignores it.

    And so does Lightning, for the rest of a process in which a run was interrupted, by another test say.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
