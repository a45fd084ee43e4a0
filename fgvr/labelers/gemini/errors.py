"""Errors of the Gemini API, as the exceptions that the engine knows."""

import re
from collections.abc import Iterator
from typing import Any

from fgvr.errors import FgvrError
from fgvr.labelers.asking.sender import AttemptFailedError, DayOverError, ServerBusyError
from fgvr.labelers.hosts.hosted import Connection
from fgvr.labelers.hosts.json_values import get_path
from fgvr.labelers.hosts.server_errors import redacted, retry_after

_OPTIONS = re.compile(r"thinking|media.?resolution|schema|seed|temperature|max.?output|mime.?type", re.IGNORECASE)


def raise_for(error: Any, server: str, client: Connection) -> str:
    """Raise what a ``google.genai.errors.APIError`` means; return only where it is about this request alone.

    Args:
        error: The error.
        server: Who has answered, for the message.
        client: What was asked with.

    Returns:
        Why the server finds this request wrong.

    Raises:
        ServerBusyError: To be sent again later.
        DayOverError: No more requests today.
        AttemptFailedError: To be sent again.
        FgvrError: No request can succeed.
    """
    status, said = error.code, redacted(error.message or error.status or error.code, client.key)
    details = list(_details(error.details))
    reasons = {detail.get("reason") for detail in details}
    if status == 429:
        if "credits are depleted" in said:
            raise FgvrError(
                f"{server} takes no requests without credit ({said}). Add credit to the account, and start the "
                "same run again: every reply is stored."
            ) from None
        quotas = [str(get_path(violation, "quotaId") or "") for detail in details for violation in _violations(detail)]
        if any("PerDay" in quota for quota in quotas):
            raise DayOverError(said) from None
        raise ServerBusyError(said, _delay(details, error)) from None
    if status == 503:
        raise ServerBusyError(said, _delay(details, error)) from None
    if status in (401, 403) or "API_KEY_INVALID" in reasons or error.status == "FAILED_PRECONDITION":
        raise FgvrError(
            f"{server} does not accept the key or what it is used for ({said}). Check the environment "
            "variables GOOGLE_API_KEY, which goes first, and GEMINI_API_KEY."
        ) from None
    if status == 404:
        raise FgvrError(f"{server} does not know this model ({said}). Set data.labeler.model to another one.") from None
    if status >= 500 or status in (408, 409, 499):
        # behind a gateway that gave up waiting, the model may have replied
        raise AttemptFailedError(f"{status}: {said}", cost_usd=None if status in (408, 499, 504) else 0.0) from None
    if _OPTIONS.search(said):
        raise FgvrError(
            f"{server} does not take an option: {said} Change it below data.labeler, or leave it out."
        ) from None
    return f"{status}: {said}"


def _details(body: Any) -> Iterator[dict[str, Any]]:
    found = get_path(body, "error", "details") or get_path(body, "details")
    for detail in found if isinstance(found, list) else []:
        if isinstance(detail, dict):
            yield detail


def _violations(detail: dict[str, Any]) -> list[Any]:
    found = detail.get("violations")
    return found if isinstance(found, list) else []


def _delay(details: list[dict[str, Any]], error: Any) -> float | None:
    """Seconds to wait: of the error's RetryInfo, else of the header."""
    for detail in details:
        match = re.fullmatch(r"(\d+(?:\.\d+)?)s", str(detail.get("retryDelay", "")))
        if match:
            return float(match[1])
    return retry_after(getattr(error.response, "headers", None) or {})
