import asyncio
import base64
import email.utils
import json
import logging
import time

import pytest
from labelers.hosted import COST, PICTURE, OpenAI, question, send
from PIL import Image
from tiny.images import coloured, save_images
from werkzeug import Response

from fgvr.errors import FgvrError
from fgvr.labelers.asking import pacing
from fgvr.labelers.asking.limits import Limits
from fgvr.labelers.base import PAPER_PROMPT, LabelRequest
from fgvr.labelers.openai.labeler import Connection, OpenAILabeler
from fgvr.labelers.remote import AttemptFailedError, Question, ServerBusyError
from fgvr.labelers.tasks.name import NameTask
from fgvr.labelers.tasks.pictures import encode_pictures
from fgvr.labelling.labelling import label, read_labels
from fgvr.labelling.store.label_store import LabelStore
from fgvr.records import ImageRecord

KEY, CHAT = OpenAI.key, OpenAI.path
make, completion, failure = OpenAI.make, OpenAI.reply, OpenAI.failure

pytestmark = pytest.mark.usefixtures("keys")


@pytest.fixture
def labeler(httpserver):
    return make(httpserver)


def sent(httpserver):
    return [json.loads(request.get_data()) for request, _ in httpserver.log]


def test_what_is_sent(httpserver):
    task = NameTask(structured=False)
    labeler = make(httpserver, task=task, detail="low", temperature=0, seed=3, max_output_tokens=77)
    httpserver.expect_request(CHAT).respond_with_json(completion())
    send(labeler, question(labeler, (PICTURE, PICTURE)))
    url = f"data:image/jpeg;base64,{base64.b64encode(PICTURE.data).decode()}"
    picture = {"type": "image_url", "image_url": {"url": url, "detail": "low"}}
    assert sent(httpserver) == [
        {
            "model": "gpt-4o-2024-11-20",
            "messages": [{"role": "user", "content": [{"type": "text", "text": labeler.prompt}, picture, picture]}],
            "max_tokens": 77,
            "temperature": 0,
            "seed": 3,
        }
    ]
    request = httpserver.log[0][0]
    assert request.headers["Authorization"] == f"Bearer {KEY}"
    assert b"secret_name" not in request.get_data()


def test_openai_itself_is_told_the_length_by_its_new_name():
    body = OpenAILabeler(reasoning_effort="low").body(question(OpenAILabeler()))
    assert body["max_completion_tokens"] == 300
    assert body["reasoning_effort"] == "low"
    assert not {"max_tokens", "temperature", "seed"} & body.keys()


def test_a_real_photo_leaves_without_its_metadata(httpserver, labeler, tmp_path):
    exif = Image.Exif()
    exif[0x010F] = "CameraMaker"
    Image.new("RGB", (2000, 1000), "red").save(tmp_path / "a.jpg", exif=exif)
    request = LabelRequest(ImageRecord(sample_id="a.jpg", path=tmp_path / "a.jpg", split="support", digest="d"), "?")
    httpserver.expect_request(CHAT).respond_with_json(completion())
    send(labeler, Question(request, encode_pictures(request, labeler.task, labeler.pictures)))
    url = sent(httpserver)[0]["messages"][0]["content"][1]["image_url"]["url"]
    data = base64.b64decode(url.removeprefix("data:image/jpeg;base64,"))
    assert data.startswith(b"\xff\xd8")
    assert b"CameraMaker" not in data


def test_structured_replies(httpserver):
    labeler = make(httpserver, task=NameTask(structured=True))
    raw = json.dumps({"common_name": "Beagle", "scientific_name": None, "alternatives": ["Harrier"], "confidence": 0.9})
    httpserver.expect_request(CHAT).respond_with_json(completion(raw))
    (reply,) = send(labeler)
    assert labeler.read(reply).names == ("Beagle",)
    wanted = sent(httpserver)[0]["response_format"]
    assert wanted["type"] == "json_schema"
    assert wanted["json_schema"]["strict"] is True
    assert wanted["json_schema"]["schema"] == labeler.task.schema()


