import json

import pytest

from fgvr.errors import FgvrError
from fgvr.labelers.tasks.class_sentences import ClassSentencesTask
from fgvr.testing.tasks import check_task

ODD = [
    "{0} {name}",
    'The "Best" Rose',
    "Anna's Hummingbird",
    "柴犬",
    "Сибирская хаски",
    "a\\b",
    "O\u2019Hara \U0001f600",
    "C++",
]


@pytest.mark.parametrize("name", [*ODD, "House_Finch"])
def test_the_question_is_about_the_name(name):
    task = ClassSentencesTask(name, 3, "bird")
    check_task(task)
    assert json.dumps(name.replace("_", " "), ensure_ascii=False) in task.prompt()
    assert "Write 3 sentences about what this class of bird looks like" in task.prompt()
    stored = ClassSentencesTask.of_stored(task.prompt(), task.schema(), task.reading())
    assert (stored.name, stored.count, stored.domain) == (task.name, 3, "bird")
    assert task.topic() == f"sentences: {task.name}"


@pytest.mark.parametrize("name", ODD)
def test_sentences_with_the_name_are_its_own(name):
    own, other = f"A {name} has a red head.", "A Purple Finch has a red head."
    assert ClassSentencesTask(name).read(json.dumps({"sentences": [other, own]})).names == (own,)


@pytest.mark.parametrize(
    ("sentence", "is_kept"),
    [
        *(("A house finch is brown.", True), ("House Finches are brown.", True), ("The House-Finch is brown.", True)),
        *(("The Warehouse Finch is brown.", False), ("It has a red breast.", False), ("A House Finch.", False)),
        *(("The Finch of the House is brown.", False), ("<b>House</b> <i>Finch</i> with a bill", True)),
    ],
)
def test_a_sentence_without_the_name_is_left_out(sentence, is_kept):
    task = ClassSentencesTask("House Finch")
    raw = json.dumps({"sentences": [sentence]})
    assert (task.read(raw).flag == "") == is_kept
    assert len(task.listed(raw)) == 1


def test_the_first_ones_count():
    said = [f"A Pug has {number} wrinkles." for number in range(9)]
    assert ClassSentencesTask("Pug", 4).read(json.dumps(said)).names == tuple(said[:4])


@pytest.mark.parametrize(
    ("raw", "flag"),
    [("", "empty"), ("I'm sorry, I can't help with the Pug.", "refusal"), ('["A Boxer is big."]', "unparsed")],
)
def test_what_says_nothing_of_the_class(raw, flag):
    assert ClassSentencesTask("Pug").read(raw).flag == flag


def test_longer_lists_may_be_longer_replies():
    assert ClassSentencesTask("Pug", 50).max_output_tokens > ClassSentencesTask("Pug", 5).max_output_tokens
    assert ClassSentencesTask("Pug", 50).typical_output_tokens < ClassSentencesTask("Pug", 50).max_output_tokens


@pytest.mark.parametrize("prompt", ["What is it?", "", " looks like in a photo: ", ' looks like in a photo: "Pug"'])
def test_another_prompt_is_no_question_of_its_own(prompt):
    assert ClassSentencesTask.of_stored(prompt, None, {"count": 3}) is None


@pytest.mark.parametrize("options", [{"count": 0}, {"count": 101}, {"domain": " "}])
def test_bad_options(options):
    with pytest.raises(FgvrError, match=r"count is|domain is"):
        ClassSentencesTask("Pug", **options)
