from pathlib import Path

import pytest

from fgvr.errors import FgvrError
from fgvr.labelers.base import LabelRequest, Reply
from fgvr.labelers.cascade import CascadeLabeler
from fgvr.labelers.llava import LlavaLabeler
from fgvr.labelers.openai.labeler import OpenAILabeler
from fgvr.labelers.tasks.choose import ChooseTask
from fgvr.labelers.tasks.describe_image import DescribeImageTask
from fgvr.labelers.tasks.name import NameTask
from fgvr.labelers.tasks.names import NamesTask
from fgvr.labelling.batch_run import label_batch
from fgvr.labelling.labelling import label, plan, read_labels
from fgvr.labelling.requests import plan_requests, requests_for
from fgvr.labelling.store.keys import request_key
from fgvr.labelling.stored_replies import stored_replies
from fgvr.records import ImageRecord

IMAGES = [
    ImageRecord(sample_id=f"{number}.jpg", path=Path(f"{number}.jpg"), split="support", digest=f"{number}")
    for number in range(4)
]
JSON = '{"common_name": "Pug", "scientific_name": null, "alternatives": ["Boxer"], "confidence": 0.9}'


def put(store, labeler, raw, images=IMAGES, **fields):
    store_with = [Reply(request, raw=raw, **fields) for request in requests_for(labeler, images)]
    store.put_many(labeler.identity(), store_with)


def labelers(kind=OpenAILabeler, task=NameTask, **options):
    """Where JSON, text, and either of them is wanted."""
    return [kind(task=task(structured=structured, **options)) for structured in (True, False, None)]


@pytest.mark.parametrize("style", [{}, {"style": "expert", "category": "dog"}])
def test_what_was_asked_for_in_text_is_not_asked_again(store, style):
    _, text, either = labelers(**style)
    put(store, text, "It is a Pug or a Boxer.")
    assert plan(either, IMAGES, store).missing == 0
    assert label(either, IMAGES, store, progress=False).asked == 0
    assert {record.names for record in read_labels(either, IMAGES, store)} == {("Pug", "Boxer")}


def test_what_was_asked_for_in_json_is_not_asked_again(store):
    structured, text, either = labelers()
    put(store, structured, JSON)
    assert plan(either, IMAGES, store).missing == 0
    [record, *_] = read_labels(either, IMAGES, store)
    assert (record.names, record.alternatives, record.confidence) == (("Pug",), ("Boxer",), 0.9)
    assert plan(text, IMAGES, store).missing == 4, "the paper to the letter"


def test_json_that_is_wanted_is_asked_for(store):
    structured, text, _ = labelers()
    put(store, text, "Pug")
    assert plan(structured, IMAGES, store).missing == 4


def test_the_rest_is_asked_for(store):
    _, text, either = labelers()
    put(store, text, "Pug", IMAGES[:2])
    put(store, text, "", IMAGES[2:3], error="no reply")
    put(store, either, JSON, IMAGES[1:2])
    found = plan(either, IMAGES, store)
    assert (found.stored, found.missing, found.failed_before) == (2, 2, 0)
    replies, keys = stored_replies(either, requests_for(either, IMAGES), store)
    assert [reply and reply.raw for reply in replies] == ["Pug", JSON, None, None]
    first, second = requests_for(either, IMAGES)[:2]
    assert keys[:2] == [request_key(text.identity(), first), request_key(either.identity(), second)]


def test_a_failure_makes_way_for_a_reply_in_the_other_form(store):
    _, text, either = labelers()
    put(store, either, "", error="cut off", attempts=5)
    assert plan(either, IMAGES, store).exhausted == 4
    put(store, text, "Pug")
    assert (plan(either, IMAGES, store).stored, plan(either, IMAGES, store).exhausted) == (4, 0)
    assert {record.names for record in read_labels(either, IMAGES, store)} == {("Pug",)}


def test_a_persons_correction_of_the_other_form_counts(store):
    _, text, either = labelers()
    put(store, text, "Pug")
    store.revise(corrections={request_key(text.identity(), requests_for(text, IMAGES)[1]): ["Collie"]})
    assert [record.names for record in read_labels(either, IMAGES, store)] == [
        ("Pug",),
        ("Collie",),
        ("Pug",),
        ("Pug",),
    ]


def test_several_names(store):
    structured, text, either = labelers(task=NamesTask)
    put(store, text, "1. Pug\n2. Boxer\n3. Beagle", IMAGES[:2])
    put(store, either, '{"names": ["Pug", "Boxer", "Beagle"]}', IMAGES[2:])
    assert {record.names for record in read_labels(either, IMAGES, store)} == {("Pug", "Boxer", "Beagle")}
    assert plan(either, IMAGES, store).missing == 0
    assert plan(structured, IMAGES, store).missing == 4, "its question is another one"


def test_parts_of_combined_labelers(store):
    _, text, either = labelers()
    put(store, text, "Pug")
    cascade = CascadeLabeler(either, OpenAILabeler("gpt-4.1"), neighbours=0)
    assert plan(cascade, IMAGES, store).missing == 0
    assert {record.names for record in read_labels(cascade, IMAGES, store)} == {("Pug",)}


def test_models_of_ones_own_are_asked_for_text():
    structured, text, either = labelers(LlavaLabeler)
    assert either.identity() == text.identity() != structured.identity()
    assert either.task.schema() is None
    assert either.other_identities() == [structured.identity()]


@pytest.mark.parametrize(
    "task", [NameTask(structured=True), NameTask(structured=False), ChooseTask(["a", "b"]), DescribeImageTask()]
)
def test_other_questions_have_one_form(task):
    assert not OpenAILabeler(task=task).other_identities()


def test_the_paper_s_words_stay_and_a_schema_goes_beside_them():
    structured, text, either = labelers()
    assert either.prompt == text.prompt
    assert either.identity() == structured.identity()
    _, text, either = labelers(style="expert", category="dog")
    assert either.prompt == text.prompt
    assert either.identity()["schema"] == structured.identity()["schema"]


def test_a_batch_of_the_other_form_is_collected_first(store, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test-0123456789")
    _, text, either = labelers()
    store.batches.open(text.identity(), text.server, requests_for(text, IMAGES[:3]), 0.0)
    assert plan_requests(either, requests_for(either, IMAGES), store, 4).waiting == 3
    with pytest.raises(FgvrError, match=r"3 of these requests were sent by batch.*structured set to false"):
        label_batch(either, requests_for(either, IMAGES), store)
    with pytest.raises(FgvrError, match="3 of these requests were sent by batch"):
        label(either, IMAGES, store, progress=False)
    other = [LabelRequest(IMAGES[0], "What is it?")]
    assert plan_requests(either, other, store, 1).waiting == 0
