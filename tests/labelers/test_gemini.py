import asyncio
import base64
import json
import logging
import socket
import sys
import time
from pathlib import Path

import pytest
from PIL import Image
from werkzeug import Response

from fgvr.errors import FgvrError
from fgvr.labelers.asking.limits import Limits
from fgvr.labelers.base import LabelRequest
from fgvr.labelers.gemini.labeler import GeminiLabeler
from fgvr.labelers.hosts.prices import Price
from fgvr.labelers.remote import AttemptFailedError, DayOverError, Question, ServerAbsentError, ServerBusyError
from fgvr.labelers.tasks.name import NameTask
from fgvr.labelers.tasks.pictures import Picture
from fgvr.labelling.labelling import label, read_labels
from fgvr.labelling.store.label_store import LabelStore
from fgvr.records import ImageRecord
from fgvr.testing.labelers import check_labeler

KEY = "AIzaTest0123456789abcdef"
ASK = "/v1/models/gemini-3.8-flash:generateContent"
PICTURE = Picture(b"not really a jpeg", 640, 480)


@pytest.fixture(autouse=True)
def keys(monkeypatch):
    monkeypatch.delenv("GOOGLE_API_KEY", raising=False)
    monkeypatch.setenv("GEMINI_API_KEY", KEY)


@pytest.fixture
def labeler(httpserver):
    return make(httpserver)


def make(httpserver, **options):
    options = {"price": Price(2.0, 8.0), "limits": Limits(timeout_seconds=5), **options}
    return GeminiLabeler(base_url=httpserver.url_for("/"), **options)


def question(labeler, pictures=(PICTURE,)):
    image = ImageRecord("Beagle/secret_name.jpg", Path("secret_name.jpg"), "support", digest="d" * 64)
    return Question(LabelRequest(image, labeler.prompt), pictures)


def response(text="Beagle", finish_reason="STOP", model="gemini-3.8-flash", **more):
    parts = [{"text": "Long ears...", "thought": True}, {"text": text}] if text else []
    return {
        "candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": finish_reason, "index": 0}],
        "usageMetadata": {"promptTokenCount": 1000, "candidatesTokenCount": 40, "thoughtsTokenCount": 60},
        "modelVersion": model,
        "responseId": "r1",
        **more,
    }


def failure(code, message, status, *details):
    return {"error": {"code": code, "message": message, "status": status, "details": list(details)}}