REFUSED = [
    failure("Invalid parameter: 'response_format' of type 'json_schema' is not supported with this model."),
    failure("This response_format type is unavailable now"),
    failure("response_format type must be one of 'text' or 'json_object'"),
    {"error": "'response_format.type' must be 'text'"},
    {"detail": [{"type": "extra_forbidden", "loc": ["body", "response_format"], "msg": "Extra inputs not permitted"}]},
    {"error": {"message": "This model does not support structured outputs", "code": 400}},
    {"message": "Guided decoding is switched off"},
    "failed to parse grammar",
]


def refuse(content, status):
    """A server that honours no schema."""

    def respond(request):
        if "response_format" in json.loads(request.get_data()):
            return Response(content if isinstance(content, str) else json.dumps(content), status)
        return Response(json.dumps(completion("It is a Beagle or a Harrier.")), content_type="application/json")

    return respond


@pytest.mark.parametrize("structured", [None, True])
@pytest.mark.parametrize("status", [400, 422])
@pytest.mark.parametrize("content", REFUSED)
def test_a_server_that_refuses_a_schema_is_asked_for_text(httpserver, caplog, content, status, structured):
    labeler = make(httpserver, task=NameTask(structured=structured))
    httpserver.expect_request(CHAT).respond_with_handler(refuse(content, status))
    replies = send(labeler, question(labeler), question(labeler))
    assert ["response_format" in body for body in sent(httpserver)] == [True, False, False], "it was not remembered"
    for reply in replies:
        assert (reply.error, reply.usage["dropped"]) == ("", ["response_format"])
        assert reply.cost_usd == pytest.approx(COST)
        assert labeler.read(reply).names == ("Beagle", "Harrier")
    assert len([record for record in caplog.records if "honours no JSON schema" in record.message]) == 1


@pytest.mark.parametrize(
    "content", [failure("Image too large"), failure("Unsupported image"), {"detail": "no images"}, {"error": "what?"}]
)
def test_another_error_is_not_the_schema_s(httpserver, content):
    labeler = make(httpserver)
    httpserver.expect_request(CHAT).respond_with_json(content, status=400)
    assert send(labeler)[0].error
    assert len(httpserver.log) == 1


def test_one_refusal_a_run(httpserver, tmp_path, caplog):
    labeler = make(httpserver, limits=Limits(concurrency=1, max_attempts=1))
    httpserver.expect_request(CHAT).respond_with_handler(refuse(REFUSED[0], 400))
    with LabelStore(tmp_path / "labels.sqlite") as store:
        images = save_images(tmp_path, coloured(5))
        run = label(labeler, images, store, max_cost_usd=1.0, progress=False)
        assert label(labeler, images, store, progress=False).asked == 0
    assert (run.failed, run.cost_usd) == (0, pytest.approx(5 * COST))
    assert len(httpserver.log) == 5 + 1


@pytest.mark.parametrize(
    ("url", "model", "structured", "direct", "batch"),
    [
        (None, "gpt-4o-2024-11-20", None, True, True),
        (None, "gpt-4o-2024-11-20", False, False, False),
        (None, "gpt-4-turbo", None, False, False),
        (None, "gpt-4-turbo", True, True, True),
        ("https://api.deepseek.com/v1", "m", None, False, False),
        ("http://localhost:8000/v1", "m", None, True, False),  # a batch has no second try
        ("http://localhost:8000/v1", "m", True, True, True),
        ("http://localhost:8000/v1", "m", False, False, False),
    ],
)
def test_where_a_schema_is_sent(url, model, structured, direct, batch):
    labeler = OpenAILabeler(model, base_url=url, task=NameTask(structured=structured))
    asked = question(labeler)
    assert asked.request.prompt == PAPER_PROMPT
    assert ("response_format" in labeler.body(asked)) == direct
    assert ("response_format" in labeler.batch_line("k", asked)["body"]) == batch


def test_content_in_parts(httpserver, labeler):
    httpserver.expect_request(CHAT).respond_with_json(completion([{"type": "text", "text": "Beagle"}, {"type": "x"}]))
    assert send(labeler)[0].raw == "Beagle"


def test_a_refusal_is_what_the_model_has_to_say(httpserver, labeler):
    httpserver.expect_request(CHAT).respond_with_json(completion(None, refusal="I'm sorry, I can't help with that."))
    (reply,) = send(labeler)
    assert (reply.raw, reply.error) == ("I'm sorry, I can't help with that.", "")
    assert labeler.read(reply).flag == "refusal"


