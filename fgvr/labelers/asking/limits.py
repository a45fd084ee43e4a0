"""How fast a server may be asked."""

from dataclasses import dataclass
from zoneinfo import ZoneInfo

from fgvr.errors import FgvrError

_MEGABYTE = 1_000_000
_MOST_MB = 100_000


@dataclass(frozen=True)
class Limits:
    """How fast and how persistently a server is asked; no reply depends on it.

    Args:
        concurrency: Requests in flight at most. Fewer for a while after the server says that they are too many.
        requests_per_minute: Of the account; no limit if not given.
        tokens_per_minute: Of the account, input and output; estimated before a request, counted after it.
        requests_per_day: Of the account. Labelling stops cleanly before it is passed and goes on when the same run
            is started the next day.
        day_starts_in: Time zone in which the server's day begins, such as ``America/Los_Angeles`` for Gemini.
        max_attempts: Times a photo is asked at most, over all runs. Waiting for a busy server is no attempt.
        timeout_seconds: For one reply.
        patience_seconds: Labelling stops when a busy or absent server has given no reply for so long.
        max_reply_mb: Longest reply in megabytes, unpacked. A longer one fails, and counts as paid for.
        max_batch_file_mb: The same for a file with the replies of a batch. Providers take up to 2 GB in one file.

    Raises:
        FgvrError: A value is out of range.
    """

    concurrency: int = 16
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    requests_per_day: int | None = None
    day_starts_in: str = "UTC"
    max_attempts: int = 5
    timeout_seconds: float = 120.0
    patience_seconds: float = 600.0
    max_reply_mb: float = 4.0
    max_batch_file_mb: float = 2000.0

    def __post_init__(self) -> None:
        for name in ("concurrency", "max_attempts"):
            if getattr(self, name) < 1:
                raise FgvrError(f"limits.{name} is {getattr(self, name)}; expected 1 or more.")
        for name in ("requests_per_minute", "tokens_per_minute", "requests_per_day"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise FgvrError(f"limits.{name} is {value}; expected more than 0, or null for no limit.")
        for name in ("timeout_seconds", "patience_seconds"):
            if not getattr(self, name) > 0:
                raise FgvrError(f"limits.{name} is {getattr(self, name)}; expected more than 0.")
        for name in ("max_reply_mb", "max_batch_file_mb"):
            if not 0 < getattr(self, name) <= _MOST_MB:
                raise FgvrError(f"limits.{name} is {getattr(self, name)}; expected more than 0, at most {_MOST_MB:,}.")
        try:
            if self.day_starts_in != "UTC":  # known even where the system has no time zones
                ZoneInfo(self.day_starts_in)
        except (KeyError, ValueError, OSError) as error:
            raise FgvrError(
                f"limits.day_starts_in is {self.day_starts_in!r}; expected a time zone such as America/Los_Angeles. "
                "Systems without a list of them need: pip install tzdata"
            ) from error

    @property
    def reply_bytes(self) -> int:
        """``max_reply_mb`` in bytes."""
        return max(1, round(self.max_reply_mb * _MEGABYTE))

    @property
    def batch_file_bytes(self) -> int:
        """``max_batch_file_mb`` in bytes."""
        return max(1, round(self.max_batch_file_mb * _MEGABYTE))
