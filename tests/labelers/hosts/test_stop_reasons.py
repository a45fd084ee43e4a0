import pytest

from fgvr.labelers.hosts.stop_reasons import ending_of


@pytest.mark.parametrize(
    ("reasons", "ending"),
    [
        ((None, "", "stop", "STOP", "eos", "eos_token", "stop_sequence", "end_turn", "tool_calls"), "complete"),
        (("length", "max_tokens", "MAX_TOKENS", "max-tokens", "model_length", " Length ", "CONTINUATION"), "cut"),
        (("content_filter", "content-filter", "SAFETY", "RECITATION", "sensitive", "guardrail_intervened"), "blocked"),
        (("error", "network_error", "MALFORMED_FUNCTION_CALL", "OTHER", "abort", "cancelled", "x" * 200), "broken"),
    ],
)
def test_how_a_reply_ended(reasons, ending):
    assert {ending_of(reason) for reason in reasons} == {ending}