def test_a_filtered_reply_is_blocked(httpserver, labeler):
    httpserver.expect_request(CHAT).respond_with_json(completion("Bea", "content_filter"))
    (reply,) = send(labeler)
    assert reply.usage["blocked"] == "content_filter"
    assert labeler.read(reply).flag == "refusal"


def test_a_blocked_prompt_is_no_failure(httpserver, labeler):
    httpserver.expect_request(CHAT).respond_with_json(failure("Filtered.", "content_filter"), status=400)
    (reply,) = send(labeler)
    assert (reply.error, reply.usage) == ("", {"blocked": "content_filter"})


@pytest.mark.parametrize(
    ("choice", "top", "error", "message"),
    [
        (
            {"error": {"code": 502, "message": "Upstream error"}, "finish_reason": "error"},
            {},
            ServerBusyError,
            "Upstream",
        ),
        ({"error": {"code": 429, "message": "Slow down"}, "finish_reason": None}, {}, ServerBusyError, "Slow down"),
        ({"error": {"code": 402, "message": "No credits"}, "finish_reason": "stop"}, {}, FgvrError, "credit"),
        ({"error": "It broke", "finish_reason": "error"}, {}, AttemptFailedError, "It broke"),
        ({"finish_reason": "error"}, {}, AttemptFailedError, "ended the reply with an error"),
        ({"finish_reason": "error", "native_finish_reason": "MALFORMED"}, {}, AttemptFailedError, "MALFORMED"),
        ({"finish_reason": "error"}, {"error": {"code": 503, "message": "Gone"}}, ServerBusyError, "Gone"),
        ({"finish_reason": None}, {"error": {"code": 503, "message": "Gone"}}, ServerBusyError, "Gone"),
        ({"message": None}, {"error": {"code": 401, "message": "Who?"}}, FgvrError, "SERVER_KEY"),
        (None, {"error": {"code": 429}}, ServerBusyError, "HTTP 429"),
        (None, {"error": {"message": "insufficient balance"}}, FgvrError, "credit"),
        (None, {"detail": "Not authenticated"}, FgvrError, "SERVER_KEY"),
        (None, {"message": "The engine is overloaded"}, ServerBusyError, "overloaded"),
        (None, {"error": "something broke"}, AttemptFailedError, "^something broke$"),
    ],
)
def test_errors_beside_and_inside_a_choice(httpserver, labeler, choice, top, error, message):
    content = completion("Golden Ret")
    if choice is None:
        content = {"id": "x", "choices": []}
    else:
        content["choices"][0].update(choice)
    httpserver.expect_request(CHAT).respond_with_json({**content, **top})
    with pytest.raises(error, match=message):
        send(labeler)


@pytest.mark.parametrize("nothing", [None, "", {}, False, {"code": 0, "message": "success"}])
def test_a_reply_with_an_error_that_is_none(httpserver, labeler, nothing):
    content = {**completion("A Beagle."), "error": nothing, "message": "ok"}
    httpserver.expect_request(CHAT).respond_with_json(content)
    (reply,) = send(labeler)
    assert (reply.raw, reply.error) == ("A Beagle.", "")


@pytest.mark.parametrize(
    ("status", "content"),
    [
        (200, failure("Filtered.", "content_filter")),
        (200, {"error": {"code": 403, "message": "m requires moderation and your input was flagged"}}),
        (403, {"error": {"code": 403, "message": "m requires moderation and your input was flagged"}}),
        (400, failure("no", "content_policy_violation")),
    ],
)
def test_a_photo_that_a_filter_refuses_stops_nothing(httpserver, labeler, status, content):
    httpserver.expect_request(CHAT).respond_with_json(content, status=status)
    (reply,) = send(labeler)
    assert (reply.error, reply.raw) == ("", "")
    assert labeler.read(reply).flag == "refusal"


@pytest.mark.parametrize(
    "message",
    [
        {"function_call": {"name": "classify", "arguments": '{"name": "Pug"}'}},
        {"tool_calls": [{"function": {"name": "classify", "arguments": {"name": "Pug"}}}]},
        {"tool_calls": {"name": "?"}, "function_call": {"arguments": '{"label": "Pug"}'}},
        {"content": [{"type": "tool_use", "name": "classify", "input": {"name": "Pug"}}]},
        {"content": "Let me see.", "tool_calls": [{"function": {"name": "classify", "arguments": '{"name": "Pug"}'}}]},
    ],
)
def test_shapes_of_tool_calls(httpserver, labeler, message):
    httpserver.expect_request(CHAT).respond_with_json(completion(**{"content": None, **message}, finish_reason=None))
    (reply,) = send(labeler)
    assert reply.error == ""
    assert labeler.read(reply).names == ("Pug",)


