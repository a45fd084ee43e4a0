import json

import pytest

from fgvr.errors import FgvrError
from fgvr.labelers.base import PAPER_PROMPT
from fgvr.labelers.tasks.name import NameTask


def test_the_papers_prompt_is_the_default_word_for_word():
    assert NameTask().prompt() == "Provide a best fine-grained class label for this image" == PAPER_PROMPT
    assert NameTask(category="bird", structured=True).prompt("a hint") == PAPER_PROMPT
    assert NameTask().schema() is None


def test_an_expert_is_told_what_the_photos_show():
    prompt = NameTask("expert", " bird\n", "species").prompt()
    assert "the exact species of the bird in this photo" in prompt
    assert "the name alone" in prompt
    assert "the exact kind of the bird" in NameTask("expert", "bird").prompt()
    assert "the name alone" not in NameTask("expert", "bird", structured=True).prompt()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"style": "expert"}, r"names the super-category: set data\.labeler\.task\.category .*`fgvr discover`"),
        ({"style": "expert", "category": " "}, r"data\.labeler\.task\.category is ' '; expected a word"),
        ({"style": "expert", "category": "bird", "unit": "x" * 101}, r"data\.labeler\.task\.unit is 'xx"),
        ({"style": "terse"}, r"data\.labeler\.task\.style is 'terse'; expected 'paper' or 'expert'"),
    ],
)
def test_what_is_missing_is_said(arguments, message):
    with pytest.raises(FgvrError, match=message):
        NameTask(**arguments)


def test_of_a_structured_reply_only_the_answer_is_a_name():
    raw = json.dumps(
        {
            "common_name": "House Finch",
            "scientific_name": "Haemorhous mexicanus",
            "alternatives": ["Purple Finch", "Cassin's Finch"],
            "confidence": 0.8,
        }
    )
    parsed = NameTask(structured=True).read(raw)
    assert parsed.names == ("House Finch",)
    assert parsed.scientific_names == ("Haemorhous mexicanus",)
    assert parsed.confidence == 0.8
    assert set(parsed.alternatives) == {"Purple Finch", "Cassin's Finch"}


def test_a_server_that_ignores_the_schema_is_read_all_the_same():
    assert NameTask(structured=True).read("The bird is a **House Finch**.").names == ("House Finch",)


def test_what_is_left_open_is_decided_by_the_server():
    task = NameTask("expert", "bird")
    with_schema, without = task.on_server(True), task.on_server(False)
    assert with_schema.prompt() == without.prompt() == task.prompt()
    assert with_schema.schema() == NameTask(structured=True).schema()
    assert without.schema() is task.schema() is None
    for structured in (True, False):
        given = NameTask(structured=structured)
        assert given.on_server(True) is given.on_server(False) is given


def test_a_reply_is_read_by_its_form_where_a_schema_was_sent():
    task = NameTask().on_server(True)
    assert task.read('{"common_name": "Pug", "alternatives": ["Boxer"]}').names == ("Pug",)
    assert task.read("It is a Royal Tern or an Elegant Tern.").names == ("Royal Tern", "Elegant Tern")


def test_all_names_of_an_unstructured_reply_count():
    assert NameTask().read("It is a Royal Tern or an Elegant Tern.").names == ("Royal Tern", "Elegant Tern")
