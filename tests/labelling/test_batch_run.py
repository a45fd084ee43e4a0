import asyncio
import json
import re
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from labelers.batch_servers import FakeGemini, FakeOpenAI
from labelers.hosted import Gemini, OpenAI
from tiny.images import coloured, save_images

from fgvr.errors import FgvrError
from fgvr.labelers.asking.budget import Budget
from fgvr.labelers.asking.limits import Limits
from fgvr.labelers.base import LabelRequest, Reply
from fgvr.labelers.batch import BatchStatus
from fgvr.labelers.gemini.labeler import GeminiLabeler
from fgvr.labelers.hosts.prices import Price
from fgvr.labelers.openai.labeler import OpenAILabeler
from fgvr.labelers.remote import AttemptFailedError, Question
from fgvr.labelers.tasks.pictures import encode_pictures
from fgvr.labelling.batch_run import label_batch
from fgvr.labelling.run_lock import RunLock
from fgvr.labelling.store.keys import request_keys
from fgvr.labelling.store.label_store import LabelStore

KINDS = {FakeOpenAI: OpenAILabeler, FakeGemini: GeminiLabeler}
PRICE = Price(2.0, 8.0)
COLLECT = """
import importlib, pathlib, sys
from fgvr.labelling.batch_run import label_batch
from fgvr.labelling.store.label_store import LabelStore
module, name, url, path = sys.argv[1:]
labeler = getattr(importlib.import_module(module), name)(base_url=url)
with LabelStore(pathlib.Path(path)) as store:
    assert label_batch(labeler, [], store, poll_seconds=0.02).collected == 3
"""
COST = (1000 * 2 + 100 * 8) / 1e6 / 2


