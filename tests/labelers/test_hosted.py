"""What the labelers of OpenAI and Google do alike, each with its own server on loopback."""

import base64
import json
import logging
import socket
import sys
import time

import pytest
from labelers.hosted import COST, PICTURE, Gemini, OpenAI, broken_off, send
from tiny.images import coloured, save_images
from werkzeug import Response

from fgvr.errors import FgvrError
from fgvr.labelers.asking.limits import Limits
from fgvr.labelers.hosts.prices import Price
from fgvr.labelers.remote import AttemptFailedError, ServerAbsentError, ServerBusyError
from fgvr.labelers.tasks.name import NameTask
from fgvr.testing.labelers import check_labeler

RETRY_INFO = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "37s"}
PER_MINUTE = Gemini.quota("GenerateRequestsPerMinutePerProjectPerModel")

pytestmark = pytest.mark.usefixtures("keys")


@pytest.fixture(params=[OpenAI, Gemini], ids=lambda host: host.__name__)
def host(request):
    return request.param


@pytest.fixture
def labeler(httpserver, host):
    return host.make(httpserver)


@pytest.mark.parametrize(
    ("host", "usage"),
    [
        (OpenAI, {"finish_reason": "stop", "system_fingerprint": "fp_1", "request_id": "req_7"}),
        (Gemini, {"finish_reason": "STOP", "response_id": "r1"}),
    ],
)
def test_a_reply_with_its_tokens_and_cost(httpserver, labeler, host, usage):
    httpserver.expect_request(host.path).respond_with_json(host.reply("A Beagle."), headers={"x-request-id": "req_7"})
    (reply,) = send(labeler)
    assert (reply.raw, reply.names, reply.error, reply.model) == ("A Beagle.", None, "", host.model)
    assert reply.cost_usd == pytest.approx(COST)
    assert reply.usage == {"input_tokens": 1000, "output_tokens": 100, "reasoning_tokens": 60, **usage}
    assert labeler.read(reply).names == ("Beagle",)


def test_a_truncated_reply_is_kept(httpserver, labeler, host):
    content = host.reply('{"common_name": "Beagle", "alt', host.cut_off)
    httpserver.expect_request(host.path).respond_with_json(content)
    (reply,) = send(labeler)
    assert (reply.error, reply.usage["finish_reason"]) == ("", host.cut_off)
    assert labeler.read(reply).names == ("Beagle",)


def test_nothing_left_after_reasoning(httpserver, labeler, host):
    httpserver.expect_request(host.path).respond_with_json(host.reply("", host.cut_off))
    (reply,) = send(labeler)
    assert "raise data.labeler.max_output_tokens" in reply.error
    assert reply.cost_usd > 0


@pytest.mark.parametrize(
    ("host", "status", "details", "headers", "seconds"),
    [
        (OpenAI, 429, [], {"retry-after-ms": "1500"}, 1.5),
        (OpenAI, 429, [], {"Retry-After": "7"}, 7.0),
        (OpenAI, 429, [], {"Retry-After": "7", "retry-after-ms": "20"}, 0.02),
        (OpenAI, 429, [], {"Retry-After": "soon"}, None),
        (OpenAI, 429, [], {"Retry-After": "-3"}, None),
        (OpenAI, 429, [], {}, None),
        (OpenAI, 503, [], {"Retry-After": "2"}, 2.0),
        (OpenAI, 529, [], {}, None),
        *((Gemini, status, [RETRY_INFO], {"Retry-After": "5"}, 37.0) for status in (429, 503)),
        *((Gemini, status, [PER_MINUTE, {"retryDelay": "1.5s"}], {}, 1.5) for status in (429, 503)),
        *((Gemini, status, [], {"Retry-After": "5"}, 5.0) for status in (429, 503)),
        *((Gemini, status, [{"retryDelay": "soon"}, "?", {"violations": 3}], {}, None) for status in (429, 503)),
    ],
)
def test_a_busy_server(httpserver, labeler, host, status, details, headers, seconds):
    if host is OpenAI:
        content = OpenAI.failure("Slow down", "rate_limit_exceeded")
    else:
        content = Gemini.failure(status, "Slow down", "RESOURCE_EXHAUSTED", *details)
    httpserver.expect_request(host.path).respond_with_json(content, status=status, headers=headers)
    with pytest.raises(ServerBusyError, match="Slow down") as caught:
        send(labeler)
    assert caught.value.retry_after == seconds
    assert len(httpserver.log) == 1, "the SDK has tried again"


