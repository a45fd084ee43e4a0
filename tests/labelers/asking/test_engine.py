import asyncio
import base64
import os
import random
import signal
import socket
import threading
import time
from collections import Counter
from contextlib import asynccontextmanager, closing

import pytest
from tiny.images import coloured, save_images
from tiny.remote import TinyRemoteLabeler
from tiny.server import TinyAnswer, TinyServer

from fgvr.errors import FgvrError
from fgvr.labelers.asking import engine, pacing
from fgvr.labelers.asking.budget import Budget
from fgvr.labelers.asking.day import DailyQuota
from fgvr.labelers.asking.engine import send_all
from fgvr.labelers.asking.limits import Limits
from fgvr.labelers.base import LabelRequest, Reply
from fgvr.labelers.remote import ServerAbsentError
from fgvr.labelers.tasks.pictures import encode_pictures
from fgvr.records import ImageRecord
from fgvr.testing.labelers import check_labeler


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return save_images(tmp_path_factory.mktemp("photos"), coloured(40))


@pytest.fixture
def requests(images):
    return [LabelRequest(image, "What is it?") for image in images]


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """Back-off of milliseconds, and no thread left behind."""
    monkeypatch.setattr(pacing, "_FIRST_DELAY", 0.002)
    monkeypatch.setattr(pacing, "_MAX_DELAY", 0.05)
    yield
    assert "fgvr-labelling" not in {thread.name for thread in threading.enumerate()}


def picture(body):
    return body["pictures"][0]


def reply_of(body):
    return {"raw": f"bird {picture(body)[-40:]}", "model": "tiny-1", "usage": {"input_tokens": 9, "output_tokens": 1}}


async def answer(body):
    return TinyAnswer(reply_of(body))


def failing(times, failure):
    """Answers of a server at which every photo fails so often before it succeeds."""
    tries = Counter()

    async def answer(body):
        tries[picture(body)] += 1
        return failure if tries[picture(body)] <= times else TinyAnswer(reply_of(body))

    return answer


def run(labeler, requests, budget=None, **options):
    return [reply for replies in send_all(labeler, requests, budget or Budget(), **options) for reply in replies]


def run_to_error(labeler, requests, budget=None, error=FgvrError, **options):
    """The replies before the error, and the error."""
    replies = []
    session = send_all(labeler, requests, budget or Budget(), **options)

    def listen():
        for some in session:
            replies.extend(some)

    with pytest.raises(error) as raised:
        listen()
    return replies, raised.value


class Saying(TinyRemoteLabeler):
    """Has no server, and replies with these fields."""

    def __init__(self, fields, **options):
        super().__init__("http://127.0.0.1:1", **options)
        self.fields = fields

    async def send(self, client, question):
        return Reply(question.request, **self.fields)


def wait_until(condition):
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.005)


@pytest.mark.parametrize("concurrency", [1, 7, 64])
def test_every_request_has_its_reply(requests, concurrency):
    with TinyServer(answer) as server:
        labeler = TinyRemoteLabeler(server.url, price_usd=0.25, limits=Limits(concurrency=concurrency))
        budget = Budget()
        replies = run(labeler, requests, budget)
    assert {reply.request for reply in replies} == set(requests)
    assert len(replies) == len(requests) == len(server.asked)
    for reply in replies:
        encoded = encode_pictures(reply.request, labeler.task, labeler.pictures)
        assert reply.raw == reply_of({"pictures": [base64.b64encode(encoded[0].data).decode()]})["raw"]
        assert (reply.error, reply.model, reply.cost_usd, reply.attempts) == ("", "tiny-1", 0.25, 1)
        assert reply.seconds > 0
    assert (budget.spent, budget.reserved) == (10.0, 0.0)


def test_the_labeler_keeps_the_contract(images):
    with TinyServer(answer) as server:
        check_labeler(TinyRemoteLabeler(server.url, price_usd=0.1, answers=2), images[:2])


def test_nothing_asked_nothing_opened():
    class Closed(TinyRemoteLabeler):
        def connect(self):
            raise AssertionError

    assert list(send_all(Closed("http://127.0.0.1:1"), [], Budget())) == []


def test_as_many_are_in_flight_as_the_limit_says(requests):
    full = asyncio.Event()

    async def answer(body):
        if server.in_flight == 8:
            full.set()
        await asyncio.wait_for(full.wait(), 10)  # nobody is answered before there are eight
        return TinyAnswer(reply_of(body))

    with TinyServer(answer) as server:
        replies = run(TinyRemoteLabeler(server.url, limits=Limits(concurrency=8)), requests)
    assert len(replies) == len(requests)
    assert server.most_in_flight == 8


