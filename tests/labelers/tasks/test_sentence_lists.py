import json

import pytest

from fgvr.labelers.tasks.sentence_lists import read_sentences, why_none
from fgvr.testing.tasks import HOSTILE_REPLIES

SAID = [
    "A House Finch has a red breast.",
    "The bird's bill is short: a House Finch eats seeds.",
    "House Finch, streaked.",
]
NUMBERED = "\n".join(f"{number}. {sentence}" for number, sentence in enumerate(SAID, start=1))


@pytest.mark.parametrize(
    "raw",
    [
        json.dumps({"sentences": SAID}),
        json.dumps(SAID),
        f"Sure! Here are three:\n```json\n{json.dumps({'sentences': SAID}, indent=2)}\n```\nI hope this helps.",
        json.dumps({"House Finch": SAID}),
        json.dumps([{"number": number, "sentence": sentence} for number, sentence in enumerate(SAID)]),
        "\n".join(json.dumps({"sentence": sentence}) for sentence in SAID),
        json.dumps({"sentences": SAID}).replace('", "', '" "'),
        json.dumps({"sentences": SAID}).removesuffix("]}"),
        f'{json.dumps({"sentences": SAID}).removesuffix("]}")}, "A House Finch is',
        str(SAID),
        f"{str(SAID)[:-1]},\n]",
        f"<think>1. A House Finch.\n2. Is it a finch?</think>{NUMBERED}",
        f"Here are three sentences about the House Finch:\n\n{NUMBERED}\n\nLet me know if you need more.",
        NUMBERED.replace(". ", ") ", 1).replace("3. ", "(3) "),
        NUMBERED.replace("1. ", "**1.** "),
        "\n".join(f"- {sentence}" for sentence in SAID),
        "\n\n".join(f"* **{sentence}**" for sentence in SAID),
        f"## Plumage\n\n\u2022 {SAID[0]}\n\n## Bill\n\n\u2022 **Bill:** {SAID[1]}\n\u2022 {SAID[2]}",
        "\n".join(f'{number}. "{sentence}"' for number, sentence in enumerate(SAID)),
        "\n".join(f"Sentence {number}: {sentence}" for number, sentence in enumerate(SAID)),
        "\n".join(SAID),
        f"# House Finch\n\n{SAID[0]} {SAID[1]}\n{SAID[2]}\n---",
        f"1. {SAID[0]}\n2. The bird's bill is short:\n   a House Finch eats seeds.\n3. {SAID[2]}",
        NUMBERED.replace("House Finch", "**House Finch**"),
        f"{NUMBERED}\n4. {SAID[0].upper()}",
    ],
)
def test_sentences_are_read_in_each_form(raw):
    assert read_sentences(raw) == SAID


def test_of_lists_by_name_the_wanted_one_counts():
    raw = json.dumps({"Purple Finch": ["It is not a House Finch."], "house-finch": SAID})
    assert read_sentences(raw, "House Finch") == SAID
    assert len(read_sentences(raw)) == 4


def test_an_abbreviation_ends_no_sentence():
    said = ["The St. Bernard drools.", "A St. Bernard is heavy."]
    assert read_sentences(" ".join(said)) == said


@pytest.mark.parametrize(
    ("raw", "flag"),
    [
        *(("", "empty"), ("I'm sorry, but I can't help with a House Finch.", "refusal")),
        *(('{"sentences": []}', "unparsed"), ("Here are the sentences:", "unparsed")),
    ],
)
def test_what_holds_no_sentence(raw, flag):
    assert read_sentences(raw) == []
    assert why_none(raw).flag == flag


@pytest.mark.parametrize("raw", HOSTILE_REPLIES)
def test_hostile_replies_are_read(raw):
    assert all(sentence == " ".join(sentence.split()) != "" for sentence in read_sentences(raw, "Pug"))


def test_a_long_text_is_no_sentence():
    assert read_sentences(json.dumps(["a finch " * 60, SAID[0]])) == SAID[:1]
