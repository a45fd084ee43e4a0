"""Old names of modules go on working."""

import importlib
import subprocess
import sys

import pytest

from fgvr.moved import MOVED


@pytest.mark.parametrize("old", MOVED)
def test_an_old_name_is_the_new_module(old):
    sys.modules.pop(old, None)
    new = importlib.import_module(MOVED[old])
    with pytest.warns(DeprecationWarning, match=rf"^{old} is {MOVED[old]} now"):
        assert importlib.import_module(old) is new
    assert new.__spec__.name == new.__name__ == MOVED[old]


def test_a_plugin_of_before_is_imported_in_a_fresh_process():
    code = (
        "from fgvr.data.base import ImageDataset; from fgvr.labelers.base import Labeler, LabelRequest, Reply;"
        "from fgvr.labelers.remote import Question, RemoteLabeler, ServerBusyError;"
        "from fgvr.labelers.openai import OpenAILabeler; from fgvr.labelers.pictures import PictureOptions"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
