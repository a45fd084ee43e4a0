"""No key, bearer token or encoded photo stays anywhere: not in the run folder, the logs, the label store or W&B."""

import base64
import json
import logging
import re
from collections import Counter
from pathlib import Path

import pytest
import wandb
from pytest_httpserver import HTTPServer
from tiny_run import COLOURS, OPTIONS
from werkzeug import Request, Response

from fgvr.cli import main

KEY = "sk-test-5ecre7-0123456789abcdef"
DATASET, MODEL = OPTIONS[:4], OPTIONS[8:]


class Server:
    """Answers as OpenAI and Gemini do, keeps what it was sent, and puts it into the errors of a few requests."""

    def __init__(self, address: HTTPServer) -> None:
        self.names = list(COLOURS)
        self.sent: list[str] = []
        self.keys: Counter[str] = Counter()
        address.expect_request(re.compile(".*")).respond_with_handler(self)

    def __call__(self, request: Request) -> Response:
        body = request.get_data(as_text=True)
        self.sent.append(body)
        key = request.headers.get("authorization", request.headers.get("x-goog-api-key", ""))
        self.keys[key] += 1
        if len(self.sent) == 3:  # a careless proxy
            return Response(json.dumps({"error": {"message": f"cannot parse {key} {body}"}}), 500)
        name = self.names[len(self.sent) % len(self.names)]
        tokens = {"prompt_tokens": 100, "completion_tokens": 5, "total_tokens": 105}
        choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": name}}
        openai = {
            "id": "1",
            "object": "chat.completion",
            "created": 1,
            "model": "m",
            "choices": [choice],
            "usage": tokens,
        }
        part = {"content": {"role": "model", "parts": [{"text": name}]}, "finishReason": "STOP"}
        usage = {"promptTokenCount": 100, "candidatesTokenCount": 5, "totalTokenCount": 105}
        gemini = {"candidates": [part], "usageMetadata": usage, "modelVersion": "m"}
        return Response(
            json.dumps(gemini if "generateContent" in request.path else openai), 200, mimetype="application/json"
        )


@pytest.mark.parametrize("labeler", ["openai", "gemini"])
def test_nothing_secret_is_written(tiny_run, httpserver, monkeypatch, capfd, caplog, labeler):
    caplog.set_level(logging.INFO)
    server = Server(httpserver)
    monkeypatch.setenv("TEST_KEY", KEY)
    monkeypatch.setenv("GEMINI_API_KEY", KEY)
    options = [
        "--data.labeler",
        labeler,
        "--data.labeler.base_url",
        httpserver.url_for("/v1" if labeler == "openai" else ""),
    ]
    options += ["--data.labeler.model", "m", "--data.labeler.limits.concurrency", "2"]
    if labeler == "openai":
        options += ["--data.labeler.api_key_env", "TEST_KEY"]
    # the service of W&B stays in the folder in which its first run began, be it that of another test
    wandb.teardown()
    rest = ["--trainer.max_epochs", "1", *(["--trainer.logger", "WandbLogger"] if labeler == "openai" else [])]
    assert main(["fit", *DATASET, *options, *MODEL, *rest]) == 0
    assert sum(count for key, count in server.keys.items() if KEY in key) >= 16, "the key was sent"
    pictures = [found for body in server.sent for found in re.findall(r"/9j/[\w+/=-]{60,}|_9j_[\w+/=-]{60,}", body)]
    assert len(pictures) >= 16, "the photos were sent"
    middles = {picture[40:100] for picture in pictures}
    out, err = capfd.readouterr()
    logged = "\n".join(record.getMessage() for record in caplog.records if record.name.startswith(("fgvr", "wandb")))
    texts = {"stdout": out, "stderr": err, "log": logged}
    files = [path for path in Path().rglob("*") if path.is_file() and "birds" not in path.parts]
    assert {"labels.sqlite", "config.yaml", "report.html", "labels.parquet", "metrics.csv"} <= {
        path.name for path in files
    }
    assert any(path.suffix == ".wandb" for path in files) == (labeler == "openai")
    for path in files:
        texts[str(path)] = path.read_bytes().decode("latin-1")
    for place, text in texts.items():
        assert KEY not in text, f"the key is in {place}"
        assert KEY[8:] not in text, f"most of the key is in {place}"
        assert "Bearer " not in text, f"a bearer token is in {place}"
        found = [middle for middle in middles if middle in text]
        assert not found, f"a photo is in {place}"
        assert base64.b64encode(KEY.encode()).decode() not in text