def test_a_slot_is_free_when_the_caller_comes_back(requests):
    with TinyServer(answer) as server:
        labeler = TinyRemoteLabeler(server.url, limits=Limits(concurrency=4))
        taken = 0
        for replies in send_all(labeler, requests, Budget()):
            # the caller stores: meanwhile replies come, but only as many as there were slots before this list
            wait_until(lambda at=taken: len(server.answered) == min(at + 4, len(requests)))
            time.sleep(0.01)
            assert len(server.asked) == min(taken + 4, len(requests))
            taken += len(replies)
    assert taken == len(requests)


def test_few_encoded_pictures_are_alive(requests, monkeypatch):
    alive = []

    class Counted(tuple):
        def __new__(cls, pictures):
            alive.append(1)
            return super().__new__(cls, pictures)

        def __del__(self):
            alive.pop()

    monkeypatch.setattr(engine, "encode_pictures", lambda *args: Counted(encode_pictures(*args)))
    most = []

    async def answer(body):
        most.append(len(alive))
        return TinyAnswer(reply_of(body))

    with TinyServer(answer) as server:
        for _ in send_all(TinyRemoteLabeler(server.url, limits=Limits(concurrency=4)), requests, Budget()):
            most.append(len(alive))
            wait_until(lambda: len(alive) <= 5)  # what was sent is not kept while the replies wait for the store
    assert max(most) <= 9
    wait_until(lambda: not alive)  # the thread of the engine may be about to end


def test_one_client_of_one_event_loop(requests):
    class Counting(TinyRemoteLabeler):
        opened = closed = 0

        @asynccontextmanager
        async def connect(self):
            self.opened += 1
            async with super().connect() as client:
                self.client, self.loop = client, asyncio.get_running_loop()
                yield client
            self.closed += 1

        async def send(self, client, question):
            assert client is self.client
            assert asyncio.get_running_loop() is self.loop
            return await super().send(client, question)

    with TinyServer(answer) as server:
        labeler = Counting(server.url)
        run(labeler, requests)
    assert (labeler.opened, labeler.closed) == (1, 1)


@pytest.mark.parametrize("headers", [{}, {"Retry-After": "0.01"}, {"Retry-After": "0"}])
def test_waiting_for_a_busy_server_is_no_attempt(requests, headers):
    async def answer(body):
        if server.in_flight > 3:
            return TinyAnswer("too many", 429, headers)
        await asyncio.sleep(0.002)
        return TinyAnswer(reply_of(body))

    with TinyServer(answer) as server:
        labeler = TinyRemoteLabeler(server.url, price_usd=0.5, limits=Limits(concurrency=16, max_attempts=1))
        budget = Budget()
        replies = run(labeler, requests, budget)
    assert len(replies) == len(requests)
    assert all((reply.error, reply.attempts, reply.cost_usd) == ("", 1, 0.5) for reply in replies)
    assert len(server.asked) > len(requests)
    assert budget.spent == pytest.approx(20.0)


@pytest.mark.parametrize("seconds", ["", "1000"])
def test_a_server_that_stays_busy_ends_the_run(requests, seconds):
    async def answer(body):
        if len(server.answered) < 10:
            return TinyAnswer(reply_of(body))
        return TinyAnswer("slow down", 429, {"Retry-After": seconds} if seconds else {})

    with TinyServer(answer) as server:
        labeler = TinyRemoteLabeler(server.url, limits=Limits(concurrency=2, patience_seconds=0.1))
        replies, error = run_to_error(labeler, requests)
    assert 10 <= len(replies) <= 11
    missing = len(requests) - len(replies)
    assert f"127.0.0.1:{server.url.split(':')[-1]} tiny is busy for more than 0.1 s" in str(error)
    assert f"{missing} of 40 requests are missing" in str(error)


def test_long_waits_are_told(requests, monkeypatch):
    monkeypatch.setattr(engine, "_NOTABLE_SECONDS", 0.01)
    lines = []
    with TinyServer(failing(1, TinyAnswer("slow down", 429, {"Retry-After": "0.02"}))) as server:
        run(TinyRemoteLabeler(server.url), requests[:2], notify=lines.append)
    assert any("429: slow down. Waiting for" in line for line in lines)


