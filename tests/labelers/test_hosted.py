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
from fgvr.labelers.tasks.describe_image import DescribeImageTask
from fgvr.labelers.tasks.discover import DiscoverTask
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


@pytest.mark.parametrize(
    "raw",
    [
        "The dog in this photo is a Golden Ret",
        "Golden Ret",
        "The dog is a Beagle. It has",  # what is cut off may be the answer, and nothing tells
        '{"common_name": "Golden Ret',
        '```json\n{"common_name": "Golden Ret',
        '{"scientific": "Canis", "common_name": "Golden Ret',
        '["Beagle", "Golden Ret',
        "<think>It could be a Beagle</think>Golden Ret",
    ],
)
def test_half_a_reply_is_no_name(httpserver, labeler, host, raw):
    httpserver.expect_request(host.path).respond_with_json(host.reply(raw, host.cut_off))
    (reply,) = send(labeler)
    longest = labeler.max_output_tokens
    assert (
        reply.error
        == f"The reply was cut off before its end: raise data.labeler.max_output_tokens, which is {longest}."
    )
    assert (reply.raw, reply.cost_usd) == (raw, pytest.approx(COST))


@pytest.mark.parametrize(
    "raw", ["", "  \n", "<think>The user wants a breed. It could be a Beagle", "<thinking>Long ears"]
)
def test_nothing_left_after_reasoning(httpserver, labeler, host, raw):
    httpserver.expect_request(host.path).respond_with_json(host.reply(raw, host.cut_off))
    (reply,) = send(labeler)
    assert "tokens before it replied: raise data.labeler.max_output_tokens, or lower" in reply.error
    assert reply.cost_usd > 0


@pytest.mark.parametrize(
    "raw",
    ['{"species": "Beagle", "conf', '```json\n{ "label" : "Beagle", "alternatives": ["Bas', '{"breed": "Bea\\"gle"}'],
)
def test_a_name_that_is_complete_in_half_an_object_is_kept(httpserver, labeler, host, raw):
    httpserver.expect_request(host.path).respond_with_json(host.reply(raw, host.cut_off))
    assert send(labeler)[0].error == ""


@pytest.mark.parametrize("task", [DiscoverTask(), DescribeImageTask()])
def test_no_other_task_takes_half_an_object(httpserver, host, task):
    raw = '{"super_category": "bird", "unit": "spec'
    httpserver.expect_request(host.path).respond_with_json(host.reply(raw, host.cut_off))
    assert "cut off" in send(host.make(httpserver, task=task))[0].error


@pytest.mark.parametrize("reason", ["MALFORMED_FUNCTION_CALL", "network_error", "OTHER", "abort"])
@pytest.mark.parametrize("raw", ["Golden Ret", ""])
def test_a_reply_that_was_broken_off_is_asked_again_and_costs(httpserver, labeler, host, reason, raw):
    httpserver.expect_request(host.path).respond_with_json(host.reply(raw, reason))
    with pytest.raises(AttemptFailedError, match=reason) as caught:
        send(labeler)
    assert caught.value.cost_usd == pytest.approx(COST)


@pytest.mark.parametrize(
    ("passed", "names"),
    [
        ({"name": "Basset Hound"}, ("Basset Hound",)),
        ({"common_name": "Basset Hound", "confidence": 0.8}, ("Basset Hound",)),
        ({"label": "Basset Hound"}, ("Basset Hound",)),
        ({"breed": "Basset Hound", "photo": "a dog on grass"}, ("Basset Hound",)),
        ({}, None),
    ],
)
def test_a_reply_that_is_a_tool_call(httpserver, labeler, host, passed, names):
    httpserver.expect_request(host.path).respond_with_json(host.call(passed))
    (reply,) = send(labeler)
    if names is None:
        assert "answered with a tool call (classify)" in reply.error
        assert reply.raw == ""
    else:
        assert (reply.error, json.loads(reply.raw)) == ("", passed)
        assert labeler.read(reply).names == names
    assert reply.cost_usd == pytest.approx(COST)


def test_a_call_that_was_cut_off(httpserver, labeler, host):
    content = host.call({})
    if host is OpenAI:
        content["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"] = '{"name": "Golden Ret'
        content["choices"][0]["finish_reason"] = host.cut_off
    else:
        content["candidates"][0]["finishReason"] = host.cut_off
    httpserver.expect_request(host.path).respond_with_json(content)
    assert "raise data.labeler.max_output_tokens" in send(labeler)[0].error


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


@pytest.mark.parametrize("inside", [False, True], ids=["status", "inside a 200"])
@pytest.mark.parametrize(
    ("code", "said", "error", "message"),
    [
        (
            402,
            "This request requires more credits",
            FgvrError,
            r"without credit \(This request requires more credits\)",
        ),
        (401, "User not found.", FgvrError, r"does not accept the key.*\(User not found\.\)"),
        (
            404,
            "No endpoints found for m",
            FgvrError,
            r"does not know this model or address \(No endpoints found for m\)",
        ),
        (429, "Rate limit exceeded", ServerBusyError, "Rate limit exceeded"),
        (502, "Provider returned error", ServerBusyError, "Provider returned error"),
        (503, "No instances", ServerBusyError, "No instances"),
        (529, "Try later", ServerBusyError, "Try later"),
        (500, "It broke", AttemptFailedError, "500: It broke"),
        (408, "Too slow", AttemptFailedError, "408: Too slow"),
    ],
)
@pytest.mark.parametrize("shape", ["object", "list", "flat"])
def test_an_error_inside_a_reply_is_the_same_error(
    httpserver, labeler, host, inside, code, said, error, message, shape
):
    content = {"error": {"code": code, "message": said}}
    if shape == "list":
        content = [content]
    elif shape == "flat":
        content = {"code": code, "error": said}
    answer = httpserver.expect_request(host.path)
    answer.respond_with_json(content, status=200 if inside else code, headers={"Retry-After": "7"})
    with pytest.raises(error, match=message) as caught:
        send(labeler)
    assert getattr(caught.value, "retry_after", 7.0) == 7.0
    assert len(httpserver.log) == 1


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"error": "Model does not support images. Please use a model that does."}, "Model does not support images."),
        ({"error": {"message": "Model does not support images."}}, "Model does not support images."),
        ({"detail": "Only one image is allowed"}, "Only one image is allowed"),
        ({"detail": [{"loc": ["body", "messages"], "msg": "too many images"}]}, "body.messages: too many images"),
        ({"message": "image too large"}, "image too large"),
        ("no images, please", "no images, please"),
        ("<html><title>Request refused</title><p>image too large</p></html>", "Request refused image too large"),
    ],
)
def test_the_words_of_a_refused_request(httpserver, labeler, host, content, words):
    body = content if isinstance(content, str) else json.dumps(content)
    httpserver.expect_request(host.path).respond_with_data(body, status=400, content_type="text/plain")
    (reply,) = send(labeler)
    assert words in reply.error
    assert (reply.names, reply.cost_usd) == (None, 0)


@pytest.mark.parametrize(("status", "cost"), [(500, 0.0), (504, None), (408, None), (409, 0.0)])
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
        {"task": NameTask(structured=False)},
    ]
    assert len(set(map(identity, others))) == len(others)


def test_the_contract(httpserver, labeler, host, tmp_path):
    httpserver.expect_request(host.path).respond_with_json(host.reply())
    check_labeler(labeler, save_images(tmp_path, coloured(2)))