@pytest.mark.parametrize(
    ("host", "status", "content", "message"),
    [
        (
            OpenAI,
            429,
            OpenAI.failure("You exceeded your quota", "insufficient_quota", kind="insufficient_quota"),
            "credit",
        ),
        (OpenAI, 402, OpenAI.failure("Payment required"), "credit"),
        (OpenAI, 401, OpenAI.failure(f"Incorrect API key provided: {OpenAI.key}.", "invalid_api_key"), r"SERVER_KEY"),
        (
            OpenAI,
            401,
            OpenAI.failure("Incorrect API key provided: sk-test-0123*******cdef.", "invalid_api_key"),
            r"SERVER_KEY",
        ),
        (OpenAI, 403, OpenAI.failure("Country not supported"), "SERVER_KEY"),
        (
            OpenAI,
            404,
            OpenAI.failure("The model `x` does not exist", "model_not_found"),
            "Set data.labeler.model to another",
        ),
        (Gemini, 429, Gemini.failure(429, "Your prepayment credits are depleted.", "RESOURCE_EXHAUSTED"), "credit"),
        (
            *(Gemini, 400),
            Gemini.failure(400, "API key not valid.", "INVALID_ARGUMENT", {"reason": "API_KEY_INVALID"}),
            "GEMINI_API_KEY",
        ),
        (Gemini, 400, Gemini.failure(400, "User location is not supported", "FAILED_PRECONDITION"), "GEMINI_API_KEY"),
        (Gemini, 403, Gemini.failure(403, f"Key {Gemini.key} is blocked", "PERMISSION_DENIED"), "GEMINI_API_KEY"),
        (Gemini, 404, Gemini.failure(404, "models/x is not found", "NOT_FOUND"), "Set data.labeler.model to another"),
        (Gemini, 400, Gemini.failure(400, "Thinking level MINIMAL is not supported", "INVALID_ARGUMENT"), "option"),
    ],
)
def test_what_stops_everything(httpserver, labeler, host, status, content, message):
    httpserver.expect_request(host.path).respond_with_json(content, status=status)
    with pytest.raises(FgvrError, match=message) as caught:
        send(labeler)
    assert host.key[:7] not in str(caught.value)
    assert caught.value.__suppress_context__, "a traceback would show the server's words"


@pytest.mark.parametrize(("status", "cost"), [(500, 0.0), (502, 0.0), (504, None), (408, None), (409, 0.0)])
@pytest.mark.parametrize("content", ["<html>{key}</html>", "", '{{"error": "x"}}', "[1]"])
def test_server_errors_are_tried_again(httpserver, labeler, host, status, cost, content):
    httpserver.expect_request(host.path).respond_with_data(content.format(key=host.key), status=status)
    with pytest.raises(AttemptFailedError) as caught:
        send(labeler)
    assert caught.value.cost_usd == cost
    assert host.key not in str(caught.value)


@pytest.mark.parametrize(
    ("handler", "seconds", "message"),
    [
        (lambda request: time.sleep(0.5) or Response("{}"), 0.2, "no reply in time"),
        (broken_off, 60, "connection broke"),
    ],
    ids=["time out", "broken off"],
)
def test_a_reply_that_does_not_come(httpserver, host, handler, seconds, message):
    labeler = host.make(httpserver, limits=Limits(timeout_seconds=seconds))
    httpserver.expect_request(host.path).respond_with_handler(handler)
    with pytest.raises(AttemptFailedError, match=message) as caught:
        send(labeler)
    assert caught.value.cost_usd is None


def test_an_absent_server(host):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(ServerAbsentError):
        send(host.labeler(base_url=f"http://127.0.0.1:{port}{host.root}"))


