"""Errors of the Gemini API, as the exceptions that the engine knows."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from fgvr.errors import FgvrError
from fgvr.labelers.asking.sender import DayOverError
from fgvr.labelers.hosts import error_bodies
from fgvr.labelers.hosts.error_bodies import ServerError, server_error, words_of
from fgvr.labelers.hosts.hosted import Connection
from fgvr.labelers.hosts.json_values import get_path
from fgvr.labelers.hosts.server_errors import retry_after

_OPTIONS = re.compile(r"thinking|media.?resolution|schema|seed|temperature|max.?output|mime.?type", re.IGNORECASE)
_KEY_ADVICE = (
    "does not accept the key or what it is used for ({said}). Check the environment variables GOOGLE_API_KEY, which "
    "goes first, and GEMINI_API_KEY."
)


def error_of(error: Any, client: Connection) -> ServerError:
    """What a ``google.genai.errors.APIError`` says."""
    headers = getattr(error.response, "headers", None) or {}
    return _with_delay(server_error(error.details, error.code, client.key, retry_after(headers)))


def error_inside(content: Any, client: Connection, headers: Mapping[str, str] | None = None) -> ServerError | None:
    """What a body says that came with status 200 and tells of an error; ``None`` for any other body.

    Args:
        content: The body, parsed JSON; untrusted.
        client: What was asked with.
        headers: Those of the response.
    """
    body = content[0] if isinstance(content, list) and len(content) == 1 else content
    replied = get_path(body, "candidates") or get_path(body, "promptFeedback")
    if replied or not (get_path(body, "error") or (isinstance(body, dict) and words_of(body))):
        return None
    return _with_delay(server_error(body, 200, client.key, retry_after(headers or {})))


def raise_for(error: ServerError, server: str) -> str:
    """Raise what an error means; return only where it is about this request alone.

    Args:
        error: The error.
        server: Who has answered, for the message.

    Returns:
        Why the server finds this request wrong.

    Raises:
        ServerBusyError: To be sent again later.
        DayOverError: No more requests today.
        AttemptFailedError: To be sent again.
        FgvrError: No request can succeed.
    """
    details = list(_details(error.body))
    if error.status == 429 and error.kind == "busy":
        quotas = [str(get_path(violation, "quotaId") or "") for detail in details for violation in _violations(detail)]
        if any("PerDay" in quota for quota in quotas):
            raise DayOverError(error.said) from None
    if any(detail.get("reason") == "API_KEY_INVALID" for detail in details) or "FAILED_PRECONDITION" in error.names:
        error = replace(error, status=403)
    error_bodies.raise_for(error, server, _KEY_ADVICE)
    if _OPTIONS.search(error.said):
        raise FgvrError(
            f"{server} does not take an option: {error.said} Change it below data.labeler, or leave it out."
        ) from None
    return f"{error.status}: {error.said}" if error.status else error.said


def _with_delay(error: ServerError) -> ServerError:
    """With the seconds to wait of the error's RetryInfo, which goes before the header."""
    for detail in _details(error.body):
        match = re.fullmatch(r"(\d+(?:\.\d+)?)s", str(detail.get("retryDelay", "")))
        if match:
            return replace(error, retry_after=float(match[1]))
    return error


def _details(body: Any) -> Iterator[dict[str, Any]]:
    found = get_path(body, "error", "details") or get_path(body, "details")
    for detail in found if isinstance(found, list) else []:
        if isinstance(detail, dict):
            yield detail


def _violations(detail: dict[str, Any]) -> list[Any]:
    found = detail.get("violations")
    return found if isinstance(found, list) else []
