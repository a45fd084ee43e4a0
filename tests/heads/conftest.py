"""The backbone that the tests of the heads share."""

import pytest

from fgvr.testing.tiny import TinyBackbone


@pytest.fixture(scope="module")
def backbone():
    backbone = TinyBackbone()
    backbone.load()
    return backbone
