"""Old names of modules go on working."""

import importlib
import subprocess
import sys
import warnings

import pytest

from fgvr.moved import MOVED


@pytest.fixture(autouse=True)
def forgotten():
    """No old name is imported yet."""
    for old in MOVED:
        sys.modules.pop(old, None)


@pytest.mark.parametrize("old", MOVED)
def test_an_old_name_is_the_new_module(old):
    new = importlib.import_module(MOVED[old])
    # the packages above it may have moved, too, and say so
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        assert importlib.import_module(old) is new
    assert issubclass(warned[-1].category, DeprecationWarning)
    assert f"{old} is {MOVED[old]} now" in str(warned[-1].message)
    assert new.__spec__.name == new.__name__ == MOVED[old]


def test_a_plugin_of_before_is_imported_in_a_fresh_process():
    code = (
        "from fgvr.data.base import ImageDataset; from fgvr.labelers.base import Labeler, LabelRequest, Reply;"
        "from fgvr.labelers.remote import Question, RemoteLabeler, ServerBusyError;"
        "from fgvr.labelers.openai import OpenAILabeler; from fgvr.labelers.pictures import PictureOptions"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
