import json

import pytest

from fgvr.errors import FgvrError
from fgvr.labelers.tasks.attributes import AttributesTask
from fgvr.testing.tasks import check_task

LIST = ("bill shape", "wing color", "markings (e.g. spots, stripes)")


@pytest.mark.parametrize(
    "raw",
    [
        json.dumps({"attributes": [*LIST, "Bill shape"]}),
        f"```json\n{json.dumps(LIST)}\n```",
        f"The useful attributes are:\n{list(LIST)}\nI hope this helps.",
        "['bill shape', 'wing color'\n'markings (e.g. spots, stripes)',]",
        "1. Bill shape: hooked or straight\n2. **wing color** - of the upper side\n3) markings (e.g. spots, stripes)",
        "Look at these:\n- **Bill shape**:\n- wing color\n* markings (e.g. spots, stripes)\n",
    ],
)
def test_lists_are_read_in_each_form(raw):
    found = AttributesTask("bird").read(raw).names
    assert tuple(name.lower() for name in found) == LIST


def test_a_sentence_may_be_a_list():
    raw = "Birds are told apart by: the bird's bill, wing bars, eye ring and tail shape."
    assert AttributesTask("bird").read(raw).names == ("the bird's bill", "wing bars", "eye ring", "tail shape")


def test_apostrophes_end_no_text_of_a_python_list():
    assert AttributesTask("bird").read("['the bird's bill', 'eye ring']").names == ("the bird's bill", "eye ring")


def test_the_first_ones_count():
    assert AttributesTask("bird", most=2).read(json.dumps(LIST)).names == LIST[:2]
    assert AttributesTask("bird", most=1).read('["bill shape"]').names == LIST[:1]


@pytest.mark.parametrize(
    ("raw", "flag"),
    [
        *(("", "empty"), ("I'm sorry, I can't help with that.", "refusal")),
        *(("It depends on the bird.", "unparsed"), ('{"attributes": []}', "unparsed"), ('["bill"]', "unparsed")),
    ],
)
def test_what_is_no_list(raw, flag):
    assert (AttributesTask("bird").read(raw).names, AttributesTask("bird").read(raw).flag) == ((), flag)


def test_the_question_names_the_category_and_the_unit():
    task = AttributesTask(" sports\ncar ", "model", most=7)
    check_task(task)
    assert "kind: sports car. By them one model of sports car" in task.prompt()
    assert "7 at most" in task.prompt()


@pytest.mark.parametrize("options", [{"most": 0}, {"most": 101}, {"category": " "}, {"unit": ""}])
def test_bad_options(options):
    with pytest.raises(FgvrError, match=r"data\.labeler\.task\."):
        AttributesTask(**options)
