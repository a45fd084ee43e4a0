import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from tiny.images import coloured, save_images
from tiny.labeler import TinyLabeler
from tiny.remote import TinyRemoteLabeler
from tiny.server import TinyAnswer, TinyServer

from fgvr.errors import FgvrError
from fgvr.labelers.asking import pacing
from fgvr.labelers.asking.day import DailyQuota
from fgvr.labelers.asking.limits import Limits
from fgvr.labelers.base import Reply
from fgvr.labelers.vote import VoteLabeler
from fgvr.labelling.labelling import label
from fgvr.labelling.run_lock import RunLock
from fgvr.labelling.store.label_store import LabelStore


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return save_images(tmp_path_factory.mktemp("photos"), coloured(30))


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(pacing, "_FIRST_DELAY", 0.002)


def all_replies(images):
    return {image.sample_id: "Beagle" for image in images}


async def answer(body):
    return TinyAnswer({"raw": "Pug", "model": "tiny-1"})


def test_two_runs_at_once_pay_for_each_photo_once(images, store, capsys):
    second_waits = threading.Event()

    async def slowly(body):
        await asyncio.to_thread(second_waits.wait, 10)
        return await answer(body)

    def run(some):
        with LabelStore(store.path) as mine:
            return label(TinyRemoteLabeler(server.url, price_usd=0.25), some, mine, progress=False)

    said = []
    with TinyServer(slowly) as server, ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(run, images[:20]), pool.submit(run, images[10:])]
        while "Another run is asking this labeler" not in "".join(said):
            said.append(capsys.readouterr().err)
            second_waits.wait(0.01)
        second_waits.set()
        done = [each.result(20) for each in runs]
    assert len(server.asked) == 30
    assert sorted(each.asked for each in done) == [10, 20]
    rows = list(store.rows())
    assert (len(rows), sum(row.cost_usd for row in rows), {row.attempts for row in rows}) == (30, 7.5, {1})


def test_what_is_stored_is_nobody_s_to_wait_for(images, store):
    labeler = TinyLabeler(all_replies(images))
    label(labeler, images, store, progress=False)
    with RunLock(store, labeler.identity(), pytest.fail).held():
        assert label(labeler, images, store, progress=False).asked == 0


def test_one_labeler_twice_in_a_vote_does_not_wait_for_itself(images, store):
    labeler = TinyLabeler(all_replies(images))
    assert label(VoteLabeler([labeler, labeler]), images, store, progress=False).asked == 30
    assert len(labeler.asked) == 30


def test_a_run_that_fails_lets_the_next_one_ask(images, store):
    with pytest.raises(FgvrError, match="stopped before"):
        label(TinyLabeler(all_replies(images), price_usd=0.5), images, store, max_cost_usd=1.0, progress=False)
    assert label(TinyLabeler(all_replies(images)), images, store, progress=False).asked == 28


class Clock:
    """The day, for all servers."""

    def __init__(self, monkeypatch):
        self.day = "2026-11-21"
        monkeypatch.setattr(DailyQuota, "today", lambda count: self.day)


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


def limited(url, requests_per_day):
    return TinyRemoteLabeler(url, limits=Limits(concurrency=1, requests_per_day=requests_per_day))


def test_requests_count_on_the_day_on_which_they_are_sent(images, store, clock):
    async def midnight_passes(body):
        if len(server.asked) == 3:
            clock.day = "2026-11-22"
        return await answer(body)

    with TinyServer(midnight_passes) as server:
        labeler = limited(server.url, 10)
        label(labeler, images[:8], store, progress=False)
        assert [store.requests_on(labeler.server, f"2026-11-{day}") for day in (21, 22)] == [3, 5]
        with pytest.raises(FgvrError, match="takes no more requests today"):
            label(labeler, images, store, progress=False)
        assert len(server.asked) == 3 + 10
        assert store.requests_on(labeler.server, "2026-11-22") == 10


def test_requests_that_a_busy_server_refused_count_too(images, store, clock):
    async def refuse(body):
        return TinyAnswer("slow down", 429) if len(server.asked) <= 3 else await answer(body)

    with TinyServer(refuse) as server:
        labeler = limited(server.url, 5)
        for stored in (2, 2):
            with pytest.raises(FgvrError, match="takes no more requests today"):
                label(labeler, images, store, progress=False)
            assert len(server.asked) == store.requests_on(labeler.server, clock.day) == 5
            assert len(list(store.rows())) == stored


def test_what_was_sent_in_vain_counts_although_nothing_is_stored(images, store, clock):
    async def refuse(body):
        return TinyAnswer("no such key", 401)

    with TinyServer(refuse) as server:
        labeler = limited(server.url, 5)
        with pytest.raises(FgvrError, match="refuses the key"):
            label(labeler, images, store, progress=False)
        assert store.requests_on(labeler.server, clock.day) == 1


def test_requests_that_another_run_sends_meanwhile_count(images, store, clock):
    async def with_others(body):
        if len(server.asked) == 2:
            with LabelStore(store.path) as other:
                other.put_many({}, [], labeler.server, {clock.day: 5})
        return await answer(body)

    with TinyServer(with_others) as server:
        labeler = limited(server.url, 10)
        with pytest.raises(FgvrError, match="takes no more requests today"):
            label(labeler, images, store, progress=False)
        assert 5 <= len(server.asked) <= 6


@pytest.mark.parametrize("estimate", [None, 0.02])
def test_an_asker_is_asked_for_no_more_than_the_budget_has(images, store, estimate):
    closed = []

    def asker(labeler, requests):
        try:
            for start in range(0, len(requests), 2):
                yield list(labeler.ask(requests[start : start + 2]))
        finally:
            closed.append(1)

    labeler = TinyLabeler(all_replies(images), price_usd=0.125, estimated_price_usd=estimate)
    with pytest.raises(FgvrError, match=r"stopped before it passes \$0\.5.*26 of 30 requests are missing"):
        label(labeler, images, store, max_cost_usd=0.5, progress=False, asker=asker)
    assert len(list(store.rows())) == len(labeler.asked) == 4
    assert closed == [1]
    assert label(labeler, images, store, max_cost_usd=3.25, progress=False, asker=asker).asked == 26


def test_an_asker_that_costs_nothing_needs_no_budget(images, store):
    def asker(labeler, requests):
        return iter([[Reply(request, raw="Pug") for request in requests]])

    assert label(TinyLabeler({}), images, store, max_cost_usd=0.0, progress=False, asker=asker).asked == 30


def test_remote_labelers_are_asked_as_always(images, store):
    with TinyServer(answer) as server:
        assert label(TinyRemoteLabeler(server.url), images, store, progress=False, asker=pytest.fail).asked == 30
