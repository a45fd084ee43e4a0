"""Whom hosted labelers talk to, and how much they read: against real servers on loopback."""

import asyncio
import gzip
import json
import tracemalloc
import zlib

import pytest
from labelers.batch_servers import FakeGemini, FakeOpenAI
from labelers.hosted import COST, PICTURE, Gemini, OpenAI, question, send
from werkzeug import Response

from fgvr.errors import FgvrError
from fgvr.labelers.asking.budget import Budget
from fgvr.labelers.asking.engine import send_all
from fgvr.labelers.asking.limits import Limits
from fgvr.labelers.gemini.labeler import GeminiLabeler
from fgvr.labelers.hosts.addresses import other_origins
from fgvr.labelers.remote import AttemptFailedError, ServerBusyError

SMALL = Limits(timeout_seconds=20, max_reply_mb=0.1, max_attempts=2, concurrency=1)

pytestmark = pytest.mark.usefixtures("keys")


@pytest.fixture(params=[OpenAI, Gemini], ids=lambda host: host.__name__)
def host(request):
    return request.param


def elsewhere(httpserver, path):
    """The same server by another name, which is another origin; ``httpserver`` itself is asked as localhost."""
    return f"http://127.0.0.1:{httpserver.port}{path}"


def endless(piece=b" " * 10_000):
    while True:
        yield piece