def test_a_server_that_was_never_there_is_given_up_soon(requests):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = "http://127.0.0.1:{1}".format(*free.getsockname())
    replies, error = run_to_error(TinyRemoteLabeler(url), requests)
    assert not replies
    assert "no connection to 127.0.0.1" in str(error)
    assert "40 of 40 requests are missing" in str(error)


def test_a_server_that_goes_and_comes_back_is_waited_for(requests):
    class Flaky(TinyRemoteLabeler):
        sent = 0

        async def send(self, client, question):
            self.sent += 1
            if 10 < self.sent < 20:
                raise ServerAbsentError("gone")
            return await super().send(client, question)

    with TinyServer(answer) as server:
        # what did not reach the server does not count as one of the day's requests
        replies = run(Flaky(server.url, limits=Limits(concurrency=4, max_attempts=1)), requests, days=DailyQuota(40))
    assert len(replies) == len(requests)
    assert not any(reply.error for reply in replies)


def test_a_failed_attempt_is_made_again_and_its_cost_is_kept(requests):
    with TinyServer(failing(2, TinyAnswer("no JSON"))) as server:
        labeler = TinyRemoteLabeler(server.url, price_usd=0.5, limits=Limits(concurrency=4, max_attempts=3))
        budget = Budget()
        replies = run(labeler, requests[:8], budget)
    assert [(reply.error, reply.attempts, reply.cost_usd) for reply in replies] == [("", 3, 1.5)] * 8
    assert budget.spent == pytest.approx(12.0)


def test_the_next_attempt_comes_later(requests, monkeypatch):
    waits = []

    def delay(failures):
        waits.append(failures)
        return 0.001

    monkeypatch.setattr(engine, "delay", delay)
    with TinyServer(failing(9, TinyAnswer("oops", 500))) as server:
        run(TinyRemoteLabeler(server.url, limits=Limits(max_attempts=4)), requests[:1])
    assert waits == [1, 2, 3]


def test_a_photo_that_keeps_failing_is_a_failure_and_the_others_are_not(requests):
    bad = []

    async def answer(body):
        if not bad:
            bad.append(picture(body))
        return TinyAnswer("oops", 500) if picture(body) in bad else TinyAnswer(reply_of(body))

    with TinyServer(answer) as server:
        replies = run(TinyRemoteLabeler(server.url, limits=Limits(concurrency=4, max_attempts=4)), requests)
    failed = [reply for reply in replies if reply.error]
    assert [(reply.error, reply.raw, reply.attempts) for reply in failed] == [("500: oops", "", 4)]
    assert len(server.asked) == 39 + 4


def test_attempts_of_earlier_runs_count(requests):
    with TinyServer(failing(9, TinyAnswer("oops", 500))) as server:
        labeler = TinyRemoteLabeler(server.url, limits=Limits(max_attempts=3))
        replies = run(labeler, requests[:4], attempts_before=[0, 1, 2, 5])
    assert {reply.request: reply.attempts for reply in replies} == dict(zip(requests, [3, 2, 1, 1], strict=False))


def test_a_reply_with_an_error_is_not_tried_again(requests):
    replies = run(Saying({"error": "pictures of 8 pixels are not taken"}), requests[:3])
    assert [(reply.error[:8], reply.attempts) for reply in replies] == [("pictures", 1)] * 3


def test_an_outage_does_not_use_up_all_attempts(requests):
    async def answer(body):
        return TinyAnswer(reply_of(body)) if len(server.answered) < 5 else TinyAnswer("oops", 500)

    with TinyServer(answer) as server:
        labeler = TinyRemoteLabeler(server.url, limits=Limits(concurrency=2, max_attempts=100))
        replies, error = run_to_error(labeler, requests)
    assert "10 attempts in a row failed, the last one with: 500: oops" in str(error)
    assert len(server.asked) <= 5 + 12
    failed = [reply for reply in replies if reply.error]
    assert 1 <= len(failed) <= 2  # they were in flight
    assert {reply.attempts for reply in failed} == {1}, "an outage is one attempt, however long it is tried"
    assert f"{40 - len(replies) + len(failed)} of 40" in str(error)


def test_a_reply_that_does_not_come_is_a_failed_attempt_that_may_have_cost_the_most(requests):
    async def answer(body):
        await asyncio.sleep(60)

    with TinyServer(answer) as server:
        limits = Limits(max_attempts=2, timeout_seconds=0.05)
        labeler = TinyRemoteLabeler(server.url, price_usd=0.1, worst_price_usd=0.5, limits=limits)
        budget = Budget()
        [reply] = run(labeler, requests[:1], budget)
    assert reply.error == "no reply within 0.05 s (limits.timeout_seconds)"
    assert (reply.attempts, reply.cost_usd, budget.spent) == (2, 1.0, 1.0)