def test_a_page_of_text_in_the_place_of_a_reply(httpserver, labeler):
    page = f"<html><title>Sign in</title><p>{KEY} is not known</p></html>"
    httpserver.expect_request(CHAT).respond_with_data(page, content_type="text/html")
    with pytest.raises(AttemptFailedError, match=r"no JSON: Sign in \[key\] is not known") as caught:
        send(labeler)
    assert caught.value.cost_usd is None


def test_retry_after_as_a_date(httpserver, labeler):
    date = email.utils.formatdate(time.time() + 100, usegmt=True)
    httpserver.expect_request(CHAT).respond_with_data("busy", status=429, headers={"Retry-After": date})
    with pytest.raises(ServerBusyError) as caught:
        send(labeler)
    assert 50 < caught.value.retry_after <= 100


@pytest.mark.parametrize(
    "usage", [None, [], {"prompt_tokens": "many"}, {"prompt_tokens": -1, "completion_tokens": 2}, {"prompt_tokens": 1}]
)
def test_without_token_counts_the_cost_is_the_most_that_it_may_be(httpserver, labeler, usage):
    httpserver.expect_request(CHAT).respond_with_json({**completion(), "usage": usage})
    (reply,) = send(labeler)
    assert reply.cost_usd == labeler.worst_usd(question(labeler))
    assert reply.usage["cost_is_upper_bound"] is True


def test_another_bad_request_fails_alone(httpserver, labeler):
    httpserver.expect_request(CHAT).respond_with_json(failure("Image is " + "A" * 500, "invalid_image"), status=400)
    (reply,) = send(labeler)
    assert reply.error == "Image is [...]"
    assert reply.cost_usd == 0


@pytest.mark.parametrize(
    ("content", "status", "name"),
    [
        (failure("Unsupported value: 'temperature' does not support 0", "unsupported_value", "temperature"), 400, None),
        (failure("temperature is not supported by this model"), 400, None),
        ({"detail": [{"type": "extra_forbidden", "loc": ["body", "temperature"]}]}, 422, None),
        ({"error": "temperature is not supported"}, 400, None),
        ({"error": {"message": "temperature is not supported", "code": 400}}, 200, None),
        (
            failure(
                "Unsupported parameter: 'max_tokens' is not supported. Use 'max_completion_tokens' instead.",
                "unsupported_parameter",
                "max_tokens",
            ),
            400,
            "max_completion_tokens",
        ),
    ],
)
def test_a_parameter_that_the_server_does_not_take(httpserver, caplog, content, status, name):
    labeler = make(httpserver, temperature=0.0)
    gone = "max_tokens" if name else "temperature"

    def respond(request):
        if gone in json.loads(request.get_data()):
            return Response(json.dumps(content), status, content_type="application/json")
        return Response(json.dumps(completion()), content_type="application/json")

    httpserver.expect_request(CHAT).respond_with_handler(respond)
    replies = send(labeler, question(labeler), question(labeler))
    bodies = sent(httpserver)
    assert [gone in body for body in bodies] == [True, False, False], "it was not remembered"
    assert all(reply.usage["dropped"] == [gone] for reply in replies)
    if name:
        assert bodies[-1][name] == 300
    assert f"does not take {gone}" in caplog.text


def test_the_length_of_a_reply_is_never_given_up(httpserver, labeler):
    message = failure("Unsupported parameter: max_tokens, max_completion_tokens", "unsupported_parameter")
    httpserver.expect_request(CHAT).respond_with_json(message, status=400)
    assert "Unsupported parameter" in send(labeler)[0].error
    assert len(httpserver.log) == 2


