import math
import random

import pytest

from fgvr.errors import FgvrError
from fgvr.labelers.asking.limits import Limits
from fgvr.labelers.asking.pacing import Pacing, delay


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("concurrency", 0),
        ("max_attempts", 0),
        ("requests_per_minute", 0),
        ("tokens_per_minute", -1.0),
        ("tokens_per_minute", math.nan),
        ("requests_per_day", 0),
        ("timeout_seconds", 0),
        ("patience_seconds", math.nan),
        ("max_reply_mb", 0),
        ("max_batch_file_mb", math.inf),
        ("day_starts_in", "Atlantis"),
        ("day_starts_in", "../etc"),
    ],
)
def test_a_limit_out_of_range_is_refused(name, value):
    with pytest.raises(FgvrError, match=rf"limits\.{name} is .*expected"):
        Limits(**{name: value})


def test_a_server_s_day_may_begin_anywhere():
    assert Limits(day_starts_in="America/Los_Angeles").day_starts_in == "America/Los_Angeles"


def simulate(pacing, seconds, tokens=None, wake_up_late=0.0):
    """Sends whenever it may, for so long, and returns the times; replies come at once, with so many tokens."""
    now, times = 0.0, []
    while now < seconds:
        wait = pacing.wait(now)
        if wait > 0:
            now += wait + wake_up_late * random.random()
            continue
        times.append(now)
        sent = pacing.send(now)
        pacing.end()
        pacing.succeed(sent, None if tokens is None else {"input_tokens": tokens - 5, "output_tokens": 5})
    return times


def most_in(times, seconds):
    return max(sum(start <= time < start + seconds for time in times) for start in times)


@pytest.mark.parametrize("late", [0.0, 0.01])
def test_requests_are_spread_over_the_minute(late):
    times = simulate(Pacing(Limits(requests_per_minute=120)), 300, wake_up_late=late)
    assert 595 <= len(times) <= 601
    assert most_in(times, 60) <= 121
    assert most_in(times, 0.9) <= 2


def test_tokens_are_spread_over_the_minute_as_they_turn_out():
    pacing = Pacing(Limits(tokens_per_minute=60_000))
    times = simulate(pacing, 300, tokens=500)  # a third of what is guessed at first
    assert 590 <= len(times) <= 602
    assert most_in(times, 60) <= 121


def test_a_request_of_more_tokens_than_a_minute_has_waits_its_minutes():
    times = simulate(Pacing(Limits(tokens_per_minute=1000)), 1000, tokens=3000)
    assert len(times) == pytest.approx(1000 / 180, abs=1)


def test_the_window_halves_once_for_a_crowd_and_grows_back_by_successes():
    pacing = Pacing(Limits(concurrency=16))
    crowd = [pacing.send(0.0) for _ in range(16)]
    assert pacing.wait(0.0) == math.inf
    for sent in crowd:
        assert pacing.slow_down(1.0, sent, retry_after=20.0) >= 20.0
        pacing.end()
    assert pacing.window == 8
    assert pacing.setbacks == 1
    assert 20 <= pacing.wait(1.0) <= 22
    assert pacing.wait(23.0) == 0
    for _ in range(8):
        pacing.succeed(pacing.send(23.0), None)
        pacing.end()
    assert pacing.window == 8
    pacing.succeed(pacing.send(24.0), None)
    assert pacing.window == 9
    for _ in range(1000):
        pacing.succeed(crowd[0], None)
    assert pacing.window == 16


def test_without_a_hint_the_wait_grows():
    pacing = Pacing(Limits(concurrency=4))
    now, waits = 0.0, []
    for _ in range(9):
        sent = pacing.send(now)
        waits.append(pacing.slow_down(now, sent, retry_after=random.choice([None, 0.0, -1.0, math.nan])))
        pacing.end()
        now += waits[-1]
    for wait, expected in zip(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60], strict=True):
        assert 0.75 * expected <= wait <= expected
    assert pacing.window == 1
    pacing.succeed(sent, None)
    assert pacing.slow_down(now, pacing.send(now)) <= 1.0


def test_patience_ends():
    pacing = Pacing(Limits(patience_seconds=100))
    sent = pacing.send(0.0)
    assert pacing.slow_down(0.0, sent, retry_after=101.0) is None
    assert pacing.slow_down(0.0, sent, retry_after=60.0) is not None
    assert pacing.slow_down(90.0, pacing.send(90.0)) <= 10.0
    assert pacing.slow_down(100.0, pacing.send(100.0)) is None
    pacing.succeed(sent, None)
    assert pacing.slow_down(100.0, pacing.send(100.0)) is not None


def test_a_cautious_start_sends_one_request_at_a_time():
    pacing = Pacing(Limits(concurrency=4), cautious=True)
    sent = pacing.send(0.0)
    assert pacing.wait(0.0) == math.inf
    pacing.end()
    assert pacing.wait(0.0) == 0
    pacing.succeed(sent, None)
    assert pacing.window == 4


@pytest.mark.parametrize("usage", [None, {}, {"input_tokens": None}, {"input_tokens": "many"}, {"tokens": [1]}])
def test_usage_may_be_anything(usage):
    pacing = Pacing(Limits(tokens_per_minute=1000))
    pacing.succeed(pacing.send(0.0), usage)
    assert pacing.wait(0.0) > 0


def test_no_delay_is_longer_than_a_minute():
    assert max(delay(failures) for failures in range(1, 2000)) <= 60
