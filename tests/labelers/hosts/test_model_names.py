import pytest

from fgvr.labelers.hosts.model_names import is_same_model


@pytest.mark.parametrize(
    ("asked", "answered", "same"),
    [
        ("gpt-4o", "gpt-4o-2024-11-20", True),
        ("gpt-4o", "gpt-4o-mini", False),
        ("gpt-4o-2024-11-20", "gpt-6-luna", False),
        ("openai/gpt-4o", "gpt-4o-2024-11-20", True),
        ("ft:gpt-4o-2024-08-06:org::id", "ft:gpt-4o-2024-08-06:org::id", True),
        ("gemini-3.8-flash", "models/gemini-3.8-flash-001", True),
        ("gemini-2.5-flash", "models/gemini-2.5-flash-002", True),
        ("gemini-3.8-flash", "gemini-3.8-flash-001", True),
        ("gemini-3.8-flash", "gemini-3.8-flash-preview-09-2026", True),
        ("gemini-3-flash", "gemini-3-flash-preview-09-2025", True),
        ("gemini-2.5-flash", "gemini-3.5-flash-lite", False),
        ("gemini-2.5-flash", "gemini-2.5-flash-lite", False),
        ("gemini-flash-latest", "gemini-3.8-flash", True),
        ("llava", "llava:latest", True),
        ("llava:latest", "llava", True),
        ("llava:latest", "bakllava", False),
        ("llava:7b", "llava:7b", True),
        ("llava:7b", "llava:34b", False),
        ("Qwen/Qwen2-VL", "Qwen2-VL", True),
        ("models/tiny/", "/srv/models/tiny", True),
        ("tiny", "tiny@main", True),
        ("models/tiny", "models/tiny@main", True),
        ("llava-hf/llava-1.5-7b-hf", "llava-hf/llava-1.5-7b-hf@b234b804b114d9e37bb655e11cbbb5f5e971b7a9", True),
        ("", "anything", True),
        ("anything", "", True),
    ],
)
def test_whether_another_model_answers(asked, answered, same):
    assert is_same_model(asked, answered) == same