@pytest.mark.parametrize(
    ("message", "renamed"),
    [
        ("Unsupported image: reduce max_tokens", False),
        ("This model does not support image input (max_tokens=300)", False),
        ("The following model_kwargs are not used by the model: unexpected ['max_tokens']", True),
        ("Unrecognized request argument supplied: max_tokens", True),
        ("max_tokens is not supported by this model", True),
    ],
)
def test_the_length_is_renamed_for_nothing_else(httpserver, labeler, message, renamed):
    httpserver.expect_oneshot_request(CHAT).respond_with_json(failure(message), status=400)
    httpserver.expect_request(CHAT).respond_with_json(completion())
    (reply,) = send(labeler)
    assert (reply.error == "") == renamed
    assert ["max_completion_tokens" in body for body in sent(httpserver)] == [False, True][: 1 + renamed]


@pytest.mark.parametrize(
    "odd",
    [
        {"usage": {"prompt_tokens": 10**400, "completion_tokens": 5}},
        {"usage": {"prompt_tokens": 5, "completion_tokens": True}},
        {"usage": {"prompt_tokens": 5, "completion_tokens": 5, "completion_tokens_details": {"reasoning_tokens": [1]}}},
        {"model": {"name": "x" * 10_000}, "system_fingerprint": ["x"]},
        {"choices": [{"message": {"content": "Beagle"}, "finish_reason": ["stop"]}]},
    ],
)
def test_an_odd_reply_that_was_paid_is_kept(httpserver, labeler, odd):
    httpserver.expect_request(CHAT).respond_with_json({**completion(), **odd})
    (reply,) = send(labeler)
    assert (reply.raw, reply.error) == ("Beagle", "")
    assert 0 < reply.cost_usd <= labeler.worst_usd(question(labeler))
    assert len(json.dumps(reply.usage)) < 1000
    assert len(reply.model) < 300


def test_odd_lines_of_a_batch():
    labeler, request = OpenAILabeler(), question(OpenAILabeler()).request
    client = Connection(None, KEY)
    for line in ({"response": "oops"}, {"response": {"body": "oops"}, "error": "no"}, {"response": 3, "error": {}}):
        content = json.dumps({"custom_id": "k", **line}).encode()
        assert labeler.reply_of_line(client, content, {"k": request}).error
    for content in (b'"custom_id"', b'{"custom_id": ["k"]}', b"[" * 100_000, b"{"):
        assert labeler.reply_of_line(client, content, {"k": request}) is None


@pytest.mark.parametrize(
    ("asked", "answered", "warns"),
    [("gpt-4o", "gpt-4o-2024-11-20", False), ("gpt-4o", "gpt-4o-mini", True), ("gpt-4o", None, False)],
)
def test_another_model_answers(httpserver, caplog, asked, answered, warns):
    labeler = make(httpserver, model=asked)
    httpserver.expect_request(CHAT).respond_with_json(completion(model=answered))
    replies = send(labeler, question(labeler), question(labeler))
    assert {reply.model for reply in replies} == {answered or ""}
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == warns


def test_a_server_of_ones_own_gets_no_key_and_costs_nothing(httpserver):
    labeler = OpenAILabeler("llava", base_url=httpserver.url_for("/v1"))
    httpserver.expect_request(CHAT).respond_with_json({**completion(model="llava"), "usage": None})
    (reply,) = send(labeler)
    assert (reply.cost_usd, labeler.worst_usd(question(labeler))) == (0, 0)
    assert labeler.estimate_usd([question(labeler).request]) == 0
    assert KEY not in str(httpserver.log[0][0].headers)


def test_a_key_in_the_place_of_its_variable():
    with pytest.raises(FgvrError, match="not the name of an environment variable") as caught:
        OpenAILabeler(api_key_env=KEY)
    assert KEY not in str(caught.value)


def test_the_environment_does_not_choose_the_server(monkeypatch, httpserver):
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")

    async def address():
        async with OpenAILabeler().connect() as client:
            return str(client.sdk.base_url)

    assert asyncio.run(address()) == "https://api.openai.com/v1/"


@pytest.mark.parametrize(
    "url", ["localhost:8000", "ftp://a/v1", "http://user:pw@host/v1", "http://host/v1?key=1", "http://"]
)
def test_addresses_that_are_none_or_hold_secrets(url):
    with pytest.raises(FgvrError, match="base_url") as caught:
        OpenAILabeler(base_url=url)
    assert "pw" not in str(caught.value)


def test_who_is_asked():
    assert OpenAILabeler().server == "api.openai.com gpt-4o-2024-11-20"
    assert OpenAILabeler("llava", base_url="http://localhost:8000/v1").server == "localhost:8000 llava"