def test_a_connection_that_breaks_is_a_failed_attempt(requests):
    with TinyServer(failing(1, TinyAnswer(None))) as server:
        replies = run(TinyRemoteLabeler(server.url), requests[:3])
    assert [reply.attempts for reply in replies] == [2, 2, 2]


def test_a_photo_that_cannot_be_read_is_not_sent(requests, tmp_path):
    lost, broken = tmp_path / "lost.jpg", tmp_path / "broken.png"
    broken.write_bytes(requests[0].image.path.read_bytes()[:50])
    bad = [
        LabelRequest(ImageRecord(sample_id=path.name, path=path, split="support", digest=path.name), "?")
        for path in (lost, broken)
    ]
    with TinyServer(answer) as server:
        replies = run(TinyRemoteLabeler(server.url, limits=Limits(concurrency=2)), [*bad, *requests[:3]])
    failed = {reply.request.image.sample_id: reply for reply in replies if reply.error}
    assert set(failed) == {"lost.jpg", "broken.png"}
    assert "the photo cannot be read: no such file" in failed["lost.jpg"].error
    assert all((reply.attempts, reply.cost_usd) == (0, 0.0) for reply in failed.values())
    assert len(server.asked) == 3


def test_a_task_that_says_that_nothing_can_be_asked_ends_the_run(requests, monkeypatch):
    def compose(images):
        raise FgvrError("data.labeler.task has no list to choose from")

    labeler = TinyRemoteLabeler("http://127.0.0.1:1")
    monkeypatch.setattr(labeler.task, "compose", compose)
    replies, error = run_to_error(labeler, requests)
    assert not replies
    assert str(error) == "data.labeler.task has no list to choose from"


def test_limits_of_a_minute_let_everything_through(requests):
    with TinyServer(answer) as server:
        limits = Limits(requests_per_minute=60_000, tokens_per_minute=600_000)
        assert len(run(TinyRemoteLabeler(server.url, limits=limits), requests)) == 40


def test_the_day_s_requests_are_not_passed(requests):
    with TinyServer(answer) as server:
        limits = Limits(concurrency=4, requests_per_day=100, day_starts_in="America/Los_Angeles")
        replies, error = run_to_error(TinyRemoteLabeler(server.url, limits=limits), requests, days=DailyQuota(15))
    assert len(replies) == len(server.asked) == 15
    assert "takes no more requests today" in str(error)
    assert "25 of 40" in str(error)
    assert "after midnight in America/Los_Angeles" in str(error)


def test_attempts_count_as_requests_of_the_day(requests):
    with TinyServer(failing(1, TinyAnswer("oops", 500))) as server:
        days = DailyQuota(9)
        replies, _ = run_to_error(TinyRemoteLabeler(server.url), requests[:8], days=days)
    assert len(server.asked) == 9 == days.drain()[days.today()]
    assert sum(reply.attempts for reply in replies) == 9


def test_a_server_that_says_that_the_day_is_over_is_believed(requests):
    async def answer(body):
        return TinyAnswer(reply_of(body)) if len(server.asked) <= 10 else TinyAnswer("quota", 402)

    with TinyServer(answer) as server:
        replies, error = run_to_error(TinyRemoteLabeler(server.url, limits=Limits(concurrency=4)), requests)
    assert len(replies) == 10
    assert len(server.asked) <= 14
    assert "30 of 40 requests are missing" in str(error)
    assert "midnight in UTC" in str(error)


@pytest.mark.parametrize("seed", range(8))
def test_the_budget_is_a_hard_cap(requests, seed):
    draw = random.Random(seed)
    worst = draw.uniform(0.01, 0.2)
    limit = worst * draw.uniform(3, 30)
    costs = []

    async def answer(body):
        await asyncio.sleep(draw.random() / 200)
        if draw.random() < 0.15:
            costs.append(worst)  # it may have cost so much: nobody knows
            return TinyAnswer(None)
        costs.append(draw.uniform(0, worst))
        return TinyAnswer({**reply_of(body), "cost_usd": costs[-1]})

    with TinyServer(answer) as server:
        labeler = TinyRemoteLabeler(
            server.url, price_usd=None, worst_price_usd=worst, limits=Limits(concurrency=draw.randint(1, 20))
        )
        budget = Budget(limit)
        many = requests * 3
        replies, error = run_to_error(labeler, many, budget)
    assert sum(costs) == pytest.approx(budget.spent) == pytest.approx(sum(reply.cost_usd for reply in replies))
    assert limit - worst - 1e-6 <= budget.spent <= limit + 1e-9  # and it is used as far as it goes
    assert budget.reserved == pytest.approx(0.0, abs=1e-9)
    missing = len(many) - sum(not reply.error for reply in replies)
    assert f"stopped before it passes ${limit}" in str(error)
    assert f"the next request may cost ${worst:.4f}, and {missing} of 120 requests are missing" in str(error)
    assert "the same run again, which may spend data.max_cost_usd dollars" in str(error)