def quota(*ids):
    violations = [{"quotaMetric": "m", "quotaId": each, "quotaValue": "5"} for each in ids]
    return {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": violations}


def send(labeler, *questions):
    async def run():
        async with labeler.connect() as client:
            return [await labeler.send(client, each) for each in questions or [question(labeler)]]

    return asyncio.run(run())


def test_a_reply_with_its_tokens_and_cost(httpserver, labeler):
    httpserver.expect_request(ASK).respond_with_json(response("A Beagle."))
    (reply,) = send(labeler)
    assert (reply.raw, reply.names, reply.error, reply.model) == ("A Beagle.", None, "", "gemini-3.8-flash")
    assert reply.cost_usd == pytest.approx((1000 * 2 + 100 * 8) / 1e6)
    assert reply.usage == {
        "input_tokens": 1000,
        "output_tokens": 100,
        "reasoning_tokens": 60,
        "finish_reason": "STOP",
        "response_id": "r1",
    }
    assert labeler.read(reply).names == ("Beagle",)


def test_what_is_sent_and_that_a_batch_asks_the_same(httpserver):
    task = NameTask(structured=True)
    options = {"media_resolution": "low", "thinking_level": "low", "temperature": 0, "seed": 3}
    labeler = make(httpserver, task=task, max_output_tokens=77, **options)
    httpserver.expect_request(ASK).respond_with_json(response())
    send(labeler, question(labeler, (PICTURE, PICTURE)))
    request = httpserver.log[0][0]
    sent = json.loads(request.get_data())
    data = base64.b64encode(PICTURE.data).decode()
    assert [part["inlineData"]["data"] for part in sent["contents"][0]["parts"][:2]] == [data, data]
    assert sent["contents"][0]["parts"][2] == {"text": labeler.prompt}
    config = sent["generationConfig"]
    assert config["thinkingConfig"].popitem()[1] == "LOW"
    assert config == {
        "maxOutputTokens": 77,
        "temperature": 0,
        "seed": 3,
        "mediaResolution": "MEDIA_RESOLUTION_LOW",
        "thinkingConfig": {},
        "responseMimeType": "application/json",
        "responseJsonSchema": task.schema(),
    }
    assert request.headers["x-goog-api-key"] == KEY
    assert b"secret_name" not in request.get_data()
    line = labeler.batch_line("k", question(labeler, (PICTURE, PICTURE)))["request"]
    assert line["generationConfig"] == {**config, "thinkingConfig": {"thinkingLevel": "LOW"}}
    assert [part.get("inlineData", part)["data"] for part in line["contents"][0]["parts"][:2]] == [data, data]


def test_the_prices_are_googles_behind_a_proxy_too(httpserver):
    labeler = make(httpserver, price=None)
    httpserver.expect_request(ASK).respond_with_json(response())
    assert send(labeler)[0].cost_usd == pytest.approx((1000 * 0.75 + 100 * 3.75) / 1e6)


def test_a_retired_model_is_billed_as_the_one_that_answers(httpserver, caplog):
    labeler = make(httpserver, model="gemini-2.5-flash", price=None)
    httpserver.expect_request(ASK.replace("3.8", "2.5")).respond_with_json(response())
    replies = send(labeler, question(labeler), question(labeler))
    assert {reply.model for reply in replies} == {"gemini-3.8-flash"}
    assert replies[0].cost_usd == pytest.approx((1000 * 0.75 + 100 * 3.75) / 1e6)
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert "gemini-3.8-flash" in warnings[0].getMessage()


@pytest.mark.parametrize(
    "answered", ["gemini-3.8-flash-001", "models/gemini-3.8-flash", "gemini-3.8-flash-preview-09-2026", None]
)
def test_a_version_of_the_model_is_no_other_model(httpserver, labeler, caplog, answered):
    httpserver.expect_request(ASK).respond_with_json(response(model=answered))
    send(labeler)
    assert not [record for record in caplog.records if record.levelno == logging.WARNING]


def test_a_blocked_prompt(httpserver, labeler):
    content = {
        "promptFeedback": {"blockReason": "PROHIBITED_CONTENT"},
        "usageMetadata": {"promptTokenCount": 1000},
        "modelVersion": "gemini-3.8-flash",
    }
    httpserver.expect_request(ASK).respond_with_json(content)
    (reply,) = send(labeler)
    assert (reply.raw, reply.names, reply.error, reply.usage["blocked"]) == ("", (), "", "PROHIBITED_CONTENT")
    assert reply.cost_usd == pytest.approx(1000 * 2 / 1e6)
    assert labeler.read(reply).flag == "refusal"


@pytest.mark.parametrize("reason", ["SAFETY", "RECITATION", "SPII", "PROHIBITED_CONTENT"])
def test_a_blocked_candidate(httpserver, labeler, reason):
    httpserver.expect_request(ASK).respond_with_json(response("", reason))
    (reply,) = send(labeler)
    assert (reply.names, reply.error, reply.usage["blocked"]) == ((), "", reason)
    assert labeler.read(reply).flag == "refusal"


def test_a_truncated_reply_is_kept(httpserver, labeler):
    httpserver.expect_request(ASK).respond_with_json(response('{"common_name": "Beagle", "alt', "MAX_TOKENS"))
    (reply,) = send(labeler)
    assert (reply.error, reply.usage["finish_reason"]) == ("", "MAX_TOKENS")
    assert labeler.read(reply).names == ("Beagle",)


def test_nothing_left_after_thinking(httpserver, labeler):
    httpserver.expect_request(ASK).respond_with_json(response("", "MAX_TOKENS"))
    (reply,) = send(labeler)
    assert "raise data.labeler.max_output_tokens" in reply.error
    assert reply.cost_usd > 0


def test_no_second_billed_request(httpserver, labeler):
    content = response("Bea", "CONTINUATION")
    content["candidates"][0]["continuationToken"] = base64.b64encode(b"more").decode()
    httpserver.expect_request(ASK).respond_with_json(content)
    assert send(labeler)[0].raw == "Bea"
    assert len(httpserver.log) == 1


@pytest.mark.parametrize("reason", ["OTHER", "MALFORMED_RESPONSE", "FINISH_REASON_UNSPECIFIED"])
def test_an_empty_reply_is_tried_again_and_costs(httpserver, labeler, reason):
    httpserver.expect_request(ASK).respond_with_json(response("", reason))
    with pytest.raises(AttemptFailedError, match=reason) as caught:
        send(labeler)
    assert caught.value.cost_usd == pytest.approx((1000 * 2 + 100 * 8) / 1e6)


@pytest.mark.parametrize(
    ("details", "headers", "seconds"),
    [
        ([{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "37s"}], {"Retry-After": "5"}, 37.0),
        ([quota("GenerateRequestsPerMinutePerProjectPerModel"), {"retryDelay": "1.5s"}], {}, 1.5),
        ([], {"Retry-After": "5"}, 5.0),
        ([{"retryDelay": "soon"}, "?", {"violations": 3}], {}, None),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_server(httpserver, labeler, details, headers, seconds, status):
    content = failure(status, "Slow down", "RESOURCE_EXHAUSTED", *details)
    httpserver.expect_request(ASK).respond_with_json(content, status=status, headers=headers)
    with pytest.raises(ServerBusyError, match="Slow down") as caught:
        send(labeler)
    assert caught.value.retry_after == seconds
    assert len(httpserver.log) == 1, "the SDK has tried again"


def test_the_quota_of_the_day(httpserver, labeler):
    content = failure(429, "Quota", "RESOURCE_EXHAUSTED", quota("GenerateRequestsPerDayPerProjectPerModel-FreeTier"))
    httpserver.expect_request(ASK).respond_with_json(content, status=429)
    with pytest.raises(DayOverError):
        send(labeler)


@pytest.mark.parametrize(
    ("status", "content", "message"),
    [
        (429, failure(429, "Your prepayment credits are depleted.", "RESOURCE_EXHAUSTED"), "credit"),
        (400, failure(400, "API key not valid.", "INVALID_ARGUMENT", {"reason": "API_KEY_INVALID"}), "GEMINI_API_KEY"),
        (400, failure(400, "User location is not supported", "FAILED_PRECONDITION"), "GEMINI_API_KEY"),
        (403, failure(403, f"Key {KEY} is blocked", "PERMISSION_DENIED"), "GEMINI_API_KEY"),
        (404, failure(404, "models/x is not found", "NOT_FOUND"), "Set data.labeler.model to another"),
        (400, failure(400, "Thinking level MINIMAL is not supported", "INVALID_ARGUMENT"), "option"),
    ],
)
def test_what_stops_everything(httpserver, labeler, status, content, message):
    httpserver.expect_request(ASK).respond_with_json(content, status=status)
    with pytest.raises(FgvrError, match=message) as caught:
        send(labeler)
    assert "AIza" not in str(caught.value)
    assert caught.value.__suppress_context__, "a traceback would show the server's words"


@pytest.mark.parametrize(("status", "cost"), [(500, 0.0), (502, 0.0), (504, None)])
@pytest.mark.parametrize("content", [f"<html>{KEY}</html>", "", '{"error": "x"}', "[1]"])
def test_server_errors_are_tried_again(httpserver, labeler, status, cost, content):
    httpserver.expect_request(ASK).respond_with_data(content, status=status)
    with pytest.raises(AttemptFailedError) as caught:
        send(labeler)
    assert caught.value.cost_usd == cost
    assert KEY not in str(caught.value)


def test_another_bad_request_fails_alone(httpserver, labeler):
    content = failure(400, "Unable to process input image", "INVALID_ARGUMENT")
    httpserver.expect_request(ASK).respond_with_json(content, status=400)
    assert send(labeler)[0].error == "400: Unable to process input image"


def test_time_outs(httpserver):
    labeler = make(httpserver, limits=Limits(timeout_seconds=0.2))
    httpserver.expect_request(ASK).respond_with_handler(lambda request: time.sleep(0.5) or Response("{}"))
    with pytest.raises(AttemptFailedError, match="no reply in time") as caught:
        send(labeler)
    assert caught.value.cost_usd is None


def test_an_absent_server():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(ServerAbsentError):
        send(GeminiLabeler(base_url=f"http://127.0.0.1:{port}/"))


def broken_off(request):
    answer = Response('{"candidates": [{"con', content_type="application/json")
    answer.headers["Content-Length"] = "500"
    return answer


def test_a_connection_that_breaks(httpserver, labeler):
    httpserver.expect_request(ASK).respond_with_handler(broken_off)
    with pytest.raises(AttemptFailedError, match="connection broke") as caught:
        send(labeler)
    assert caught.value.cost_usd is None


@pytest.mark.parametrize("content", ["", "{not json", "null", "[]", "{}", '{"candidates": []}', '"text"'])
def test_bodies_that_are_no_reply(httpserver, labeler, content):
    httpserver.expect_request(ASK).respond_with_data(content, content_type="application/json")
    with pytest.raises(AttemptFailedError) as caught:
        send(labeler)
    assert caught.value.cost_usd is None


def test_the_key_must_be_set(monkeypatch):
    monkeypatch.delenv("GEMINI_API_KEY")
    with pytest.raises(FgvrError, match="GEMINI_API_KEY"):
        send(GeminiLabeler())


def test_a_key_that_cannot_be_sent(monkeypatch):
    monkeypatch.setenv("GEMINI_API_KEY", "AIza\u2019")
    with pytest.raises(FgvrError, match="GEMINI_API_KEY holds a character"):
        send(GeminiLabeler())


@pytest.mark.parametrize(
    "odd",
    [
        {"usageMetadata": {"promptTokenCount": 10**400, "candidatesTokenCount": 5}},
        {"usageMetadata": {"promptTokenCount": 5, "thoughtsTokenCount": [1], "cachedContentTokenCount": "x"}},
        {"modelVersion": {"name": "x" * 10_000}, "responseId": ["x"]},
        {"candidates": [{"content": {"parts": [{"text": "Beagle"}]}, "finishReason": ["STOP"]}]},
    ],
)
def test_an_odd_reply_that_was_paid_is_kept(labeler, odd):
    reply = labeler.reply(question(labeler).request, {**response(), **odd}, 0.0, question(labeler))
    assert (reply.raw, reply.error) == ("Beagle", "")
    assert 0 < reply.cost_usd <= labeler.worst_usd(question(labeler))
    assert len(json.dumps(reply.usage)) < 1000
    assert len(reply.model) < 300


def test_the_environment_does_not_choose_the_server(monkeypatch):
    monkeypatch.setenv("GOOGLE_GEMINI_BASE_URL", "http://127.0.0.1:1/")
    monkeypatch.setenv("GOOGLE_GENAI_USE_VERTEXAI", "true")

    async def address():
        async with GeminiLabeler().connect() as client:
            return client.sdk._api_client._http_options.base_url

    assert asyncio.run(address()) == "https://generativelanguage.googleapis.com/"


@pytest.mark.parametrize("module", ["google.genai", "genai_prices"])
def test_the_packages_are_asked_for(monkeypatch, module):
    monkeypatch.setitem(sys.modules, module, None)
    if module == "google.genai":
        monkeypatch.delattr("google.genai")
    with pytest.raises(FgvrError, match=r"pip install 'fgvr\[gemini\]'"):
        send(GeminiLabeler())


def test_no_key_in_what_is_logged(httpserver, labeler, caplog):
    caplog.set_level(logging.DEBUG)
    httpserver.expect_request(ASK).respond_with_json(response(model="other"))
    (reply,) = send(labeler)
    assert KEY not in caplog.text + str(reply)
    assert base64.b64encode(PICTURE.data).decode() not in caplog.text


def test_identity():
    def identity(**options):
        return json.dumps(GeminiLabeler(**options).identity(), sort_keys=True)

    assert identity(temperature=0) == identity(temperature=0.0) != identity()
    assert identity(thinking_level="LOW") == identity(thinking_level="low")
    assert identity(base_url="https://GenerativeLanguage.googleapis.com") == identity()
    assert identity(model="models/gemini-3.8-flash") == identity()
    assert identity(limits=Limits(concurrency=1), price=Price(1, 1), answers=2) == identity()
    others = [
        {"base_url": "http://localhost:1/"},
        {"media_resolution": "low"},
        {"seed": 0},
        {"thinking_level": "low"},
        {"thinking_budget": 0},
        {"model": "gemini-3.1-pro-preview"},
        {"max_output_tokens": 10},
        {"task": NameTask(structured=True)},
    ]
    assert len({identity(**each) for each in others} | {identity()}) == len(others) + 1


def test_who_is_asked():
    assert GeminiLabeler().server == "generativelanguage.googleapis.com gemini-3.8-flash"


def photos(folder, count):
    images = []
    for number in range(count):
        path = folder / f"{number}.png"
        Image.new("RGB", (32, 32), (number, 0, 0)).save(path)
        images.append(ImageRecord(path.name, path, "support", digest=f"{number:064x}"))
    return images


def test_the_day_ends_and_the_rest_is_asked_another_day(httpserver, tmp_path):
    labeler = make(httpserver, limits=Limits(concurrency=2))
    over = failure(429, "Quota", "RESOURCE_EXHAUSTED", quota("GenerateRequestsPerDayPerProjectPerModel"))
    for _ in range(3):
        httpserver.expect_oneshot_request(ASK).respond_with_json(response())
    broken = httpserver.expect_oneshot_request(ASK)
    broken.respond_with_json(over, status=429)
    second = httpserver.expect_oneshot_request(ASK)
    second.respond_with_json(over, status=429)
    images = photos(tmp_path, 6)
    with LabelStore(tmp_path / "labels.sqlite") as store:
        with pytest.raises(FgvrError, match="no more requests today"):
            label(labeler, images, store, progress=False)
        assert sum(record.flag == "" for record in read_labels(labeler, images, store)) == 3
        httpserver.clear()
        httpserver.expect_request(ASK).respond_with_json(response())
        assert label(labeler, images, store, progress=False).asked == 3
    written = b"".join(path.read_bytes() for path in tmp_path.glob("labels.sqlite*") if path.is_file())
    assert KEY.encode() not in written


def test_the_contract(httpserver, tmp_path):
    httpserver.expect_request(ASK).respond_with_json(response())
    check_labeler(make(httpserver), photos(tmp_path, 2))
