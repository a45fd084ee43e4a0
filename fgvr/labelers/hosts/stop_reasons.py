"""Why a reply ended, in the words of many servers."""

from typing import Literal

Ending = Literal["complete", "cut", "blocked", "broken"]

_COMPLETE = {
    "stop", "tool_calls", "tool_call", "tool_use", "function_call", "eos", "eos_token", "stop_sequence", "stop_token",
    "end_turn", "end", "complete", "completed", "done", "finish", "finished", "normal", "success",
    # these say nothing
    "", "null", "none", "unknown", "finish_reason_unspecified",
}  # fmt: skip
_CUT = {
    "length", "max_tokens", "max_output_tokens", "max_new_tokens", "max_length", "model_length", "token_limit",
    "context_length", "model_context_window_exceeded", "incomplete", "continuation",
}  # fmt: skip
_BLOCKED = {
    "content_filter", "content_filtered", "guardrail_intervened", "sensitive", "moderation", "error_toxic", "refusal",
    # Gemini's
    "safety", "recitation", "language", "blocklist", "prohibited_content", "spii", "image_safety",
    "image_prohibited_content", "image_recitation", "escalation", "model_armor",
}  # fmt: skip


def ending_of(reason: str | None) -> Ending:
    """How a reply ended.

    Args:
        reason: As the server gives it; ``None`` where it gives none, which is taken for the normal end.

    Returns:
        ``"complete"``; ``"cut"`` at a limit of tokens; ``"blocked"`` by a filter; ``"broken"`` for any other reason.

    Example:
        >>> ending_of("stop"), ending_of("MAX_TOKENS"), ending_of("content-filter"), ending_of("network_error")
        ('complete', 'cut', 'blocked', 'broken')
    """
    name = (reason or "").strip().casefold().replace("-", "_").replace(" ", "_")
    if name in _COMPLETE:
        return "complete"
    if name in _CUT:
        return "cut"
    return "blocked" if name in _BLOCKED else "broken"
