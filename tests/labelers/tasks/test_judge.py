import json

import pytest

from fgvr.errors import FgvrError
from fgvr.labelers.tasks.judge import JudgeTask
from fgvr.testing.tasks import check_task


@pytest.mark.parametrize("photos", [1, 3])
def test_contract(photos):
    check_task(JudgeTask(photos=photos))


@pytest.mark.parametrize(
    ("raw", "answers"),
    [
        ('{"1": "Pug", "2": " Boxer\\n", "3": "Saluki"}', ("Pug", "Boxer", "Saluki")),
        ('Sure:\n```json\n{"3": "c", "1": "a", "2": "b"}\n```', ("a", "b", "c")),
        ('{"answers": {"1": "a", "2": "b", "3": "c"}}', ("a", "b", "c")),
        ('{"1": "a", "3": "c"}', ("a", "", "c")),
        ('{"1": "a", "2": null, "3": {"name": "c"}}', ("a", "", "")),
        ('{"1": "a", "2": "b", "3": "c", "4": "d"}', ("", "", "")),
        ('{"1": "a", "2": "b", "3": "c", "note": "d"}', ("a", "b", "c")),
        ("Pug, Boxer, Saluki", ("", "", "")),
        ("", ("", "", "")),
    ],
)
def test_answers_about_three_photos(raw, answers):
    assert JudgeTask(photos=3).answers(raw) == answers


@pytest.mark.parametrize(
    ("raw", "answer"),
    [("Pug", "Pug"), (" Pug\n", "Pug"), ('{"1": "Pug"}', "Pug"), ("<think>A dog.</think>\nPug", "Pug"), ("", "")],
)
def test_the_answer_about_one_photo(raw, answer):
    assert JudgeTask().answers(raw) == (answer,)


def test_the_form_of_a_reply_is_held_to_where_a_server_does_so():
    task = JudgeTask(photos=2)
    assert task.schema() is None
    assert task.on_server(True).schema()["required"] == ["1", "2"]
    assert task.on_server(False).schema() is None
    assert JudgeTask().on_server(True).schema() is None
    assert JudgeTask(photos=2, structured=False).on_server(True).schema() is None
    assert json.loads(json.dumps(task.reading())) == {"photos": 2}


def test_no_photos_are_refused():
    with pytest.raises(FgvrError, match="photos is 0"):
        JudgeTask(photos=0)
