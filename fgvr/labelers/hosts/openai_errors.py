"""Errors of OpenAI's protocol, as the exceptions that the engine knows."""

from typing import TYPE_CHECKING, Any

from fgvr.errors import FgvrError
from fgvr.labelers.hosts.json_values import get
from fgvr.labelers.hosts.server_errors import plain, retry_after
from fgvr.labelers.remote import AttemptFailedError, ServerBusyError

if TYPE_CHECKING:
    from fgvr.labelers.openai import OpenAILabeler

_NO_CREDIT = {"insufficient_quota", "billing_hard_limit_reached", "billing_not_active", "access_terminated"}
_BLOCKED = {"content_filter", "content_policy_violation", "moderation_blocked"}


def raise_for(error: Any, labeler: "OpenAILabeler", key: str) -> str:
    """Raise what an ``openai.APIStatusError`` means; return only where it is about this request alone.

    Returns:
        Why the server will not answer this request: ``""`` where it finds it wrong.

    Raises:
        ServerBusyError: To be sent again later.
        AttemptFailedError: To be sent again.
        FgvrError: No request can succeed.
    """
    status, code, said = error.status_code, error.code or error.type or "", words(error, key)
    if status == 402 or code in _NO_CREDIT or error.type in _NO_CREDIT:
        raise FgvrError(
            f"{labeler.server} takes no requests without credit ({said}). Add credit to the account, and run the same "
            "command again: every reply is stored."
        ) from None
    if status in (401, 403):
        if not key:
            raise FgvrError(
                f"{labeler.server} wants a key, and was sent none ({said}). Name the environment variable that holds "
                "it with --data.labeler.api_key_env."
            ) from None
        raise FgvrError(
            f"{labeler.server} does not accept the key or what it is used for ({said}). Check the environment variable "
            f"{labeler.api_key_env or 'OPENAI_API_KEY'}, and what its project may use."
        ) from None
    if status == 404:
        raise FgvrError(
            f"{labeler.server} does not know this model or address ({said}). Name another one with "
            "--data.labeler.model, or check --data.labeler.base_url."
        ) from None
    if status in (429, 503, 529):
        raise ServerBusyError(said, retry_after(error.response.headers)) from None
    if status >= 500 or status in (408, 409):
        # behind a gateway that gave up waiting, the model may have replied
        raise AttemptFailedError(f"{status}: {said}", cost_usd=None if status in (408, 504) else 0.0) from None
    return code if code in _BLOCKED else ""


def words(error: Any, key: str) -> str:
    """What the server says in an ``openai.APIStatusError``, in one short line."""
    return plain(get(error.body, "message") or error.message, key)
