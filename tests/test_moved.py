"""Old names of modules go on working."""

import importlib
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch

from fgvr.candidates import base as candidates
from fgvr.data.batches import Batch
from fgvr.labelers.hosts import server_errors
from fgvr.losses.base import PartialLabels
from fgvr.moved import MOVED
from fgvr.records import CandidateSets, ImageRecord, LabelRequest


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


@pytest.mark.parametrize(
    ("made", "new"),
    [
        (LabelRequest(ImageRecord(sample_id="a.jpg", path=Path("a.jpg"), split="support"), "What is it?", 2), "answer"),
        (PartialLabels.from_sets(CandidateSets.from_lists(["a.jpg"], [[0]])), "rows"),
        (Batch(torch.zeros(1, 2), torch.zeros(1, dtype=torch.int64)), "rows"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_plugin_reads_the_attribute_of_before(made, new):
    with pytest.warns(DeprecationWarning, match=f"sample_index is {new} now"):
        assert made.sample_index is getattr(made, new)


def test_a_plugin_of_before_is_imported_in_a_fresh_process():
    code = (
        "from fgvr.data.base import ImageDataset; from fgvr.labelers.base import Labeler, LabelRequest, Reply;"
        "from fgvr.labelers.remote import Question, RemoteLabeler, ServerBusyError;"
        "from fgvr.labelers.openai import OpenAILabeler; from fgvr.labelers.pictures import PictureOptions;"
        "from fgvr.data.photos import Photos, read_photos; from fgvr.data.labels import PhotoLabels;"
        "from fgvr.data.standard import Facts, StandardDataset; from fgvr.data.split_file import ListedPhoto;"
        "from fgvr.data.class_names import stated_vocabulary; from fgvr.metrics.protocol import ruler"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("module", "old", "new"), [(candidates, "NamedPhotos", "NamedImages"), (server_errors, "plain", "redacted")]
)
def test_a_plugin_of_before_finds_what_it_imports(module, old, new):
    with pytest.warns(DeprecationWarning, match=f"{old} is {new} now"):
        assert getattr(module, old) is getattr(module, new)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        module.nothing  # noqa: B018