def test_a_run_through_the_engine_and_the_store(httpserver, tmp_path):
    labeler = make(httpserver, limits=Limits(concurrency=4, timeout_seconds=10))
    for status, headers, content in [
        (429, {"retry-after-ms": "10"}, json.dumps(failure("Slow down", "rate_limit_exceeded"))),
        (500, {}, "<html>broken</html>"),
        (200, {}, "{not json"),
    ]:
        answer = httpserver.expect_oneshot_request(CHAT)
        answer.respond_with_data(content, status=status, headers=headers, content_type="application/json")
    httpserver.expect_request(CHAT).respond_with_json(completion("A Beagle."))
    images = save_images(tmp_path, coloured(6))
    with LabelStore(tmp_path / "labels.sqlite") as store:
        done = label(labeler, images, store, max_cost_usd=1.0, progress=False)
        labels = read_labels(labeler, images, store)
        assert label(labeler, images, store, progress=False).asked == 0
    assert (done.asked, done.failed) == (6, 0)
    assert [record.names for record in labels] == [("Beagle",)] * 6
    assert len(httpserver.log) == 6 + 3
    # the reply that was no JSON may have been billed
    assert 6 * 0.0028 < done.cost_usd < 7 * 0.012
    written = b"".join(path.read_bytes() for path in tmp_path.glob("labels.sqlite*") if path.is_file())
    assert KEY.encode() not in written
    assert b"base64" not in written
    assert base64.b64encode(images[0].path.read_bytes())[:40] not in written


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"error": {"message": "This request requires more credits", "code": 402}}, "requires more credits"),
        ({"error": {"message": "User not found.", "code": 401}}, "User not found"),
        ({"error": "model 'm' not found, try pulling it first"}, "try pulling it first"),
        ({"choices": [{"error": {"message": "Insufficient credits", "code": 402}}]}, "Insufficient credits"),
    ],
)
def test_an_error_inside_a_200_stops_a_run_at_once(httpserver, tmp_path, content, words):
    labeler = make(httpserver, limits=Limits(concurrency=2))
    httpserver.expect_request(CHAT).respond_with_json(content)
    with LabelStore(tmp_path / "labels.sqlite") as store:
        with pytest.raises(FgvrError, match=words):
            label(labeler, save_images(tmp_path, coloured(20)), store, progress=False)
        assert not list(store.rows())
    assert len(httpserver.log) <= 2


def test_a_busy_server_inside_a_200_is_waited_for(httpserver, tmp_path, monkeypatch):
    monkeypatch.setattr(pacing, "_FIRST_DELAY", 0.002)
    labeler = make(httpserver, limits=Limits(concurrency=2, max_attempts=1))
    for code in (429, 502, 503, 529):
        httpserver.expect_oneshot_request(CHAT).respond_with_json({"error": {"message": "wait", "code": code}})
    httpserver.expect_request(CHAT).respond_with_json(completion())
    with LabelStore(tmp_path / "labels.sqlite") as store:
        run = label(labeler, save_images(tmp_path, coloured(5)), store, progress=False)
    assert (run.asked, run.failed, len(httpserver.log)) == (5, 0, 9)


def test_a_bad_key_stops_a_run_at_once(httpserver, tmp_path):
    labeler = make(httpserver, limits=Limits(concurrency=2))
    content = failure(f"Incorrect API key provided: {KEY}", "invalid_api_key")
    httpserver.expect_request(CHAT).respond_with_json(content, status=401)
    with LabelStore(tmp_path / "labels.sqlite") as store, pytest.raises(FgvrError, match="SERVER_KEY"):
        label(labeler, save_images(tmp_path, coloured(20)), store, progress=False)
    assert len(httpserver.log) <= 2


def test_a_cap_that_does_not_fit_the_next_request(httpserver, tmp_path):
    labeler = make(httpserver)
    httpserver.expect_request(CHAT).respond_with_json(completion())
    with LabelStore(tmp_path / "labels.sqlite") as store, pytest.raises(FgvrError, match=r"before it passes \$0\.02"):
        label(labeler, save_images(tmp_path, coloured(20)), store, max_cost_usd=0.02, progress=False)
    assert 0 < len(httpserver.log) * 0.0028 <= 0.02
