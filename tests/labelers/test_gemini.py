import asyncio
import base64
import json
import logging

import pytest
from labelers.hosted import COST, PICTURE, Gemini, question, send
from tiny.images import coloured, save_images
from werkzeug import Response

from fgvr.errors import FgvrError
from fgvr.labelers.asking.limits import Limits
from fgvr.labelers.gemini.labeler import GeminiLabeler
from fgvr.labelers.remote import AttemptFailedError, DayOverError, ServerBusyError
from fgvr.labelers.tasks.name import NameTask
from fgvr.labelling.labelling import label, read_labels
from fgvr.labelling.store.label_store import LabelStore

KEY, ASK = Gemini.key, Gemini.path
make, response, failure, quota = Gemini.make, Gemini.reply, Gemini.failure, Gemini.quota

pytestmark = pytest.mark.usefixtures("keys")


@pytest.fixture
def labeler(httpserver):
    return make(httpserver)


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


@pytest.mark.parametrize(
    "message",
    [
        "JSON mode is not enabled for models/gemma-3-27b-it",
        "response_json_schema is not supported",
        'Unknown name "responseJsonSchema"',
        "The specified schema produces a constraint that has too many states",
    ],
)
def test_a_model_that_refuses_a_schema_is_asked_for_text(httpserver, caplog, message):
    labeler = make(httpserver)

    def respond(request):
        if "responseJsonSchema" in json.loads(request.get_data())["generationConfig"]:
            return Response(json.dumps(failure(400, message, "INVALID_ARGUMENT")), 400)
        return Response(json.dumps(response("A Beagle.")), content_type="application/json")

    httpserver.expect_request(ASK).respond_with_handler(respond)
    replies = send(labeler, question(labeler), question(labeler))
    assert len(httpserver.log) == 3, "it was not remembered"
    assert all(reply.usage["dropped"] == ["responseJsonSchema"] for reply in replies)
    assert labeler.read(replies[0]).names == ("Beagle",)
    assert "honours no JSON schema" in caplog.text


@pytest.mark.parametrize(
    ("url", "model", "direct", "batch"),
    [
        (None, "gemini-3.8-flash", True, True),
        (None, "gemma-3-27b-it", False, False),
        ("https://proxy.example.com", "gemini-3.8-flash", True, False),  # a batch has no second try
    ],
)
def test_where_a_schema_is_sent(url, model, direct, batch):
    labeler = GeminiLabeler(model, base_url=url)
    asked = question(labeler)
    assert ("responseJsonSchema" in labeler.body(asked)["generationConfig"]) == direct
    line = labeler.batch_line("k", asked)["request"]["generationConfig"]
    assert ("responseJsonSchema" in line, "responseMimeType" in line) == (batch, batch)


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


@pytest.mark.parametrize("answered", ["models/gemini-3.8-flash", None])
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
@pytest.mark.parametrize("raw", ["", "Golden Ret"])
def test_a_blocked_candidate(httpserver, labeler, reason, raw):
    httpserver.expect_request(ASK).respond_with_json(response(raw, reason))
    (reply,) = send(labeler)
    assert (reply.names, reply.error, reply.usage["blocked"]) == ((), "", reason)
    assert labeler.read(reply).flag == "refusal"


@pytest.mark.parametrize(
    ("content", "error", "words"),
    [
        ({"message": "Endpoint is paused"}, AttemptFailedError, "Endpoint is paused"),
        ({"detail": "Not authenticated"}, FgvrError, "GEMINI_API_KEY"),
        ({"error": "model is overloaded"}, ServerBusyError, "overloaded"),
        ([failure(503, "The model is overloaded", "UNAVAILABLE")], ServerBusyError, "overloaded"),
        (failure(429, "Quota", "RESOURCE_EXHAUSTED", quota("RequestsPerDay")), DayOverError, "Quota"),
        (failure(400, "User location is not supported", "FAILED_PRECONDITION"), FgvrError, "GEMINI_API_KEY"),
        (failure(400, "API key not valid.", "INVALID_ARGUMENT", {"reason": "API_KEY_INVALID"}), FgvrError, "API_KEY"),
        (failure(400, "Thinking level LOW is not supported", "INVALID_ARGUMENT"), FgvrError, "option"),
    ],
)
def test_errors_inside_a_200(httpserver, labeler, content, error, words):
    httpserver.expect_request(ASK).respond_with_json(content)
    with pytest.raises(error, match=words):
        send(labeler)


def test_no_second_billed_request(httpserver, labeler):
    content = response("Bea", "CONTINUATION")
    content["candidates"][0]["continuationToken"] = base64.b64encode(b"more").decode()
    httpserver.expect_request(ASK).respond_with_json(content)
    (reply,) = send(labeler)
    assert reply.raw == "Bea"
    assert "cut off" in reply.error
    assert len(httpserver.log) == 1


@pytest.mark.parametrize("reason", ["OTHER", "MALFORMED_RESPONSE", "FINISH_REASON_UNSPECIFIED"])
def test_an_empty_reply_is_tried_again_and_costs(httpserver, labeler, reason):
    httpserver.expect_request(ASK).respond_with_json(response("", reason))
    with pytest.raises(AttemptFailedError, match=reason) as caught:
        send(labeler)
    assert caught.value.cost_usd == pytest.approx(COST)


def test_the_quota_of_the_day(httpserver, labeler):
    content = failure(429, "Quota", "RESOURCE_EXHAUSTED", quota("GenerateRequestsPerDayPerProjectPerModel-FreeTier"))
    httpserver.expect_request(ASK).respond_with_json(content, status=429)
    with pytest.raises(DayOverError):
        send(labeler)


def test_another_bad_request_fails_alone(httpserver, labeler):
    content = failure(400, "Unable to process input image", "INVALID_ARGUMENT")
    httpserver.expect_request(ASK).respond_with_json(content, status=400)
    assert send(labeler)[0].error == "400: Unable to process input image"


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


def test_who_is_asked():
    assert GeminiLabeler().server == "generativelanguage.googleapis.com gemini-3.8-flash"


def test_the_day_ends_and_the_rest_is_asked_another_day(httpserver, tmp_path):
    labeler = make(httpserver, limits=Limits(concurrency=2))
    over = failure(429, "Quota", "RESOURCE_EXHAUSTED", quota("GenerateRequestsPerDayPerProjectPerModel"))
    for _ in range(3):
        httpserver.expect_oneshot_request(ASK).respond_with_json(response())
    for _ in range(2):
        httpserver.expect_oneshot_request(ASK).respond_with_json(over, status=429)
    images = save_images(tmp_path, coloured(6))
    with LabelStore(tmp_path / "labels.sqlite") as store:
        with pytest.raises(FgvrError, match="no more requests today"):
            label(labeler, images, store, progress=False)
        assert sum(record.flag == "" for record in read_labels(labeler, images, store)) == 3
        httpserver.clear()
        httpserver.expect_request(ASK).respond_with_json(response())
        assert label(labeler, images, store, progress=False).asked == 3
    written = b"".join(path.read_bytes() for path in tmp_path.glob("labels.sqlite*") if path.is_file())
    assert KEY.encode() not in written
