import pytest

from fgvr.labelers.hosts.schemas import honours_schemas


@pytest.mark.parametrize(
    ("host", "model", "honours"),
    [
        ("api.openai.com", "gpt-4o-2024-11-20", True),
        ("eu.api.openai.com", "gpt-4.1-mini", True),
        ("me.openai.azure.com", "gpt-4o", True),
        ("api.openai.com", "ft:gpt-4o-2024-08-06:org::id", True),
        ("generativelanguage.googleapis.com", "gemini-3.8-flash", True),
        ("generativelanguage.googleapis.com", "gemini-flash-latest", True),
        ("api.openai.com", "gpt-4-turbo", False),
        ("api.openai.com", "gpt-4", False),
        ("api.openai.com", "gpt-4o-2024-05-13", False),
        ("generativelanguage.googleapis.com", "gemma-3-27b-it", False),
        ("generativelanguage.googleapis.com", "gemini-2.0-flash", False),
        ("api.deepseek.com", "deepseek-vl", False),
        ("localhost", "llava", None),
        ("openrouter.ai", "openai/gpt-4o", None),
        ("api.openai.com.example.com", "gpt-4o", None),
        ("notapi.openai.com", "gpt-4o", None),
    ],
)
def test_what_is_known(host, model, honours):
    assert honours_schemas(host, model) is honours
