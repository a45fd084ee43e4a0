import json

import pytest

from fgvr.errors import FgvrError
from fgvr.labelers.asking.sender import AttemptFailedError, ServerBusyError
from fgvr.labelers.hosts.error_bodies import raise_for, server_error, words_of

KEY = "sk-test-0123456789abcdef"
NGINX = (
    "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body><center><h1>502 Bad Gateway</h1></center></html>"
)
UPSTREAM = {
    "error": {
        "message": "Provider returned error",
        "code": 429,
        "metadata": {"raw": '{"error": {"message": "m is temporarily rate-limited upstream"}}', "provider_name": "P"},
    }
}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"error": {"message": "No such model", "type": "x", "code": 404}}, "No such model"),
        ({"error": "Model does not support images"}, "Model does not support images"),
        ({"detail": "Not Found"}, "Not Found"),
        ({"detail": {"message": "Try later", "code": 3}}, "Try later"),
        (
            {"detail": [{"loc": ["body", "seed"], "msg": "Field required"}, {"loc": ["body", 3], "msg": "too long"}]},
            "body.seed: Field required; body.3: too long",
        ),
        ({"detail": [{"msg": "Value error"}]}, "Value error"),
        ({"message": "Endpoint is paused"}, "Endpoint is paused"),
        ({"object": "error", "message": "context length", "type": "BadRequestError", "code": 400}, "context length"),
        ({"statusCode": 429, "error": "Too Many Requests", "message": "wait"}, "Too Many Requests: wait"),
        ({"title": "Unauthorized", "detail": "no token", "status": 401}, "Unauthorized: no token"),
        ({"success": False, "errors": [{"code": 7003, "message": "No route"}]}, "No route"),
        ([{"error": {"code": 400, "message": "API key not valid"}}], "API key not valid"),
        ({"base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}}, "insufficient balance"),
        (UPSTREAM, "Provider returned error: m is temporarily rate-limited upstream"),
        ('{"error": {"message": "written twice"}}', "written twice"),
        ("upstream connect error or disconnect", "upstream connect error or disconnect"),
        (NGINX, "502 Bad Gateway"),
        (
            "<!DOCTYPE html><title>Sign in</title><script>var a = 1</script><p>To go on,\n<b>log in</b>",
            "Sign in To go on, log in",
        ),
        ("", ""),
        ({}, ""),
        ([], ""),
        (None, ""),
        ({"choices": [], "usage": {"prompt_tokens": 3}}, ""),
        ({"error": {"error": {"error": {"error": {"error": {"error": {"error": "deep"}}}}}}}, ""),
    ],
)
def test_the_words_of_a_body(body, words):
    assert words_of(body) == words


@pytest.mark.parametrize("body", ["<" * 50_000, "[" * 50_000, '{"error": ' * 50_000, "<script" * 9_000, ["a"] * 50_000])
def test_hostile_bodies_are_read_in_no_time(body):
    assert len(server_error(body, 500).said) < 400


@pytest.mark.parametrize(
    "body", [f"bad {KEY}", {"error": f"bad {KEY}"}, f"<p>bad {KEY}</p>", [{"detail": f"bad {KEY}"}]]
)
def test_no_words_with_the_key_in_them(body):
    assert server_error(body, 500, KEY).said == "bad [key]"


