"""Fixtures of all tests, and an environment in which no test reaches for a network."""

import os

# before anything imports huggingface_hub or wandb, which read them once
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["WANDB_MODE"] = "offline"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
# Lightning calls what jsonargparse 5 will remove; the pin in pyproject.toml keeps 5 away
os.environ["JSONARGPARSE_DEPRECATION_WARNINGS"] = "off"

import pytest
import torch
from ddp_pool import ddp_pool
from PIL import Image
from tiny_run import tiny_run

__all__ = ["ddp_pool", "tiny_run"]


def pytest_runtest_setup(item):
    if item.get_closest_marker("gpu") and not torch.cuda.is_available():
        pytest.skip("needs a GPU")


@pytest.fixture
def draw(tmp_path):
    """Write small one-coloured photos: ``draw("a/b.png", "red")``."""

    def draw_photo(name, colour="red"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), colour).save(path)
        return path

    return draw_photo
