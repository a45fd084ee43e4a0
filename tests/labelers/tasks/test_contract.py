import itertools
import socket

import pytest
from PIL import Image

from fgvr.labelers.tasks.base import Task
from fgvr.labelers.tasks.choose import ChooseTask
from fgvr.labelers.tasks.describe_group import DescribeGroupTask
from fgvr.labelers.tasks.describe_image import DescribeImageTask
from fgvr.labelers.tasks.name import NameTask
from fgvr.labelers.tasks.names import NamesTask
from fgvr.reading.replies import ParsedReply, parse_reply
from fgvr.registry import TASKS
from fgvr.testing.tasks import check_task

ARGUMENTS = {"choose": {"options": ["Pug", "Boxer"]}}


@pytest.mark.parametrize("name", TASKS)
def test_every_task_keeps_the_contract(name, monkeypatch):
    monkeypatch.setattr(socket, "socket", None)
    task = TASKS.load(name)(**ARGUMENTS.get(name, {}))
    assert task.registry_name == name
    check_task(task)


@pytest.mark.parametrize(
    "task",
    [
        ChooseTask(["Tern", "Royal Tern", "Elegant Tern", "Anna's Hummingbird", "Wood-Pewee", "Plant Hunter"]),
        DescribeGroupTask("flower"),
        DescribeImageTask("flower", with_hint=True),
        NameTask(structured=True),
        NameTask().on_server(True),
        NamesTask(3, "bird").on_server(True),
        NameTask("expert", "bird"),
        NameTask("expert", "car", "make, model and year", structured=True),
        NamesTask(10, structured=True),
        NamesTask(2, "bird", "species"),
        NamesTask(2, "bird", None, True),
    ],
)
def test_tasks_with_options_keep_the_contract(task):
    check_task(task)


class OwnTask(NameTask):
    """A plugin's task, which keeps the contract."""

    registry_name = "own"


def schema(properties, required):
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


TEXT = {"type": "string"}
CALLS = itertools.count()
OPEN = {"type": "object", "properties": {"name": TEXT}, "required": ["name"]}


def keeps_all(self, raw):
    text = raw.strip()
    return ParsedReply((text,), (None,), "") if text else ParsedReply((), (), "empty")


def paints(self, images):
    images[0].paste("green", (0, 0, 5, 5))
    return list(images)


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"registry_name": "two words"}, "registry_name is 'two words', not a short name"),
        ({"max_output_tokens": 0}, "max_output_tokens is 0"),
        ({"prompt": lambda self, hint=None: " \n"}, r"prompt\(None\) is empty"),
        (
            {"prompt": lambda self, hint=None: "What is it?" if hint is None else hint.encode()},
            r"prompt\('House Finch'\) is b'House Finch', not a str",
        ),
        (
            {"prompt": lambda self, hint=None: f"Question {next(CALLS)}"},
            r"prompt\(None\) differs from call to call",
        ),
        ({"schema": lambda self: {"type": object()}}, "schema is not JSON"),
        ({"schema": lambda self: TEXT}, "schema describes 'string', but servers want an object"),
        (
            {"schema": lambda self: schema({"names": {"type": "array", "items": OPEN}}, ["names"])},
            r"schema\.properties\.names\.items lacks additionalProperties: false",
        ),
        (
            {"schema": lambda self: schema({"name": TEXT, "latin": TEXT}, ["name"])},
            r"'properties' and 'required' differ in \['latin'\]",
        ),
        (
            {"read": lambda self, raw: parse_reply(raw if raw[0] else "")},
            "read raised IndexError.* for the reply ''",
        ),
        ({"read": lambda self, raw: raw}, "read gave '' for the reply ''"),
        ({"read": keeps_all}, "holds the control character"),
        ({"read": lambda self, raw: ParsedReply((), (), "")}, "either names or a flag"),
        ({"read": lambda self, raw: ParsedReply((), (), "shrug")}, "the flag 'shrug'"),
        ({"read": lambda self, raw: ParsedReply(("Pug",), (), "")}, "one scientific name a name"),
        ({"compose": paints}, "compose"),
        ({"compose": lambda self, images: [image.convert("L") for image in images]}, "not an RGB picture"),
        ({"compose": lambda self, images: []}, r"compose gave \[\]"),
        (
            {"compose": lambda self, images: [Image.effect_noise((32, 32), 60).convert("RGB")]},
            "compose makes other pictures of the same photos",
        ),
    ],
)
def test_a_breach_of_the_contract_is_found(members, message):
    broken = type("Broken", (OwnTask,), members)
    with pytest.raises(AssertionError, match=message):
        check_task(broken())


def test_a_task_of_a_plugin_passes():
    assert issubclass(OwnTask, Task)
    check_task(OwnTask())
