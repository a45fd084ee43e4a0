import json

import pytest

from fgvr.errors import FgvrError
from fgvr.labelers.tasks.caption_templates import CaptionTemplatesTask
from fgvr.testing.tasks import check_task

LIST = ("a photo of a {}, a kind of bird.", "a close-up of the {} on a branch")


@pytest.mark.parametrize(
    "raw",
    [
        json.dumps({"templates": LIST}),
        f"```json\n{json.dumps(LIST)}\n```",
        json.dumps({"templates": LIST}).removesuffix("]}"),
        str(list(LIST)),
        f"Here are two templates:\n1. {LIST[0]}\n2. **{LIST[1]}**\n",
        "\n".join(f'- "{template}"' for template in LIST).replace("{}", "{class name}"),
        "\n".join(f"* `{template}`" for template in LIST).replace("{}", "[CLASS]"),
        "\n".join(LIST).replace("{}", "<label>"),
        "\n".join(LIST).replace("{}", "\\{\\}"),
        json.dumps(["a bird", "{} and {}", "a {0 {}", "A {", "{}", *LIST]),
    ],
)
def test_templates_are_read_in_each_form(raw):
    assert CaptionTemplatesTask(domain="bird").read(raw).names == LIST


def test_the_question_has_names_as_data():
    task = CaptionTemplatesTask(["House_Finch", 'The "Best" {}', "柴犬"], 7, "bird")
    check_task(task)
    assert '["House Finch", "The \\"Best\\" {}", "柴犬"]' in task.prompt()
    assert (
        "Write 7 templates of captions for such photos, in which {} stands for the name of the class" in task.prompt()
    )
    assert "Some of the classes" not in CaptionTemplatesTask().prompt()


def test_the_first_ones_count():
    assert CaptionTemplatesTask(count=1).read(json.dumps(LIST)).names == LIST[:1]


@pytest.mark.parametrize(
    ("raw", "flag"), [("", "empty"), ("I'm sorry, I can't help with that.", "refusal"), ("a photo", "unparsed")]
)
def test_what_holds_no_template(raw, flag):
    assert CaptionTemplatesTask().read(raw).flag == flag


@pytest.mark.parametrize("options", [{"count": 0}, {"count": 101}, {"domain": ""}])
def test_bad_options(options):
    with pytest.raises(FgvrError, match=r"count is|domain is"):
        CaptionTemplatesTask(**options)
