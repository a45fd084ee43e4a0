import asyncio
import base64
import io
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from fgvr.errors import FgvrError
from fgvr.labelers.asking.limits import Limits
from fgvr.labelers.base import LabelRequest
from fgvr.labelers.remote import AttemptFailedError, Question, ServerAbsentError, ServerBusyError
from fgvr.labelers.tasks.pictures import encode_pictures
from fgvr.testing.labelers import check_labeler
from PIL import Image

from fgvr_example_labeler.namery import NameryLabeler

SECRET = "namery-secret-0123456789"
ANSWER = {"text": "It is a Scarlet Ibis.", "model": "namery-1.3", "tokens": 77}


class Namery(ThreadingHTTPServer):
    """A server on loopback that says what it is told to."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked = []
        self.status, self.headers, self.content = 200, {}, json.dumps(ANSWER)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append((self.path, self.headers["Authorization"], body))
        self.send_response(self.server.status)
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        content = self.server.content.encode()
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args):
        pass


@pytest.fixture
def namery(monkeypatch):
    monkeypatch.setenv("NAMERY_API_KEY", SECRET)
    with Namery() as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield server
        server.shutdown()


def send(labeler, image):
    """One request, past the engine, which would wait and ask again."""
    request = LabelRequest(image, labeler.prompt)
    question = Question(request, encode_pictures(request, labeler.task, labeler.pictures))

    async def once():
        async with labeler.connect() as client:
            return await labeler.send(client, question)

    return asyncio.run(once())


def test_namery_keeps_the_contract(namery, images):
    check_labeler(NameryLabeler(base_url=namery.url, answers=2), images)
    assert len(namery.asked) == 6


def test_what_is_sent_and_what_is_kept(namery, images):
    labeler = NameryLabeler(base_url=f"{namery.url}/")
    reply = send(labeler, images[0])
    ((path, authorization, body),) = namery.asked
    assert (path, authorization) == ("/v1/name", f"Bearer {SECRET}")
    assert body["question"] == "Provide a best fine-grained class label for this image"
    assert Image.open(io.BytesIO(base64.b64decode(body["images"][0]))).size == (32, 24)
    assert (reply.model, reply.cost_usd, reply.usage) == ("namery-1.3", 0.001, {"tokens": 77})
    assert labeler.read(reply).names == ("Scarlet Ibis",)


def test_a_blocked_reply_is_a_refusal(namery, images):
    namery.content = json.dumps({**ANSWER, "text": "", "filtered": True})
    labeler = NameryLabeler(base_url=namery.url)
    assert labeler.read(send(labeler, images[0])).flag == "refusal"


@pytest.mark.parametrize(
    ("status", "headers", "content", "error", "message"),
    [
        (429, {"Retry-After": "7"}, "slow down", ServerBusyError, "slow down"),
        (503, {}, "overloaded", ServerBusyError, "overloaded"),
        (401, {}, f"bad key {SECRET}", FgvrError, r"refuses the key in NAMERY_API_KEY \(401\): bad key \[key\]"),
        (402, {}, "pay first", FgvrError, "no credit left: pay first"),
        (404, {}, "no such model", FgvrError, "Set data.labeler.model"),
        (500, {}, "oops", AttemptFailedError, "answers 500: oops"),
        (200, {}, '{"text": "It is a Scar', AttemptFailedError, "no reply of Namery"),
        (200, {}, "[]", AttemptFailedError, "no reply of Namery"),
    ],
)
def test_what_errors_mean(namery, images, status, headers, content, error, message):
    namery.status, namery.headers, namery.content = status, headers, content
    with pytest.raises(error, match=message) as caught:
        send(NameryLabeler(base_url=namery.url), images[0])
    assert SECRET not in str(caught.value)
    if status == 429:
        assert caught.value.retry_after == 7


def test_a_server_that_is_not_there(monkeypatch, images):
    monkeypatch.setenv("NAMERY_API_KEY", SECRET)
    with Namery() as server:
        url = server.url
    with pytest.raises(ServerAbsentError, match="no connection to http://127"):
        send(NameryLabeler(base_url=url), images[0])


def test_a_line_break_behind_the_key_does_no_harm(namery, monkeypatch, images):
    monkeypatch.setenv("NAMERY_API_KEY", f"{SECRET}\n")
    assert send(NameryLabeler(base_url=namery.url), images[0]).raw == ANSWER["text"]


def test_a_missing_key_stops_at_once(namery, monkeypatch, images):
    monkeypatch.delenv("NAMERY_API_KEY")
    labeler = NameryLabeler(base_url=namery.url, limits=Limits(concurrency=1))
    with pytest.raises(FgvrError, match="NAMERY_API_KEY is not set"):
        list(labeler.ask([LabelRequest(images[0], labeler.prompt)]))
    assert not namery.asked
