"""What a run does not need is not imported before it starts. (matplotlib is, by torchmetrics.)"""

import subprocess
import sys

import pytest

UNNEEDED = (
    *("wandb", "sentence_transformers", "open_clip", "timm", "faiss"),
    *("openai", "google.genai", "ray", "httpx"),
)


@pytest.fixture(scope="module")
def imported():
    code = "import sys, fgvr.config.cli, fgvr.cli.stages; print(*sys.modules)"
    return set(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split())


@pytest.mark.parametrize("module", UNNEEDED)
def test_the_command_line_starts_without(imported, module):
    assert module not in imported