def packed(size):
    """Zeros as a gzip file that is a thousandth of them."""
    packer = zlib.compressobj(9, wbits=zlib.MAX_WBITS | 16)
    return b"".join([*(packer.compress(bytes(1_000_000)) for _ in range(size // 1_000_000)), packer.flush()])


def requests_at(httpserver, path):
    return [request for request, _ in httpserver.log if request.path == path]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_to_another_origin_is_refused(httpserver, host, status):
    there = elsewhere(httpserver, "/elsewhere")
    httpserver.expect_request(host.path).respond_with_response(Response("", status, {"Location": there}))
    httpserver.expect_request("/elsewhere").respond_with_json(host.reply())
    with pytest.raises(FgvrError) as caught:
        send(host.make(httpserver))
    said = str(caught.value)
    assert f"http://localhost:{httpserver.port} hands the request on to http://127.0.0.1:{httpserver.port}," in said
    assert "data.labeler.redirects_to" in said
    assert "\n" not in said
    assert not requests_at(httpserver, "/elsewhere")


@pytest.mark.parametrize("target", ["http:///elsewhere", "//127.0.0.1:{port}/elsewhere", "\\\\127.0.0.1/", "ftp://a/"])
def test_odd_spellings_lead_nowhere_else(httpserver, host, target):
    location = target.format(port=httpserver.port)
    httpserver.expect_request(host.path).respond_with_response(Response("", 307, {"Location": location}))
    httpserver.expect_request("/elsewhere").respond_with_response(Response("", 404))
    with pytest.raises((FgvrError, AttemptFailedError)):
        send(host.make(httpserver))
    assert all(request.host == f"localhost:{httpserver.port}" for request, _ in httpserver.log)


def test_a_redirect_that_is_allowed_takes_the_photo_and_no_key(httpserver, host):
    there = elsewhere(httpserver, "/elsewhere")
    httpserver.expect_request(host.path).respond_with_response(
        Response("", 307, {"Location": there, "Set-Cookie": "a=b"})
    )
    httpserver.expect_request("/elsewhere").respond_with_json(host.reply())
    (reply,) = send(host.make(httpserver, redirects_to=[f"HTTP://127.0.0.1:{httpserver.port}/any/path"]))
    assert reply.raw == "Beagle"
    (request,) = requests_at(httpserver, "/elsewhere")
    assert len(request.get_data()) > len(PICTURE.data)
    assert host.key not in str(request.headers)
    assert host.key in str(requests_at(httpserver, host.path)[0].headers)
    assert not {"authorization", "cookie", "x-goog-api-key"} & {name.lower() for name, _ in request.headers}


def test_a_redirect_within_the_server_is_followed(httpserver, host):
    httpserver.expect_request(host.path).respond_with_response(Response("", 308, {"Location": "/moved"}))
    httpserver.expect_request("/moved").respond_with_json(host.reply())
    assert send(host.make(httpserver))[0].raw == "Beagle"
    assert host.key in str(requests_at(httpserver, "/moved")[0].headers)


def test_redirects_are_no_part_of_a_reply_s_key(httpserver, host):
    allowed = host.make(httpserver, redirects_to="https://files.example.org/")
    assert allowed.redirects_to == {"https://files.example.org"}
    assert allowed.identity() == host.make(httpserver).identity()


@pytest.mark.parametrize("url", ["files.example.org", "ftp://h", "http://", "http://user@h", "http://h:port"])
def test_what_is_no_address(url):
    with pytest.raises(FgvrError, match=r"redirects_to holds .*expected addresses"):
        other_origins([url])


BODIES = {
    "long": lambda: Response(b" " * 200_000 + b"{}"),
    "endless": lambda: Response(endless()),
    "a bomb": lambda: Response(packed(100_000_000), headers={"Content-Encoding": "gzip"}),
    "an endless bomb": lambda: Response(endless(packed(1_000_000)), headers={"Content-Encoding": "deflate"}),
    "a bomb in a bomb": lambda: Response(gzip.compress(packed(9_000_000)), headers={"Content-Encoding": "gzip, gzip"}),
    "unknown": lambda: Response(b"x", headers={"Content-Encoding": "br"}),
    "cut": lambda: Response(gzip.compress(b"{}")[:-9], headers={"Content-Encoding": "gzip"}),
}


@pytest.mark.parametrize("body", BODIES)
def test_a_body_without_end_is_one_failed_attempt(httpserver, host, body):
    httpserver.expect_request(host.path).respond_with_handler(lambda request: BODIES[body]())
    tracemalloc.start()
    with pytest.raises(AttemptFailedError) as caught:
        send(host.make(httpserver, limits=SMALL))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert caught.value.cost_usd is None  # the model may have been paid for it
    if body in ("long", "endless", "a bomb"):
        assert str(caught.value) == "the reply is longer than 0.1 MB"
    assert peak < 30_000_000


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "raw deflate", "identity"])
def test_a_reply_may_come_packed(httpserver, host, encoding):
    plain = json.dumps(host.reply("Beagle", pad="x" * 80_000)).encode()
    raw = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    body = {
        "gzip": gzip.compress(plain),
        "deflate": zlib.compress(plain),
        "raw deflate": raw.compress(plain) + raw.flush(),
        "identity": plain,
    }[encoding]
    headers = {"Content-Encoding": encoding.split()[-1]}
    httpserver.expect_request(host.path).respond_with_data(body, headers=headers, content_type="application/json")
    assert send(host.make(httpserver, limits=SMALL))[0].raw == "Beagle"


def test_a_long_error_is_the_error_that_it_is(httpserver, host):
    httpserver.expect_request(host.path).respond_with_handler(lambda request: Response(endless(b"busy "), 429))
    with pytest.raises(ServerBusyError, match="busy"):
        send(host.make(httpserver, limits=SMALL))


def test_a_reply_that_is_too_long_is_paid_for_and_not_asked_for_for_ever(httpserver, host, monkeypatch):
    monkeypatch.setattr("fgvr.labelers.asking.engine.delay", lambda failures: 0.0)
    monkeypatch.setattr("fgvr.labelers.asking.engine.encode_pictures", lambda *arguments: (PICTURE,))
    httpserver.expect_request(host.path).respond_with_handler(lambda request: BODIES["long"]())
    labeler = host.make(httpserver, limits=SMALL)
    budget = Budget(10.0)
    asked = question(labeler)
    ((reply,),) = send_all(labeler, [asked.request], budget)
    assert (reply.error, reply.attempts) == ("the reply is longer than 0.1 MB", 2)
    assert reply.cost_usd == pytest.approx(2 * labeler.worst_usd(asked)) == pytest.approx(budget.spent)
    assert reply.cost_usd > COST
    assert len(httpserver.log) == 2


SERVERS = {FakeOpenAI: OpenAI, FakeGemini: Gemini}


def ended_batch(kind, httpserver):
    """A server whose only batch has ended, a labeler that asks it, and the requests by their keys."""
    server, labeler = kind(httpserver), SERVERS[kind].make(httpserver, limits=SMALL)
    requests = {name: question(labeler).request for name in ("k1", "k2", "k3")}
    output = server.add_file(server.output([{server.key_of: name} for name in requests]))
    server.batches["b"] = {"nonce": "n", "file": "f", "state": "done", "output": output, "errors": None}
    return server, labeler, requests


@pytest.fixture(params=SERVERS, ids=lambda kind: kind.__name__)
def kind(request):
    return request.param


@pytest.fixture
def batch(kind, httpserver):
    return ended_batch(kind, httpserver)


def collect(labeler, requests):
    remote_id = "batches/b" if isinstance(labeler, GeminiLabeler) else "b"

    async def run():
        async with labeler.connect() as client:
            return [reply async for reply in labeler.collect_batch(client, remote_id, requests)]

    return asyncio.run(run())


def test_a_line_of_a_batch_that_is_too_long_fails_alone(batch):
    server, labeler, requests = batch
    file = server.batches["b"]["output"]
    lines = server.files[file].splitlines(keepends=True)
    lines[1] = lines[1].rstrip(b"}\n") + b', "pad": "' + b"x" * 2_500_000 + b'"}\n'
    server.files[file] = b"".join(lines)
    replies = collect(labeler, requests)
    assert [reply.error for reply in replies] == ["", "the reply is longer than 0.1 MB (limits.max_reply_mb)", ""]
    assert (replies[1].request, replies[1].attempts, replies[1].usage) == (requests["k2"], 1, {"unpriced": True})


def test_a_file_of_a_batch_that_is_too_long_is_not_kept(batch):
    _, labeler, requests = batch
    labeler.limits = Limits(max_batch_file_mb=0.0001)
    with pytest.raises(FgvrError, match=r"is longer than 0\.0001 MB\. Raise data\.labeler\.limits\.max_batch_file_mb"):
        collect(labeler, requests)


def test_a_file_of_a_batch_may_be_longer_than_a_reply(batch):
    server, labeler, requests = batch
    server.files[server.batches["b"]["output"]] += (b" " * 50_000 + b"\n") * 10
    assert len(collect(labeler, requests)) == 3


def test_a_file_of_a_batch_is_left_where_it_is_full_of_nothing(batch, caplog):
    server, labeler, requests = batch
    server.files[server.batches["b"]["output"]] += b"\n" * 20_000
    assert len(collect(labeler, requests)) == 3
    assert "is left after 1003 lines that are none of ours" in caplog.text


def test_a_file_of_a_batch_is_not_fetched_from_another_origin(kind, httpserver, monkeypatch):
    moved = Response("", 302, {"Location": elsewhere(httpserver, "/elsewhere")})
    monkeypatch.setattr(kind, "content", lambda server, request: moved)
    _, labeler, requests = ended_batch(kind, httpserver)
    with pytest.raises(FgvrError, match="hands the request on to"):
        collect(labeler, requests)
    assert not requests_at(httpserver, "/elsewhere")
