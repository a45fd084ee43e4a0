"""What servers and HTTP clients say when something is wrong, as the exceptions that the engine knows."""

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from fgvr.errors import FgvrError
from fgvr.labelers.asking.sender import AttemptFailedError, ServerAbsentError
from fgvr.moved import old_names

_MAX_LENGTH = 300
# keys of several providers, also where a server repeats a part of one: "sk-proj-abc***xyz", "AIzaSy..."
_KEYS = re.compile(r"\b(?:sk-|AIza|gsk_|xai-)[\w*.-]{4,}|(?i:bearer)\s+[^\s\"',}]+")
_PICTURES = re.compile(r"(?:data:image/[\w+;,-]{1,40})?[A-Za-z0-9+/=_-]{80,}")
_HTTP_PACKAGES = {"httpx", "httpx2", "httpcore", "httpcore2", "aiohttp", "anyio", "ssl", "socket", "h11", "h2"}
_NOT_CONNECTED = {"ConnectError", "ConnectTimeout", "ConnectionTimeoutError", "UnsupportedProtocol"}


__getattr__ = old_names(__name__, plain="redacted")


def redacted(message: object, key: str = "") -> str:
    """A server's words in one short line, without keys and pictures that it may repeat.

    Args:
        message: The words; untrusted.
        key: The key that was sent, to be looked for.
    """
    text = str(message)
    if key:
        text = text.replace(key, "[key]")
    text = _PICTURES.sub("[...]", _KEYS.sub("[key]", text))
    text = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return text if len(text) <= _MAX_LENGTH else f"{text[:_MAX_LENGTH]}..."


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that a server asks to wait: ``retry-after-ms``, or ``retry-after`` in seconds or as a date.

    Args:
        headers: Of its response, with names in any letter case.
    """
    lower = {name.lower(): value for name, value in headers.items()}
    for name, scale in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        seconds = _number(lower.get(name, ""))
        if seconds is not None:
            return seconds * scale
    try:
        moment = parsedate_to_datetime(lower.get("retry-after", ""))
    except ValueError:
        return None
    # a date without a zone is of Greenwich: RFC 9110, section 5.6.7
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())


def transport_failure(error: BaseException) -> Exception | None:
    """What an HTTP client's exception means to the engine; ``None`` for one that is none of the transport's.

    A request that may have reached the server may have been billed, so its cost is unknown.
    """
    causes: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and len(causes) < 10:
        causes.append(cause)
        cause = cause.__cause__ or cause.__context__
    for cause in causes:
        if isinstance(cause, FgvrError | AttemptFailedError):  # of ``http_client``, which an SDK has wrapped
            return cause
    ours = [cause for cause in causes if _is_transport(cause)]
    if not ours:
        return None
    names = {kind.__name__ for cause in ours for kind in type(cause).__mro__}
    if names & _NOT_CONNECTED or any(name.startswith("ClientConnector") for name in names):
        return ServerAbsentError("there is no connection to the server")
    if any("Timeout" in name for name in names):
        return AttemptFailedError("no reply in time", cost_usd=None)
    return AttemptFailedError(f"the connection broke ({type(ours[0]).__name__})", cost_usd=None)


def _is_transport(error: BaseException) -> bool:
    return type(error).__module__.split(".")[0] in _HTTP_PACKAGES or isinstance(error, OSError)


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None
