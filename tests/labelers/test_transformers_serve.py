"""The labeler for servers against a server that is none of ours: ``transformers serve`` with a tiny random LLaVA."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from PIL import Image
from tiny.images import save_images
from tiny.mllm import save_tiny_mllm

from fgvr.labelers.asking.limits import Limits
from fgvr.labelers.base import LabelRequest
from fgvr.labelers.llava import LlavaLabeler
from fgvr.labelers.openai.labeler import OpenAILabeler
from fgvr.labelers.tasks.name import NameTask

for package in ("openai", "transformers", "fastapi", "uvicorn"):
    pytest.importorskip(package, reason=f"{package} is not installed: pip install openai 'transformers[serving]'")

pytestmark = pytest.mark.slow
PROGRAM = shutil.which("transformers", path=str(Path(sys.executable).parent))
START_SECONDS = 180


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(save_tiny_mllm(tmp_path_factory.mktemp("llava")))


@pytest.fixture(scope="module")
def base_url(model, tmp_path_factory):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = tmp_path_factory.mktemp("serve") / "log.txt"
    command = [PROGRAM, "serve", model, "--device", "cpu", "--host", "127.0.0.1", "--port", str(port)]
    with log.open("wb") as output:
        server = subprocess.Popen(
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "HF_HUB_OFFLINE": "1"},
            start_new_session=True,
        )
    try:
        _wait_until_ready(f"http://127.0.0.1:{port}/health", server, log)
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait(timeout=30)


def _wait_until_ready(url, server, log):
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            assert server.poll() is None, f"the server has stopped:\n{log.read_text()[-3000:]}"
            time.sleep(0.2)
    pytest.fail(f"the server does not answer after {START_SECONDS} s:\n{log.read_text()[-3000:]}")


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    # which JPEG leaves as they are
    grey = [Image.new("RGB", (64, 48), (shade,) * 3) for shade in (40, 200)]
    return save_images(tmp_path_factory.mktemp("photos"), grey)


def ask(labeler, images):
    replies = {reply.request.image: reply for reply in labeler.ask([LabelRequest(p, labeler.prompt) for p in images])}
    return [replies[image] for image in images]


def labeler_for(base_url, model, **options):
    return OpenAILabeler(model, base_url=base_url, limits=Limits(concurrency=2), **options)


def test_two_photos_get_the_names_that_the_model_gives_them(base_url, model, images):
    served = ask(labeler_for(base_url, model, max_output_tokens=8), images)
    local = ask(LlavaLabeler(model, max_output_tokens=8, device="cpu"), images)
    assert all("cut off" in reply.error for reply in served)
    assert [reply.raw for reply in served] == [reply.raw for reply in local]
    assert served[0].raw != served[1].raw
    for reply in served:
        assert reply.usage["output_tokens"] == 8
        assert reply.usage["input_tokens"] > 4
        assert reply.cost_usd == 0
        assert reply.model.startswith(model)


def test_a_server_that_knows_no_schema_is_read_nevertheless(base_url, model, images):
    task = NameTask(structured=True)
    assert task.schema() is not None
    labeler = labeler_for(base_url, model, task=task, max_output_tokens=24)
    for reply in ask(labeler, images):
        assert "cut off" in reply.error
        parsed = labeler.read(reply)
        assert parsed.names or parsed.flag, "words without meaning are a name or flagged, and never an exception"