@pytest.mark.parametrize(
    "content",
    ["", "{not json", "<html>sign in</html>", "null", "[]", "{}", '{"choices": []}', '{"candidates": []}', '"text"'],
)
@pytest.mark.parametrize("kind", ["application/json", "text/html"])
def test_bodies_that_are_no_reply(httpserver, labeler, host, content, kind):
    httpserver.expect_request(host.path).respond_with_data(content, content_type=kind)
    with pytest.raises(AttemptFailedError) as caught:
        send(labeler)
    assert caught.value.cost_usd is None


def test_the_key_must_be_set(monkeypatch, host):
    monkeypatch.delenv(host.usual_variable)
    with pytest.raises(FgvrError, match=rf"{host.usual_variable}.* set"):
        send(host.labeler())


def test_a_key_that_cannot_be_sent(monkeypatch, host):
    monkeypatch.setenv(host.usual_variable, f"{host.key}\u2019")
    with pytest.raises(FgvrError, match=f"{host.usual_variable} holds a character"):
        send(host.labeler())


@pytest.mark.parametrize(("host", "module"), [(OpenAI, "openai"), (Gemini, "google.genai"), (Gemini, "genai_prices")])
def test_the_packages_are_asked_for(monkeypatch, host, module):
    monkeypatch.setitem(sys.modules, module, None)
    if module == "google.genai":
        monkeypatch.delattr("google.genai")
    with pytest.raises(FgvrError, match=rf"pip install 'fgvr\[{host.__name__.lower()}\]'"):
        send(host.labeler())


def test_no_key_in_what_is_logged(httpserver, labeler, host, caplog):
    caplog.set_level(logging.DEBUG)
    httpserver.expect_request(host.path).respond_with_json(host.reply(model="other"))
    (reply,) = send(labeler)
    assert host.key not in caplog.text + str(reply)
    assert base64.b64encode(PICTURE.data).decode() not in caplog.text


@pytest.mark.parametrize(
    ("host", "same", "others"),
    [
        (
            OpenAI,
            [
                ({"base_url": "https://api.openai.com/v1/"}, {}),
                ({"base_url": "https://API.openai.com:443/v1"}, {}),
                ({"base_url": "http://h:8000/v1/"}, {"base_url": "HTTP://H:8000/v1"}),
                ({"reasoning_effort": "Low"}, {"reasoning_effort": "low"}),
                ({"api_key_env": "SERVER_KEY"}, {}),
            ],
            [
                {"base_url": "http://localhost:1/v1"},
                {"detail": "low"},
                {"reasoning_effort": "none"},
                {"model": "gpt-4o"},
            ],
        ),
        (
            Gemini,
            [
                ({"base_url": "https://GenerativeLanguage.googleapis.com"}, {}),
                ({"thinking_level": "LOW"}, {"thinking_level": "low"}),
                ({"model": "models/gemini-3.8-flash"}, {}),
            ],
            [
                {"base_url": "http://localhost:1/"},
                {"media_resolution": "low"},
                {"thinking_level": "low"},
                {"thinking_budget": 0},
                {"model": "gemini-3.1-pro-preview"},
            ],
        ),
    ],
)
def test_identity(host, same, others):
    def identity(options):
        return json.dumps(host.labeler(**options).identity(), sort_keys=True)

    same = [
        *same,
        ({"temperature": 0}, {"temperature": 0.0}),
        ({"limits": Limits(concurrency=1), "price": Price(1, 1), "answers": 2}, {}),
    ]
    for options, alike in same:
        assert identity(options) == identity(alike)
    others = [
        *others,
        {},
        {"temperature": 0},
        {"seed": 0},
        {"max_output_tokens": 10},
        {"task": NameTask(structured=True)},
    ]
    assert len(set(map(identity, others))) == len(others)


def test_the_contract(httpserver, labeler, host, tmp_path):
    httpserver.expect_request(host.path).respond_with_json(host.reply())
    check_labeler(labeler, save_images(tmp_path, coloured(2)))