def test_a_budget_that_is_just_enough_is_enough(requests):
    with TinyServer(answer) as server:
        replies = run(TinyRemoteLabeler(server.url, price_usd=0.1), requests[:10], Budget(1.0))
    assert len(replies) == 10


def test_a_budget_too_small_for_one_request_sends_none(requests):
    with TinyServer(answer) as server:
        replies, error = run_to_error(TinyRemoteLabeler(server.url, price_usd=0.1), requests, Budget(0.05))
    assert not replies
    assert not server.asked
    assert "this run spent $0.0000" in str(error)


def test_the_first_reply_under_a_limit_comes_alone_and_says_the_true_price(requests):
    async def answer(body):
        return TinyAnswer({**reply_of(body), "cost_usd": 0.2})

    with TinyServer(answer) as server:
        labeler = TinyRemoteLabeler(server.url, price_usd=0.01, limits=Limits(concurrency=16))
        budget = Budget(1.0)
        replies, error = run_to_error(labeler, requests, budget)
    # at the stated price all forty would have been sent at once
    assert len(replies) == len(server.asked) == 5
    assert budget.spent == pytest.approx(1.0)
    assert "the next request may cost $0.2000" in str(error)


def test_many_replies_of_a_higher_price_in_flight_raise_the_next_price_once(requests):
    together = asyncio.Event()

    async def answer(body):
        if server.in_flight == 16:
            together.set()
        if len(server.asked) > 1:
            await asyncio.wait_for(together.wait(), 10)
        return TinyAnswer({**reply_of(body), "cost_usd": 0.012 if len(server.asked) > 1 else 0.005})

    with TinyServer(answer) as server:
        labeler = TinyRemoteLabeler(server.url, worst_price_usd=0.01, limits=Limits(concurrency=16))
        assert len(run(labeler, requests, Budget(1.0))) == 40


@pytest.mark.parametrize("count", [10**400, 10**12, -(10**9)])
def test_a_token_count_that_makes_no_sense_loses_no_reply_and_no_time(requests, count):
    said = {"raw": "A bird", "usage": {"input_tokens": count, "output_tokens": 1}}
    labeler = Saying(said, limits=Limits(tokens_per_minute=1e9))
    assert [reply.raw for reply in run(labeler, requests)] == ["A bird"] * 40


def test_a_labeler_that_says_that_it_is_free_and_is_not_is_found_out(requests):
    async def answer(body):
        return TinyAnswer({**reply_of(body), "cost_usd": 0.3})

    with TinyServer(answer) as server:
        replies, _ = run_to_error(TinyRemoteLabeler(server.url), requests, Budget(1.0))
    assert len(replies) == len(server.asked) == 3


@pytest.mark.parametrize("cost", [float("nan"), float("inf"), -5.0])
def test_a_cost_that_is_none_does_not_lift_the_cap(requests, cost):
    budget = Budget(1.0)
    replies, _ = run_to_error(Saying({"raw": "A bird", "cost_usd": cost}, price_usd=0.25), requests, budget)
    assert [reply.cost_usd for reply in replies] == [0.25] * 4
    assert budget.spent == 1.0


def test_without_a_price_a_budget_cannot_be_kept(requests):
    with TinyServer(answer) as server:
        labeler = TinyRemoteLabeler(server.url, price_usd=None)
        replies, error = run_to_error(labeler, requests, Budget(1.0))
        assert not replies
        assert not server.asked
        assert "the price of tiny is not known" in str(error)
        assert "data.labeler.price" in str(error)
        assert len(run(labeler, requests)) == 40


