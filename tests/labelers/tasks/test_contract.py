import itertools
import socket

import pytest
from PIL import Image

from fgvr.labelers.reading.replies import ParsedReply, parse_reply
from fgvr.labelers.tasks.base import Task
from fgvr.labelers.tasks.name import NameTask
from fgvr.registry import TASKS
from fgvr.testing.tasks import check_task

ARGUMENTS = {"choose": {"options": ["Pug", "Boxer"]}}


@pytest.mark.parametrize("name", TASKS)
def test_every_task_keeps_the_contract(name, monkeypatch):
    monkeypatch.setattr(socket, "socket", None)
    task = TASKS.load(name)(**ARGUMENTS.get(name, {}))
    assert task.registry_name == name
    check_task(task)


class OwnTask(NameTask):
    """A plugin's task, which keeps the contract."""

    registry_name = "own"


class NoName(OwnTask):
    registry_name = "two words"


class NoTokens(OwnTask):
    max_output_tokens = 0


class NoPrompt(OwnTask):
    def prompt(self, hint=None):
        return " \n"


class PromptOfHintsOnly(OwnTask):
    def prompt(self, hint=None):
        return "What is it?" if hint is None else hint.encode()


class ChangingPrompt(OwnTask):
    calls = itertools.count()

    def prompt(self, hint=None):
        return f"Question {next(self.calls)}"


class SchemaOfObjects(OwnTask):
    def schema(self):
        return {"type": object()}


class SchemaOfText(OwnTask):
    def schema(self):
        return {"type": "string"}


class OpenSchema(OwnTask):
    def schema(self):
        inner = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
        properties = {"names": {"type": "array", "items": inner}}
        return {"type": "object", "properties": properties, "required": ["names"], "additionalProperties": False}


class OptionalKey(OwnTask):
    def schema(self):
        properties = {"name": {"type": "string"}, "latin": {"type": "string"}}
        return {"type": "object", "properties": properties, "required": ["name"], "additionalProperties": False}


class Raises(OwnTask):
    def read(self, raw):
        return parse_reply(raw if raw[0] else "")


class NotRead(OwnTask):
    def read(self, raw):
        return raw


class KeepsAll(OwnTask):
    def read(self, raw):
        text = raw.strip()
        return ParsedReply((text,), (None,), "") if text else ParsedReply((), (), "empty")


class NeitherNameNorFlag(OwnTask):
    def read(self, raw):
        return ParsedReply((), (), "")


class OwnFlag(OwnTask):
    def read(self, raw):
        return ParsedReply((), (), "shrug")


class LatinTooFew(OwnTask):
    def read(self, raw):
        return ParsedReply(("Pug",), (), "")


class Paints(OwnTask):
    def compose(self, photos):
        photos[0].paste("green", (0, 0, 5, 5))
        return list(photos)


class Grey(OwnTask):
    def compose(self, photos):
        return [photo.convert("L") for photo in photos]


class Nothing(OwnTask):
    def compose(self, photos):
        return []


class Random(OwnTask):
    def compose(self, photos):
        return [Image.effect_noise((32, 32), 60).convert("RGB")]


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (NoName, "registry_name is 'two words', not a short name"),
        (NoTokens, "max_output_tokens is 0"),
        (NoPrompt, r"prompt\(None\) is empty"),
        (PromptOfHintsOnly, r"prompt\('House Finch'\) is b'House Finch', not a str"),
        (ChangingPrompt, r"prompt\(None\) differs from call to call"),
        (SchemaOfObjects, "schema is not JSON"),
        (SchemaOfText, "schema describes 'string', but servers want an object"),
        (OpenSchema, r"schema\.properties\.names\.items lacks additionalProperties: false"),
        (OptionalKey, r"'properties' and 'required' differ in \['latin'\]"),
        (Raises, "read raised IndexError.* for the reply ''"),
        (NotRead, "read gave '' for the reply ''"),
        (KeepsAll, "holds the control character"),
        (NeitherNameNorFlag, "either names or a flag"),
        (OwnFlag, "the flag 'shrug'"),
        (LatinTooFew, "one scientific name a name"),
        (Paints, "compose"),
        (Grey, "not an RGB picture"),
        (Nothing, r"compose gave \[\]"),
        (Random, "compose makes other pictures of the same photos"),
    ],
)
def test_a_breach_of_the_contract_is_found(kind, message):
    with pytest.raises(AssertionError, match=message):
        check_task(kind())


def test_a_task_of_a_plugin_passes():
    assert issubclass(OwnTask, Task)
    check_task(OwnTask())
