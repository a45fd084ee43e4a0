import pytest

from fgvr.labelers.asking.day import DailyQuota


@pytest.fixture
def days(monkeypatch):
    days = DailyQuota(3)
    days.now = "2026-11-21"
    monkeypatch.setattr(days, "today", lambda: days.now)
    return days


def test_the_limit_holds_for_what_is_stored_and_what_is_not_yet(days):
    days.sync("2026-11-21", 1)
    assert [days.acquire(), days.acquire(), days.acquire()] == ["2026-11-21", "2026-11-21", None]
    assert days.drain() == {"2026-11-21": 2}
    assert days.drain() == {}
    assert days.acquire() is None
    days.sync("2026-11-21", 2)
    assert days.acquire() == "2026-11-21"


def test_a_new_day_begins_at_midnight(days):
    assert [days.acquire() for _ in range(4)][2:] == ["2026-11-21", None]
    days.now = "2026-11-22"
    assert days.acquire() == "2026-11-22"
    days.release("2026-11-21")
    assert days.drain() == {"2026-11-21": 2, "2026-11-22": 1}


def test_what_is_given_back_after_it_was_stored_is_taken_off(days):
    days.acquire()
    days.drain()
    days.release("2026-11-21")
    assert days.drain() == {"2026-11-21": -1}
    assert [days.acquire() for _ in range(4)].count(None) == 1


def test_without_a_limit_everything_is_counted():
    days = DailyQuota()
    assert len({days.acquire() for _ in range(100)}) <= 2
    assert sum(days.drain().values()) == 100


def test_days_begin_where_the_server_is():
    zones = [DailyQuota(starts_in=zone).today() for zone in ("Pacific/Kiritimati", "Etc/GMT+12")]
    assert zones[0] > zones[1], "they are 26 hours apart"