def test_a_bad_key_stops_at_once_and_what_was_paid_for_is_kept(requests):
    async def answer(body):
        if len(server.asked) == 6:
            return TinyAnswer("no such key", 401)
        await asyncio.sleep(0.05)
        return TinyAnswer(reply_of(body))

    with TinyServer(answer) as server:
        replies, error = run_to_error(TinyRemoteLabeler(server.url, limits=Limits(concurrency=6)), requests)
    assert "refuses the key: no such key" in str(error)
    assert len(replies) == 5
    assert len(server.asked) == 6


def test_a_key_that_is_missing_stops_before_anything_is_sent(requests):
    class Keyless(TinyRemoteLabeler):
        @asynccontextmanager
        async def connect(self):
            raise FgvrError("SOME_KEY is not set")
            yield

    replies, error = run_to_error(Keyless("http://127.0.0.1:1"), requests)
    assert not replies
    assert str(error) == "SOME_KEY is not set"


@pytest.mark.parametrize("method", ["send", "worst_usd"])
def test_a_defect_of_a_labeler_is_not_hidden(requests, method):
    class Defective(TinyRemoteLabeler):
        sent = 0

        def worst_usd(self, question):
            return self.fail() if method == "worst_usd" else 0.5

        async def send(self, client, question):
            self.sent += 1
            return await super().send(client, question) if self.sent <= 3 else self.fail()

        def fail(self):
            raise ZeroDivisionError("a defect")

    async def answer(body):
        await asyncio.sleep(0.02)
        return TinyAnswer(reply_of(body))

    with TinyServer(answer) as server:
        labeler = Defective(server.url, limits=Limits(concurrency=4))
        replies, error = run_to_error(labeler, requests, error=ZeroDivisionError)
    names = []
    trace = error.__traceback__
    while trace is not None:
        names.append(trace.tb_frame.f_code.co_name)
        trace = trace.tb_next
    assert names[-2:] == [method, "fail"]
    assert sum(not reply.error for reply in replies) == (3 if method == "send" else 0)
    assert sum(reply.cost_usd for reply in replies if reply.error) == (0.5 if method == "send" else 0)


@pytest.mark.usefixtures("interruptible")
def test_the_first_interrupt_waits_for_what_is_paid_for(requests):
    async def answer(body):
        number = len(server.asked)
        await asyncio.sleep(0.02)
        if number == 8:
            os.kill(os.getpid(), signal.SIGINT)
        return TinyAnswer(reply_of(body))

    lines = []
    with TinyServer(answer) as server:
        labeler = TinyRemoteLabeler(server.url, limits=Limits(concurrency=4))
        replies, _ = run_to_error(labeler, requests, error=KeyboardInterrupt, notify=lines.append)
    assert len(replies) == len(server.asked) == len(server.answered)
    assert 8 <= len(replies) < 40
    assert len(lines) <= 1
    assert all("Control-C again" in line for line in lines)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_while_the_caller_stores_does_not_disturb_it(requests):
    stored = []

    def store_all(session):
        for replies in session:
            if not stored:
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(0.01)
            stored.extend(replies)

    with TinyServer(answer) as server:
        labeler = TinyRemoteLabeler(server.url, limits=Limits(concurrency=4))
        with pytest.raises(KeyboardInterrupt):
            store_all(send_all(labeler, requests, Budget()))
    assert len(stored) == len(server.asked) <= 4


@pytest.mark.usefixtures("interruptible")
def test_the_second_interrupt_ends_at_once(requests):
    hanging = threading.Event()

    async def answer(body):
        if len(server.asked) == 1:
            hanging.set()
        await asyncio.sleep(60)

    def interrupt_twice():
        hanging.wait(10)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.1)
        os.kill(os.getpid(), signal.SIGINT)

    with TinyServer(answer) as server:
        thread = threading.Thread(target=interrupt_twice)
        thread.start()
        replies, _ = run_to_error(TinyRemoteLabeler(server.url), requests, error=KeyboardInterrupt)
        thread.join()
    assert not replies


def test_another_thread_than_the_main_one_may_call(requests):
    replies = []
    with TinyServer(answer) as server:
        thread = threading.Thread(target=lambda: replies.extend(run(TinyRemoteLabeler(server.url), requests)))
        thread.start()
        thread.join()
    assert len(replies) == len(requests)


def test_a_caller_that_stops_early_closes_everything(requests):
    with TinyServer(answer) as server:
        labeler = TinyRemoteLabeler(server.url, limits=Limits(concurrency=4))
        with closing(send_all(labeler, requests, Budget())) as session:
            assert next(session)
    assert len(server.asked) <= 4