@pytest.fixture(autouse=True)
def keys(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test-0123456789")
    monkeypatch.setenv("GEMINI_API_KEY", "AIzaTest0123456789")
    monkeypatch.delenv("GOOGLE_API_KEY", raising=False)


@pytest.fixture(params=KINDS, ids=lambda kind: kind.__name__)
def server(request, httpserver):
    return request.param(httpserver)


@pytest.fixture
def labeler(server):
    return make(server)


@pytest.fixture
def requests(tmp_path, labeler):
    return [LabelRequest(image, labeler.prompt) for image in save_images(tmp_path, coloured(3, side=64))]


def make(server, **options):
    limits = Limits(timeout_seconds=10, patience_seconds=5)
    return KINDS[type(server)](base_url=server.url, price=PRICE, limits=limits, **options)


def run(labeler, requests, store, **options):
    return label_batch(labeler, requests, store, poll_seconds=0.02, **options)


def replies(labeler, requests, store):
    return store.get(labeler.identity(), requests)


class Interrupting:
    """Stops the process, as it were, at the first report that holds a text."""

    def __init__(self, text):
        self.text = text

    def __call__(self, line):
        if self.text in line:
            raise KeyboardInterrupt


def test_submitted_waited_for_and_collected(server, labeler, requests, store):
    lines = []

    def report(line):
        lines.append(line)
        if "requests sent" in line:
            server.finish()

    done = run(labeler, requests, store, report=report)
    assert (done.submitted, done.collected, done.failed, done.waiting, done.missing) == (3, 3, 0, 0, 0)
    assert done.cost_usd == pytest.approx(3 * COST)
    stored = replies(labeler, requests, store)
    assert [reply.raw for reply in stored] == ["Bea\u2028gle"] * 3
    assert all(reply.cost_usd == pytest.approx(COST) for reply in stored)
    assert [line[server.key_of] for line in server.lines] == request_keys(labeler.identity(), requests)
    assert store.batches.find(labeler.identity(), ("submitting", "submitted")) == []
    assert any("3 requests sent" in line for line in lines)
    assert "png" not in json.dumps(server.lines)
    with RunLock(store, labeler.identity(), pytest.fail).held():
        assert run(labeler, requests, store).submitted == 0, "nobody is waited for where nothing is missing"
    assert server.created == 1


def test_sent_now_and_collected_by_another_process(server, labeler, requests, store):
    first = run(labeler, requests, store, wait=False)
    assert (first.submitted, first.waiting, first.missing) == (3, 3, 0)
    again = run(labeler, requests, store, wait=False)
    assert (again.submitted, again.waiting) == (0, 3)
    server.finish()
    command = [sys.executable, "-c", COLLECT, type(labeler).__module__, type(labeler).__name__, server.url]
    subprocess.run([*command, str(store.path)], check=True, timeout=60)
    # the second process had no photos at all, and has stored what was paid for
    assert [reply.raw for reply in replies(labeler, requests, store)] == ["Bea\u2028gle"] * 3
    assert server.created == 1


def test_a_disk_that_is_full_when_replies_are_collected(server, labeler, requests, small_disk):
    with LabelStore(small_disk.path / "labels.sqlite") as store:
        run(labeler, requests, store, wait=False)
        server.finish()
        small_disk.leave(0)
        with pytest.raises(
            FgvrError, match=rf"keeps 3 replies of batch \S+ \(\${3 * COST:.4f}\) until then\..* again\.$"
        ):
            run(labeler, requests, store)
        small_disk.free()
        assert run(labeler, requests, store).collected == 3
    assert server.created == 1


def test_interrupted_while_it_waits(server, labeler, requests, store):
    with pytest.raises(KeyboardInterrupt):
        run(labeler, requests, store, report=Interrupting("requests sent"))
    assert [batch.state for batch in store.batches.find()] == ["submitted"]
    server.finish()
    done = run(labeler, requests, store)
    assert (done.submitted, done.collected) == (0, 3)


def test_killed_after_the_server_had_it_and_before_it_was_noted(server, labeler, requests, store, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(store.batches, "update", lambda *args: exec("raise KeyboardInterrupt"))
        with pytest.raises(KeyboardInterrupt):
            run(labeler, requests, store)
    assert [batch.state for batch in store.batches.find()] == ["submitting"]
    assert server.created == 1
    server.finish()
    done = run(labeler, requests, store)
    assert (done.submitted, done.collected, server.created) == (0, 3, 1)


def test_killed_before_the_server_had_it(server, labeler, requests, store):
    store.batches.open(labeler.identity(), labeler.server, requests, 1.0)
    done = run(labeler, requests, store, wait=False)
    assert (done.submitted, done.waiting, server.created) == (3, 3, 1)
    assert [batch.state for batch in store.batches.find()] == ["failed", "submitted"]


def test_an_answer_that_was_lost_is_no_second_batch(server, labeler, requests, store):
    server.lose_next = True
    done = run(labeler, requests, store, wait=False)
    assert (done.submitted, server.created) == (3, 1)


def test_expired_with_some_of_the_replies(server, labeler, requests, store):
    run(labeler, requests, store, wait=False)
    server.finish("expired", replies=2)
    done = run(labeler, requests, store, wait=False)
    assert (done.collected, done.submitted, done.waiting, done.missing) == (2, 1, 1, 0)
    assert [reply is not None for reply in replies(labeler, requests, store)] == [True, True, False]
    assert len(server.lines) == 4
    server.finish()
    assert run(labeler, requests, store).collected == 1
    assert all(reply.attempts == 1 and not reply.error for reply in replies(labeler, requests, store))


def test_one_that_expires_is_not_sent_again_in_the_same_call(server, labeler, requests, store):
    done = run(labeler, requests, store, report=lambda line: server.finish("expired", replies=1))
    assert (done.collected, done.missing, server.created) == (1, 2, 1)


def test_a_refused_batch(server, labeler, requests, store):
    with pytest.raises(FgvrError, match=r"3 requests are missing.*refused batch"):
        run(labeler, requests, store, report=lambda line: server.finish("failed", replies=0))
    assert [batch.state for batch in store.batches.find()] == ["failed"]
    run(labeler, requests, store, wait=False)
    assert server.created == 2


@pytest.mark.parametrize("fresh", [True, False])
def test_a_batch_that_the_server_does_not_know(server, labeler, requests, store, fresh, monkeypatch):
    run(labeler, requests, store, wait=False)
    server.batches.clear()
    if fresh:
        with pytest.raises(FgvrError, match="the key of the account that sent it"):
            run(labeler, requests, store)
        assert [batch.state for batch in store.batches.find()] == ["submitted"]
    else:
        monkeypatch.setattr("fgvr.labelling.batch_run._KEPT", timedelta(0))
        assert run(labeler, requests, store, wait=False).submitted == 3


def test_a_busy_server_is_waited_for(server, labeler, requests, store):
    run(labeler, requests, store, wait=False)
    server.finish()
    server.statuses = [500, 429, 503]
    assert run(labeler, requests, store).collected == 3


def test_files_are_cut_by_size_and_number(server, labeler, requests, store, monkeypatch):
    monkeypatch.setattr(type(labeler), "max_batch_requests", 2)
    done = run(labeler, requests, store, wait=False)
    assert (done.submitted, server.created) == (3, 2)
    server.finish()
    assert run(labeler, requests, store).collected == 3


def test_a_file_never_passes_the_size(server, labeler, requests, store, monkeypatch):
    monkeypatch.setattr(type(labeler), "max_batch_bytes", 10)
    assert run(labeler, requests, store, wait=False).submitted == 3
    assert server.created == 3


def test_the_budget_holds_at_the_highest_price(server, labeler, requests, store):
    question = Question(requests[0], encode_pictures(requests[0], labeler.task, labeler.pictures))
    worst = labeler.worst_batch_usd(question)
    assert worst == pytest.approx(labeler.worst_usd(question) / 2)
    budget = Budget(worst * 2.5)
    first = run(labeler, requests, store, budget=budget, wait=False)
    assert (first.submitted, first.waiting, first.missing) == (2, 2, 1)
    assert budget.reserved == pytest.approx(2 * worst)
    # what is open counts, so that the same command again does not send more
    assert run(labeler, requests, store, budget=Budget(worst * 2.5), wait=False).submitted == 0
    server.finish()
    with pytest.raises(FgvrError, match=r"stopped before it passes.*1 of 3 requests is missing"):
        run(labeler, requests, store, budget=Budget(2 * COST + worst / 2))
    assert sum(reply is not None for reply in replies(labeler, requests, store)) == 2


def test_what_does_not_fit_is_sent_when_the_first_batch_was_cheaper(server, labeler, requests, store, monkeypatch):
    monkeypatch.setattr(type(labeler), "worst_batch_usd", lambda self, question: 1.0)
    done = run(labeler, requests, store, budget=Budget(2.0), report=lambda line: server.finish())
    assert (done.submitted, done.missing, server.created) == (3, 0, 2)


def test_a_limit_needs_a_price(server, labeler, requests, store, monkeypatch):
    monkeypatch.setattr(type(labeler), "worst_batch_usd", lambda self, question: None)
    with pytest.raises(FgvrError, match="No price is known"):
        run(labeler, requests, store, budget=Budget(1.0))
    assert run(labeler, requests, store, wait=False).submitted == 3


def test_photos_that_cannot_be_read_fail_alone(server, labeler, requests, store, tmp_path):
    requests[1].image.path.write_bytes(b"no picture")
    done = run(labeler, requests, store, wait=False)
    assert (done.submitted, done.failed) == (2, 1)
    assert done.first_error.startswith("1.png: the photo cannot be read")


def test_failures_that_were_given_up_are_not_sent(server, labeler, requests, store):
    store.put(labeler.identity(), Reply(requests[0], error="no", attempts=5))
    store.put(labeler.identity(), Reply(requests[1], error="no", attempts=4))
    assert run(labeler, requests, store, wait=False).submitted == 2


def test_failed_requests_of_a_batch_are_failures(server, labeler, requests, store):
    run(labeler, requests, store, wait=False)
    server.finish()
    (batch,) = server.batches.values()
    keys = request_keys(labeler.identity(), requests)
    bad = [
        {server.key_of: keys[0], "error": {"code": "server_error", "message": "It broke"}},
        {server.key_of: keys[1], "response": {"status_code": 200, "body": {}}},
        {server.key_of: "no key of ours", "response": {}},
        {"neither": 1},
        7,
    ]
    lines = [json.dumps(line).encode() for line in bad] + [b"{broken", b""]
    server.files[batch["output"]] = b"\n".join(lines) + b"\n"
    done = run(labeler, requests, store, wait=False)
    assert (done.collected, done.failed) == (2, 2)
    assert "It broke" in replies(labeler, requests, store)[0].error
    assert len(server.lines) == 3 + 3, "all three are sent again"


def wrong_line(server, key, code, content):
    """A line of a batch in which one request got an error, as a status or inside a 200."""
    if isinstance(server, FakeOpenAI):
        return {"custom_id": key, "response": {"status_code": code, "body": content}}
    return {"key": key, **({"response": content} if code == 200 else {"error": {**content["error"], "code": code}})}


@pytest.mark.parametrize(
    ("code", "content", "words", "attempts"),
    [
        (429, {"error": {"message": "Slow down"}}, "Slow down", 0),
        (200, {"error": {"message": "Slow down", "code": 429}}, "Slow down", 0),
        (402, {"error": {"message": "more credits"}}, r"without credit \(more credits\)", 0),
        (200, {"error": {"message": "more credits", "code": 402}}, r"without credit \(more credits\)", 0),
        (500, {"error": {"message": "It broke"}}, "500: It broke", 1),
        (200, {"error": {"message": "It broke", "code": 500}}, "500: It broke", 1),
        (400, {"error": {"message": "No images"}}, "No images", 1),
        (200, {"error": "No images are supported: unsupported"}, "No images", 1),
    ],
)
def test_errors_in_the_lines_of_a_batch(server, labeler, requests, store, code, content, words, attempts):
    run(labeler, requests, store, wait=False)
    server.finish()
    (batch,) = server.batches.values()
    lines = [wrong_line(server, key, code, content) for key in request_keys(labeler.identity(), requests)]
    server.files[batch["output"]] = b"\n".join(json.dumps(line).encode() for line in lines) + b"\n"
    done = run(labeler, requests, store, wait=False)
    assert (done.collected, done.failed, done.submitted) == (3, 3, 3), "they are sent again"
    for reply in replies(labeler, requests, store):
        assert re.search(words, reply.error)
        assert (reply.attempts, reply.cost_usd) == (attempts, 0)


@pytest.mark.parametrize("raw", ["The dog is a Golden Ret", "Golden Ret", "<think>It is", ""])
def test_replies_of_a_batch_that_were_cut_off(server, labeler, requests, store, raw):
    host = OpenAI if isinstance(server, FakeOpenAI) else Gemini
    run(labeler, requests, store, wait=False)
    server.finish()
    (batch,) = server.batches.values()
    content = host.reply(raw, host.cut_off)
    response = {"status_code": 200, "body": content} if host is OpenAI else content
    lines = [{server.key_of: key, "response": response} for key in request_keys(labeler.identity(), requests)]
    server.files[batch["output"]] = b"\n".join(json.dumps(line).encode() for line in lines) + b"\n"
    assert run(labeler, requests, store, wait=False).failed == 3
    assert all("raise data.labeler.max_output_tokens" in reply.error for reply in replies(labeler, requests, store))
    assert all(reply.cost_usd == pytest.approx(COST) for reply in replies(labeler, requests, store))


def test_a_batch_of_empty_replies_is_warned_of(server, labeler, requests, store, caplog):
    host = OpenAI if isinstance(server, FakeOpenAI) else Gemini
    run(labeler, requests, store, wait=False)
    server.finish()
    (batch,) = server.batches.values()
    response = {"status_code": 200, "body": host.reply(" ")} if host is OpenAI else host.reply(" ")
    lines = [{server.key_of: key, "response": response} for key in request_keys(labeler.identity(), requests)]
    server.files[batch["output"]] = b"\n".join(json.dumps(line).encode() for line in lines) + b"\n"
    run(labeler, requests, store, wait=False)
    assert "3 are empty, of 3 replies" in caplog.text


@pytest.mark.parametrize("step", ["upload_batch", "create_batch"])
def test_another_run_waits_until_the_first_has_sent(server, labeler, requests, store, step):
    first_is_here, second_waits = threading.Event(), threading.Event()
    send = getattr(labeler, step)

    def other():
        assert first_is_here.wait(10)

        def report(line):
            if "waiting for it to end" in line:
                second_waits.set()

        with LabelStore(store.path) as mine:
            return run(make(server), requests, mine, wait=False, report=report)

    async def slowly(*arguments):
        first_is_here.set()
        assert await asyncio.to_thread(second_waits.wait, 10)
        return await send(*arguments)

    setattr(labeler, step, slowly)
    with ThreadPoolExecutor(1) as pool:
        second = pool.submit(other)
        first = run(labeler, requests, store, wait=False)
        assert (first.submitted, second.result(10).submitted, second.result(10).waiting) == (3, 0, 3)
    assert server.created == 1
    assert [batch.state for batch in store.batches.find()] == ["submitted"]


def test_a_run_that_waits_for_the_server_lets_others_collect(server, labeler, requests, store):
    sent = threading.Event()

    async def running(client, remote_id):
        sent.set()
        return BatchStatus("running")

    labeler.batch_status = running
    budget = Budget(1.0)

    def waiting():
        with LabelStore(store.path) as mine:
            return run(labeler, requests, mine, budget=budget)

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(waiting)
        assert sent.wait(10)
        server.finish()
        assert run(make(server), requests, store).collected == 3
        done = first.result(10)
    assert (done.submitted, done.collected, done.waiting, done.missing) == (3, 0, 0, 0)
    assert (budget.spent, budget.reserved) == (pytest.approx(3 * COST), pytest.approx(0))


@pytest.mark.parametrize("interrupted", [False, True])
def test_nothing_of_a_batch_counts_twice(server, labeler, requests, store, interrupted):
    run(labeler, requests, store, wait=False)
    server.finish()
    broken = [1, 2]

    async def collect(client, remote_id, wanted):
        for number, request in enumerate(wanted.values()):
            if number == 1 and broken:
                raise AttemptFailedError(f"the connection broke {broken.pop()}")
            yield Reply(request, error="no", cost_usd=0.5)
            yield Reply(request, error="no", cost_usd=0.5)  # on a second line

    labeler.collect_batch = collect
    labeler.max_attempts = 1
    if interrupted:
        with pytest.raises(KeyboardInterrupt):
            run(labeler, requests, store, report=Interrupting("replies stored"))
    run(labeler, requests, store)
    assert [(reply.attempts, reply.cost_usd) for reply in replies(labeler, requests, store)] == [(1, 0.5)] * 3


def test_the_server_is_asked_to_delete_the_files_when_all_is_stored(server, labeler, requests, store):
    deleted = []

    async def delete(client, remote_id):
        deleted.append((remote_id, [batch.state for batch in store.batches.find()]))

    labeler.delete_batch_files = delete
    run(labeler, requests, store, wait=False)
    assert not deleted
    server.finish()
    run(labeler, requests, store, wait=False)
    [(remote_id, states)] = deleted
    assert remote_id == store.batches.find()[0].remote_id
    assert states == ["collected"]


def test_what_is_sent_to_no_batch_api(httpserver, tmp_path, store):
    labeler = OpenAILabeler("llava", base_url=httpserver.url_for("/v1"))
    httpserver.expect_request("/v1/files").respond_with_json({"detail": "Not Found"}, status=404)
    with pytest.raises(FgvrError, match="has no Batch API: label without the option batch"):
        run(labeler, [LabelRequest(*save_images(tmp_path, coloured(1)), "?")], store)
    assert [batch.state for batch in store.batches.find()] == ["failed"]


def test_no_picture_stays_on_the_disk(server, labeler, requests, store, tmp_path, monkeypatch):
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    server.lose_next = True
    run(labeler, requests, store, wait=False)
    server.finish()
    run(labeler, requests, store)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("keep", [False, True])
def test_no_file_stays_at_the_server(server, labeler, requests, store, keep, caplog):
    server.keep = keep
    run(labeler, requests, store, wait=False)
    assert server.deleted == []
    server.finish("expired", replies=2)
    assert run(labeler, [], store).collected == 2
    (batch,) = server.batches.values()
    names = {batch["file"], batch["output"]} | ({batch["errors"]} if isinstance(server, FakeOpenAI) else set())
    assert set(server.deleted) == (set() if keep else names)
    assert ("does not delete" in caplog.text) == keep
