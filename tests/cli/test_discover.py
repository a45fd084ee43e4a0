import json
import sqlite3
import sys
from pathlib import Path

import pytest
import yaml
from tiny_run import COLOURS, OPTIONS, SUPPORT

from fgvr.cli import main

# a multimodal LLM that notes what it was asked, and says what is in a file
LABELER = '''
import json
from pathlib import Path

from fgvr.labelers.base import Reply
from fgvr.labelers.model import ModelLabeler
from fgvr.labelers.tasks.pictures import open_pictures
from fgvr.labelers.tasks.base import Task


class TalkingLabeler(ModelLabeler):
    """Says what is in reply.txt.

    Args:
        task: What is asked.
        answers: How many answers are wanted.
        prompt: Other words.
    """

    def __init__(self, task: Task | None = None, answers: int = 1, prompt: str | None = None) -> None:
        super().__init__("talker", task, prompt, answers)

    def ask(self, requests):
        for request in requests:
            pictures = open_pictures(request, self.task, self.pictures)
            names = [image.sample_id for image in request.images]
            with Path("asked.jsonl").open("a") as stream:
                stream.write(json.dumps([request.prompt, names, len(pictures)]) + "\\n")
            said = Path("reply.txt").read_text()
            error = "the server is down" if said == "fail" else ""
            yield Reply(request, raw="" if error else said, error=error, model="talker-1", cost_usd=0.25)

    def estimate_usd(self, requests):
        return 0.25 * len(requests)
'''
OWN = [*OPTIONS]
OWN[OWN.index("--data.labeler") : OWN.index("--data.labeler.path") + 2] = [
    *("--data.labeler", "talking_labeler.TalkingLabeler"),
    *("--data.labeler.task", "name", "--data.labeler.task.style", "expert"),
]


@pytest.fixture
def talker(tiny_run):
    """Sets what the labeler says."""
    Path("talking_labeler.py").write_text(LABELER)
    sys.modules.pop("talking_labeler", None)
    path = [*sys.path]
    Path("reply.txt").write_text('{"super_category": "Birds", "unit": "species"}')
    yield Path("reply.txt").write_text
    sys.path[:] = path
    sys.modules.pop("talking_labeler", None)


def asked():
    return [json.loads(line) for line in Path("asked.jsonl").read_text().splitlines()]


def test_it_prints_what_to_paste(talker, capsys):
    # the task of the configuration cannot be built, because it lacks what is to be found
    assert main(["label", *OWN]) == 2
    assert "`fgvr discover`" in capsys.readouterr().err
    assert main(["discover", *OWN]) == 0
    first, _, in_file, _, on_line = capsys.readouterr().out.splitlines()
    assert first == "bird, by species (3 photos, talker-1, $0.2500)"
    found = {"style": "expert", "category": "bird", "unit": "species"}
    assert yaml.safe_load(in_file) == {"task": {"class_path": "name", "init_args": found}}
    assert on_line.split() == [
        *("--data.labeler.task", "name", "--data.labeler.task.style", "expert"),
        *("--data.labeler.task.category", "bird", "--data.labeler.task.unit", "species"),
    ]
    # and what it prints is taken
    assert main(["label", *OWN, *on_line.split(), "--dry-run"]) == 0
    assert "the exact species of the bird" in capsys.readouterr().out
    assert not Path("runs/run").exists()


def test_photos_are_shown_together_and_drawn_by_their_bytes(talker, capsys):
    support = {f"photos/{number}_{i}.png" for number in range(len(COLOURS)) for i in range(SUPPORT)}
    assert main(["discover", *OWN, "--photos", "5"]) == 0
    assert main(["discover", *OWN, "--photos", "5", "--data.support_seed", "1"]) == 0
    assert main(["discover", *OWN, "--photos", "2"]) == 0
    (_, five, pictures), (_, others, _), (_, two, _) = asked()
    assert len(set(five)) == pictures == 5
    assert set(five) <= support
    assert five != others
    assert two == five[:2]


def test_a_reply_is_paid_for_once(talker, capsys):
    for _ in range(2):
        assert main(["discover", *OWN]) == 0
    assert len(asked()) == 1
    assert "$0.0000" in capsys.readouterr().out.splitlines()[5]
    with sqlite3.connect("runs/labels.sqlite") as database:
        ((raw,),) = database.execute("SELECT raw FROM replies").fetchall()
    assert "Birds" in raw


def test_the_budget_holds(talker, capsys):
    assert main(["discover", *OWN, "--data.max_cost_usd", "0.1"]) == 2
    assert not Path("asked.jsonl").exists()
    assert "$0.1" in capsys.readouterr().err


def test_a_reply_without_an_answer_says_what_to_do(talker, capsys):
    talker("I'm sorry, I can't help with that.\x1b[2J")
    assert main(["discover", *OWN]) == 2
    error = capsys.readouterr().err
    assert "talker did not say what the photos show: \"I'm sorry, I can't help" in error
    assert "--data.support_seed" in error
    assert "\x1b" not in error


def test_a_failure_is_said_and_asked_again(talker, capsys):
    talker("fail")
    assert main(["discover", *OWN]) == 2
    assert "talker did not say what the photos show: the server is down" in capsys.readouterr().err
    talker('{"super_category": "dog", "unit": "breed"}')
    assert main(["discover", *OWN]) == 0
    assert capsys.readouterr().out.startswith("dog, by breed")


def test_words_of_the_model_are_quoted(talker, capsys):
    talker(json.dumps({"super_category": "car; rm -rf $HOME", "unit": "make, 'model': {x}"}))
    assert main(["discover", *OWN]) == 0
    _, _, in_file, _, on_line = capsys.readouterr().out.splitlines()
    assert yaml.safe_load(in_file)["task"]["init_args"]["unit"] == "make, 'model': {x"
    assert "category 'car; rm -rf $home'" in on_line


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (OPTIONS, "RecordedLabeler shows photos to none: choose one that does with --data.labeler"),
        ([*OPTIONS[:4], *OPTIONS[8:]], "no labeler is set: choose one"),
        ([*OWN, "--photos", "0"], "--photos is 0; expected 1 to 16"),
    ],
)
def test_what_cannot_be_asked_is_refused(options, message, talker, capsys):
    assert main(["discover", *options]) == 2
    assert message in capsys.readouterr().err
