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
from fgvr.labelling.store.parse_stored import _task, gives_names, read_stored
from fgvr.records import ImageRecord
from fgvr.registry import TASKS


class Asked(ModelLabeler):
    def ask(self, requests):
        raise NotImplementedError


def stored(tmp_path, identity, prompt="What?", **fields):
    request = LabelRequest(ImageRecord(sample_id="a.jpg", path=Path("a.jpg"), split="support", digest="d"), prompt)
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


def test_a_task_of_a_plugin_reads_its_replies(tmp_path, monkeypatch):
    (tmp_path / "colour_task.py").write_text(
        "from fgvr.reading.replies import ParsedReply\n"
        "from fgvr.labelers.tasks.base import Task\n"
        "class ColourTask(Task):\n"
        "    registry_name = 'colour'\n"
        "    def __init__(self, words=1):\n"
        "        self.words = words\n"
        "    def prompt(self, hint=None):\n"
        "        return 'Which colour?'\n"
        "    def reading(self):\n"
        "        return {'words': self.words}\n"
        "    def read(self, raw):\n"
        "        return ParsedReply((' '.join(raw.split()[-self.words:]),), (None,), '')\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(TASKS._scan(), "colour", "colour_task.ColourTask")
    _task.cache_clear()
    labeler = Asked("m", TASKS.load("colour")(words=2))
    reply, row = stored(tmp_path, labeler.identity(), labeler.prompt, raw="The colour is pale red")
    assert read_stored(row) == labeler.read(reply)
    assert read_stored(row).names == ("pale red",)
    assert gives_names(row)
    _task.cache_clear()


def test_a_task_that_is_not_installed(tmp_path):
    _, row = stored(tmp_path, {"task": "no_such"}, raw="Pug")
    assert read_stored(row).names == ("Pug",)
    assert not gives_names(row)
