"""Errors of OpenAI's protocol, as the exceptions that the engine knows."""

from typing import Any

from fgvr.errors import FgvrError
from fgvr.labelers.asking.sender import AttemptFailedError, ServerBusyError
from fgvr.labelers.hosts.hosted import Connection
from fgvr.labelers.hosts.json_values import get_path
from fgvr.labelers.hosts.server_errors import redacted, retry_after

_NO_CREDIT = {"insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "access_terminated"}
_BLOCKED = {"content_filter", "content_policy_violation", "moderation_blocked"}


def raise_for(error: Any, server: str, client: Connection) -> str:
    """Raise what an ``openai.APIStatusError`` means; return only where it is about this request alone.

    Args:
        error: The error.
        server: Who has answered, for the message.
        client: What was asked with.

    Returns:
        Why the server will not answer this request: ``""`` where it finds it wrong.

    Raises:
        ServerBusyError: To be sent again later.
        AttemptFailedError: To be sent again.
        FgvrError: No request can succeed.
    """
    status, code, said = error.status_code, error.code or error.type or "", error_text(error, client.key)
    if status == 402 or code in _NO_CREDIT or error.type in _NO_CREDIT:
        raise FgvrError(
            f"{server} takes no requests without credit ({said}). Add credit to the account, and start the "
            "same run again: every reply is stored."
        ) from None
    if status in (401, 403):
        if not client.key:
            raise FgvrError(
                f"{server} wants a key, and was sent none ({said}). Set data.labeler.api_key_env to the name "
                "of the environment variable that holds it."
            ) from None
        raise FgvrError(
            f"{server} does not accept the key or what it is used for ({said}). Check the environment variable "
            f"{client.key_variable}, and what its project may use."
        ) from None
    if status == 404:
        raise FgvrError(
            f"{server} does not know this model or address ({said}). Set data.labeler.model to another "
            "one, or check data.labeler.base_url."
        ) from None
    if status in (429, 503, 529):
        raise ServerBusyError(said, retry_after(error.response.headers)) from None
    if status >= 500 or status in (408, 409):
        # behind a gateway that gave up waiting, the model may have replied
        raise AttemptFailedError(f"{status}: {said}", cost_usd=None if status in (408, 504) else 0.0) from None
    return code if code in _BLOCKED else ""


def error_text(error: Any, key: str) -> str:
    """What the server says in an ``openai.APIStatusError``, in one short line."""
    return redacted(get_path(error.body, "message") or error.message, key)
