"""How many requests a server was sent, by its own days."""

from collections import Counter
from datetime import UTC, datetime
from threading import Lock
from zoneinfo import ZoneInfo


class DailyQuota:
    """Requests that reached a server, counted on the day on which each was sent, and held below a limit.

    The engine asks it before each request; whoever stores replies also stores what it has counted since, and tells it
    what the store knows, other processes' requests included. Thread-safe.

    Args:
        limit: Requests a day; ``None`` for no limit.
        starts_in: Time zone in which the day begins.

    Example:
        >>> days = DailyQuota(1)
        >>> first, second = days.acquire(), days.acquire()
        >>> first == days.today(), second
        (True, None)
        >>> days.release(first)
        >>> days.acquire() == days.today()
        True
    """

    def __init__(self, limit: int | None = None, starts_in: str = "UTC") -> None:
        self.limit = limit
        self._zone = UTC if starts_in == "UTC" else ZoneInfo(starts_in)  # UTC needs no list of time zones
        self._stored: dict[str, int] = {}
        self._counted: Counter[str] = Counter()
        self._lock = Lock()

    def today(self) -> str:
        """The present day where the server is, such as ``"2026-11-21"``."""
        return datetime.now(self._zone).date().isoformat()

    def acquire(self) -> str | None:
        """Count a request that is sent now, and return its day; ``None`` where the day takes no more."""
        day = self.today()
        with self._lock:
            if self.limit is not None and self._stored.get(day, 0) + self._counted[day] >= self.limit:
                return None
            self._counted[day] += 1
            return day

    def release(self, day: str) -> None:
        """Take back a request of ``day`` that did not reach the server."""
        with self._lock:
            self._counted[day] -= 1

    def drain(self) -> dict[str, int]:
        """Day -> requests since the last call, to be added to what is stored; negative where more were given back."""
        with self._lock:
            counted = {day: number for day, number in self._counted.items() if number}
            for day, number in counted.items():
                self._stored[day] = self._stored.get(day, 0) + number
            self._counted.clear()
            return counted

    def sync(self, day: str, requests: int) -> None:
        """Learn how many requests of ``day`` are stored, those of ``drain`` included."""
        with self._lock:
            self._stored[day] = requests
