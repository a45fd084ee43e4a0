"""Errors of OpenAI's protocol, as the exceptions that the engine knows."""

import re
from typing import Any

from fgvr.labelers.hosts import error_bodies
from fgvr.labelers.hosts.error_bodies import ServerError, server_error, words_of
from fgvr.labelers.hosts.hosted import Connection
from fgvr.labelers.hosts.json_values import first_item, get_path, get_text
from fgvr.labelers.hosts.server_errors import retry_after
from fgvr.labelers.hosts.stop_reasons import ending_of

_BLOCKED = {"content_filter", "content_policy_violation", "moderation_blocked"}
_MODERATED = re.compile(r"moderation|flagged", re.IGNORECASE)


def error_of(error: Any, client: Connection) -> ServerError:
    """What an ``openai.APIStatusError`` says: the SDK leaves out the words of bodies that are not like OpenAI's."""
    response = error.response
    try:
        body = response.text
    except Exception:  # of a download that broke off, of which the SDK has what it has read
        body = error.body
    return server_error(body, error.status_code, client.key, retry_after(response.headers))


def error_inside(content: Any, key: str, seconds: float | None = None) -> ServerError | None:
    """What a body says that came with status 200 and tells of an error; ``None`` where it holds a reply or nothing.

    Args:
        content: The body, parsed JSON; untrusted.
        key: The key that was sent.
        seconds: How long the headers ask to wait.
    """
    choice = first_item(get_path(content, "choices"))
    reason, message = get_text(choice, "finish_reason"), get_path(choice, "message")
    if own := get_path(choice, "error") or get_path(message, "error"):
        return server_error({"error": own}, 200, key, seconds)
    ended = message and reason is not None and ending_of(reason) != "broken"
    speaks = choice is None and isinstance(content, dict | list) and words_of(content)
    if speaks or (get_path(content, "error") and not ended):
        return server_error(content, 200, key, seconds)
    if reason == "error":
        native = get_text(choice, "native_finish_reason")
        return server_error(
            f"the server ended the reply with an error ({native or 'no reason given'})", 200, key, seconds
        )
    return None


def raise_for(error: ServerError, server: str, client: Connection) -> str:
    """Raise what an error means; return only where it is about this request alone.

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
    if blocked := next((name for name in error.names if name in _BLOCKED), ""):
        return blocked
    if error.status == 403 and _MODERATED.search(error.said):
        return "moderation"
    if client.key:
        advice = (
            "does not accept the key or what it is used for ({said}). Check the environment variable "
            f"{client.key_variable}, and what its project may use."
        )
    else:
        advice = (
            "wants a key, and was sent none ({said}). Set data.labeler.api_key_env to the name of the environment "
            "variable that holds it."
        )
    error_bodies.raise_for(error, server, advice)
    return ""
