"""Keys for the labelers of OpenAI and Google."""

import pytest
from labelers.hosted import Gemini, OpenAI


@pytest.fixture
def keys(monkeypatch):
    monkeypatch.delenv("GOOGLE_API_KEY", raising=False)
    for host in (OpenAI, Gemini):
        for variable in (host.key_variable, host.usual_variable):
            monkeypatch.setenv(variable, host.key)
