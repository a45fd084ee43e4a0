import json
from pathlib import Path

import pytest

from fgvr.labelers.base import LabelRequest, Reply
from fgvr.labelers.model import ModelLabeler
from fgvr.labelers.tasks.choose import ChooseTask
from fgvr.labelers.tasks.describe_image import DescribeImageTask
from fgvr.labelers.tasks.discover import DiscoverTask
from fgvr.labelers.tasks.name import NameTask
from fgvr.labelers.tasks.names import NamesTask
from fgvr.labelling.store.label_store import LabelStore
from fgvr.labelling.store.parse_stored import gives_names, read_stored
from fgvr.records import ImageRecord


class Asked(ModelLabeler):
    def ask(self, requests):
        raise NotImplementedError


def stored(tmp_path, identity, prompt="What?", **fields):
    request = LabelRequest(ImageRecord("a.jpg", Path("a.jpg"), "support", digest="d"), prompt)
    with LabelStore(tmp_path / "labels.sqlite") as store:
        store.put(identity, Reply(request, **fields))
        return Reply(request, **fields), next(store.rows())


STRUCTURED = json.dumps({"common_name": "Pug", "alternatives": ["Boxer"], "confidence": 0.5})


@pytest.mark.parametrize(
    ("task", "raw"),
    [
        (NameTask(), "The dog is a **Pug**."),
        (NameTask(), STRUCTURED),
        (NameTask(structured=True), STRUCTURED),
        (NameTask(), "I can't tell which breed this is."),
        (NamesTask(k=3), "1. Pug\n2. Boxer"),
        (NamesTask(k=2), "1. Pug\n2. Boxer\n3. Beagle"),
        (ChooseTask([f"Kind {number}" for number in range(1200)]), "It is Kind 1100."),
        (ChooseTask([f"Kind, {number}" for number in range(1200)]), "Beagle"),
        (ChooseTask(["Pug", "Boxer"]), "It is the Boxer of the list."),
        (DescribeImageTask(domain="dog"), "A small dog, on a red sofa."),
        (DiscoverTask(), '{"super_category": "dog", "unit": "breed"}'),
    ],
)
def test_a_reply_is_read_as_its_labeler_reads_it(tmp_path, task, raw):
    labeler = Asked("m", task)
    reply, row = stored(tmp_path, labeler.identity(), labeler.prompt, raw=raw)
    assert read_stored(row) == labeler.read(reply)
    assert gives_names(row) == (task.registry_name in ("name", "names", "choose"))


@pytest.mark.parametrize(
    ("fields", "names", "flag"),
    [
        ({"names": ("Heron, grey",), "raw": "x"}, ("Heron, grey",), ""),
        ({"names": ()}, (), "empty"),
        ({"usage": {"blocked": "SAFETY"}}, (), "refusal"),
        ({"error": "timeout"}, (), "failed"),
    ],
)
def test_what_is_not_parsed(tmp_path, fields, names, flag):
    _, row = stored(tmp_path, {"labeler": "fixed"}, **fields)
    assert (read_stored(row).names, read_stored(row).flag) == (names, flag)
