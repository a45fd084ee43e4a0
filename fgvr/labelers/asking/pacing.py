"""When the next request may be sent: what the account allows, and what the server takes."""

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fgvr.labelers.asking.limits import Limits

_FIRST_DELAY = 1.0
_MAX_DELAY = 60.0
_GUESSED_TOKENS = 1500.0  # a photo of 1024 pixels and a sentence, before the first reply says what is true
_MAX_TOKENS = 10**7  # a server that counts more is not believed
_LATE = 0.05  # what a late wake-up may catch up with, in seconds


def delay(failures: int) -> float:
    """Seconds to wait after so many failures in a row: about 1, 2, 4, ... 60, never the same for two."""
    longest = min(_MAX_DELAY, _FIRST_DELAY * 2.0 ** min(failures - 1, 30))
    return longest * random.uniform(0.75, 1.0)


@dataclass(frozen=True, slots=True)
class Sent:
    """A request in flight.

    Attributes:
        at: When it was sent.
        tokens: How many tokens it was expected to take.
    """

    at: float
    tokens: float


class Pacing:
    """Decides when a request may be sent.

    How many may be in flight follows the server: halved when it is busy, one more again after as many successes as are
    in flight (additive increase, multiplicative decrease, as in TCP). Requests and tokens per minute are spread evenly
    over the minute. It looks at no clock: every method is told the time, in seconds.

    Args:
        limits: What the account allows.
        cautious: Send one request at a time until the first has succeeded.

    Attributes:
        in_flight: Requests that were sent and have not ended.
        setbacks: How often in a row the server was busy or absent; requests that were in flight together count once.
    """

    def __init__(self, limits: Limits, cautious: bool = False) -> None:
        self.limits = limits
        self.in_flight = 0
        self.setbacks = 0
        self._cautious = cautious
        self._window = 1.0 if cautious else float(limits.concurrency)
        self._paused_until = self._next_request = self._next_tokens = self._slowed_at = -math.inf
        self._waiting_since: float | None = None
        self._tokens = self._counted = 0

    @property
    def window(self) -> int:
        """Requests that may be in flight now."""
        return int(self._window)

    def wait(self, now: float) -> float:
        """Seconds until the next request may be sent; infinite where one in flight must end first."""
        if self.in_flight >= self.window:
            return math.inf
        return max(0.0, max(self._paused_until, self._next_request, self._next_tokens) - now)

    def send(self, now: float) -> Sent:
        """Count a request that is sent now."""
        self.in_flight += 1
        tokens = self._tokens / self._counted if self._counted else _GUESSED_TOKENS
        if self.limits.requests_per_minute:
            self._next_request = max(self._next_request, now - _LATE) + 60 / self.limits.requests_per_minute
        if self.limits.tokens_per_minute:
            self._next_tokens = max(self._next_tokens, now - _LATE) + tokens * 60 / self.limits.tokens_per_minute
        return Sent(now, tokens)

    def end(self) -> None:
        """Count a request that has ended, however it did."""
        self.in_flight -= 1

    def succeed(self, sent: Sent, usage: Mapping[str, Any] | None) -> None:
        """Learn from a reply: the server takes what it gets, and ``usage`` says how many tokens that is.

        Args:
            sent: The request.
            usage: Of its reply; ``input_tokens`` and ``output_tokens`` are read where they are there.
        """
        self.setbacks = 0
        self._waiting_since = None
        if self._cautious:
            self._cautious = False
            self._window = float(self.limits.concurrency)
        self._window = min(float(self.limits.concurrency), self._window + 1 / self._window)
        counts = [(usage or {}).get(key) for key in ("input_tokens", "output_tokens")]
        known = [count for count in counts if isinstance(count, int) and 0 <= count <= _MAX_TOKENS]
        if known:
            self._tokens += sum(known)
            self._counted += 1
            if self.limits.tokens_per_minute:
                self._next_tokens += (sum(known) - sent.tokens) * 60 / self.limits.tokens_per_minute

    def slow_down(self, now: float, sent: Sent, retry_after: float | None = None) -> float | None:
        """Learn that the server was busy or absent.

        Args:
            now: The time.
            sent: The request, still counted as in flight.
            retry_after: Seconds that the server asks to wait; without it the wait grows from time to time.

        Returns:
            Seconds until it is asked again, or ``None`` where ``limits.patience_seconds`` would be passed.
        """
        if self._waiting_since is None:
            self._waiting_since = now
        patience = self._waiting_since + self.limits.patience_seconds - now
        wanted = retry_after if retry_after and 0 < retry_after < math.inf else 0.0
        if patience <= 0 or wanted > patience:
            return None
        if sent.at >= self._slowed_at:  # what was sent before belongs to the crowd that was too much already
            self._slowed_at = now
            self.setbacks += 1
            self._window = max(1.0, min(self._window, self.in_flight) / 2)
            wanted = wanted * random.uniform(1.0, 1.1) if wanted else delay(self.setbacks)
        self._paused_until = max(self._paused_until, now + min(wanted, patience))
        return self._paused_until - now