@pytest.mark.parametrize("body", [None, "", {}, {"error": None}, 3])
def test_where_nothing_is_said_there_is_the_status(body):
    assert server_error(body, 503).said == "HTTP 503 Service Unavailable"
    assert server_error(body, 599).said == "HTTP 599"
    assert server_error(body, 200).said


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        # by the status, or by the same number inside a 200
        *(
            (status, {"error": {"message": "?"}}, kind)
            for status, kind in ((401, "key"), (402, "credit"), (404, "model"))
        ),
        *((200, {"error": {"message": "?", "code": code}}, kind) for code, kind in ((401, "key"), ("402", "credit"))),
        *((200, {"error": "?", "status": code}, "busy") for code in (429, 502, 503, 529)),
        *((code, {"error": "?"}, "busy") for code in (429, 502, 503, 529)),
        *((code, {"error": "?"}, "again") for code in (500, 504, 408, 409)),
        *((200, {"statusCode": code, "message": "?"}, "again") for code in (500, 504, 408, 409)),
        (200, {"error": {"code": 400, "message": "bad picture"}}, "request"),
        (422, {"detail": "bad picture"}, "request"),
        (200, {"error": {"code": 404, "message": "no endpoints"}}, "model"),
        (200, {"code": 200, "message": "?"}, "again"),
        (200, {"error": {"code": True, "message": "?"}}, "again"),
        # by the name
        (429, {"error": {"message": "You exceeded your current quota", "code": "insufficient_quota"}}, "credit"),
        (200, {"error": {"message": "?", "type": "insufficient_quota"}}, "credit"),
        (200, {"error": {"message": "?", "type": "overloaded_error"}}, "busy"),
        (500, {"error": "?", "error_type": "overloaded"}, "busy"),
        (200, {"error": {"message": "?", "code": "model_not_found"}}, "model"),
        (200, {"error": {"message": "?", "code": "invalid_api_key"}}, "key"),
        (200, {"error": {"message": "?", "code": "rate_limit_exceeded"}}, "busy"),
        (200, {"error": {"message": "?", "status": "RESOURCE_EXHAUSTED"}}, "busy"),
        # by the words
        (200, {"error": "This request requires more credits, or fewer max_tokens."}, "credit"),
        (400, {"error": {"message": "Your credit balance is too low to access the API."}}, "credit"),
        (200, {"message": "Insufficient Balance"}, "credit"),
        (429, {"error": {"message": "Your prepayment credits are depleted."}}, "credit"),
        (200, "The engine is overloaded", "busy"),
        (200, {"error": "Model m is currently loading", "estimated_time": 20.0}, "busy"),
        (400, {"error": "Rate limit reached for m"}, "busy"),
        (200, {"detail": "Not authenticated"}, "key"),
        (400, {"error": 'Model "m" not found. Please load a model first.'}, "model"),
        (200, {"error": "Model Not Exist"}, "model"),
        (400, {"error": {"message": "m is not a valid model ID"}}, "model"),
        (400, {"error": "Model does not support images. Please use a model that does."}, "request"),
        (200, {"error": "Model does not support images."}, "request"),
        (200, {"error": "something broke"}, "again"),
        # a quota that is exceeded may be one of a minute
        (429, {"error": {"message": "You exceeded your current quota, please check your plan and billing"}}, "busy"),
        (200, UPSTREAM, "busy"),
        (200, NGINX, "busy"),
    ],
)
def test_what_an_error_means(status, body, kind):
    assert server_error(body, status).kind == kind
    assert server_error(json.dumps(body), status).kind == kind


@pytest.mark.parametrize(
    ("status", "error", "message", "cost_usd"),
    [
        (402, FgvrError, "Add credit", None),
        (401, FgvrError, r"S refuses \(w\)", None),
        (404, FgvrError, "data.labeler.model", None),
        (502, ServerBusyError, "w", None),
        (500, AttemptFailedError, "500: w", 0.0),
        (504, AttemptFailedError, "504: w", None),
        (200, AttemptFailedError, "w", 0.0),
    ],
)
def test_the_exceptions_of_the_engine(status, error, message, cost_usd):
    with pytest.raises(error, match=message) as caught:
        raise_for(server_error({"error": "w"}, status, retry_after=3.0), "S", "refuses ({said})")
    assert getattr(caught.value, "cost_usd", None) == cost_usd
    assert getattr(caught.value, "retry_after", 3.0) == 3.0


def test_an_error_of_one_request_is_no_exception():
    raise_for(server_error({"error": "w"}, 400), "S", "")
