import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from tiny.images import coloured, save_images
from tiny.labeler import TinyLabeler
from tiny.remote import TinyRemoteLabeler
from tiny.server import TinyAnswer, TinyServer

from fgvr.errors import FgvrError
from fgvr.labelers.asking.limits import Limits
from fgvr.labelers.base import LabelRequest
from fgvr.labelers.cascade import CascadeLabeler
from fgvr.labelers.combined import CombinedLabeler, first_classes
from fgvr.labelers.fieldguide import FieldguideLabeler
from fgvr.labelers.fixed import FixedLabeler
from fgvr.labelers.tasks.name import NameTask
from fgvr.labelers.vote import VoteLabeler
from fgvr.labelling.labelling import label, plan, read_labels
from fgvr.labelling.store.keys import request_key
from fgvr.records import ImageRecord, LabelRecord
from fgvr.testing.labelers import check_labeler

IMAGES = [
    ImageRecord(sample_id=name, path=Path(name), split="support", digest=f"digest-{name}")
    for name in ("a.jpg", "b.jpg", "c.jpg")
]
FIRST = {"a.jpg": "Beagle", "b.jpg": "I cannot tell.", "c.jpg": "Pug"}
SECOND = {"a.jpg": "Boxer", "b.jpg": "Boxer", "c.jpg": "pug"}


def tiny(replies, price=0.0, **options):
    return TinyLabeler(replies, price_usd=price, **options)


def record(name, latin=None, image="a.jpg"):
    return LabelRecord(image, (name,), (latin,)) if name else LabelRecord(image, (), flag="refusal")


class LastLabeler(CombinedLabeler):
    """What the last one says; asks it about the photos that the first one cannot name."""

    def __init__(self, parts):
        super().__init__(parts)

    def wanted(self, part, labels, features=None):
        return [bool(label.flag) for label in labels[0]]

    def combine(self, labels):
        return [last or first for first, last in zip(*labels, strict=True)]


def make_vote():
    return VoteLabeler([tiny(FIRST), tiny(SECOND)])


def make_cascade():
    return CascadeLabeler(tiny(FIRST), tiny(SECOND))


def make_nested():
    return CascadeLabeler(VoteLabeler([tiny(FIRST), tiny(SECOND)], min_agreement=1.0), tiny(SECOND), neighbours=0)


@pytest.mark.parametrize("make", [make_vote, make_cascade, make_nested])
def test_they_keep_the_contract(make):
    check_labeler(make(), IMAGES)


def test_asking_without_a_store_asks_a_part_only_what_is_wanted_of_it():
    first, last = tiny(FIRST, 0.5, prompt="Breed?"), tiny(SECOND, 2.0, prompt="Which breed?")
    labeler = LastLabeler([first, last])
    replies = list(labeler.ask([LabelRequest(image, labeler.prompt) for image in IMAGES]))
    assert [reply.names for reply in replies] == [("Beagle",), ("Boxer",), ("Pug",)]
    assert {request.prompt for request in first.asked} == {"Breed?"}
    assert [(request.image.sample_id, request.prompt) for request in last.asked] == [("b.jpg", "Which breed?")]


def test_a_failure_says_why():
    labeler = VoteLabeler([tiny({}), tiny({})])
    (reply,) = labeler.ask([LabelRequest(IMAGES[0], labeler.prompt)])
    assert reply.error == "no reply for 'a.jpg'"


def test_it_costs_what_all_parts_cost_together_at_most():
    requests = [LabelRequest(image, "?") for image in IMAGES]
    assert LastLabeler([tiny(FIRST, 0.5), tiny(SECOND, 2.0)]).estimate_usd(requests) == 7.5

    class UnknownPrice(TinyLabeler):
        def estimate_usd(self, requests):
            return None

    assert LastLabeler([tiny(FIRST), UnknownPrice(SECOND)]).estimate_usd(requests) is None


def test_it_is_simulated_where_a_part_is():
    assert not VoteLabeler.simulated
    assert not make_vote().simulated
    assert VoteLabeler([tiny(FIRST), FieldguideLabeler()]).simulated
    assert not VoteLabeler.simulated


def test_each_part_checks_the_photos(tmp_path):
    (tmp_path / "names.csv").write_text("file,name\nother.jpg,Pug\n")
    labeler = VoteLabeler([tiny(FIRST), FixedLabeler(tmp_path / "names.csv")])
    with pytest.raises(FgvrError, match=r"names\.csv"):
        labeler.check_images(IMAGES)


def test_replies_are_stored_for_each_part_and_shared(store):
    first, second, third = tiny(FIRST, 0.5), tiny(SECOND, 2.0), tiny(dict.fromkeys(FIRST, "Boxer"), 4.0)
    label(first, IMAGES, store, progress=False)
    vote = VoteLabeler([first, second])
    planned = plan(vote, IMAGES, store)
    assert (planned.stored, planned.missing, planned.estimate_usd) == (3, 3, 6.0)
    label(vote, IMAGES, store, progress=False)
    run = label(VoteLabeler([second, first, third], [1, 1, 5]), IMAGES, store, progress=False)
    assert (run.asked, run.cost_usd) == (3, 12.0)
    assert len(first.asked) == len(second.asked) == len(third.asked) == 3
    labels = read_labels(vote, IMAGES, store)
    assert [record.names for record in labels] == [("Beagle",), ("Boxer",), ("Pug",)]
    assert [record.cost_usd for record in labels] == [2.5] * 3


def test_a_nested_one_goes_through_the_store(store):
    last = tiny(dict.fromkeys(FIRST, "Boxer"), 2.0)
    labeler = CascadeLabeler(VoteLabeler([tiny(FIRST), tiny(SECOND)], min_agreement=1.0), last, neighbours=0)
    label(labeler, IMAGES, store, progress=False)
    labels = read_labels(labeler, IMAGES, store)
    assert [request.image.sample_id for request in last.asked] == ["a.jpg", "b.jpg"]
    assert [record.names for record in labels] == [("Boxer",), ("Boxer",), ("Pug",)]
    assert [record.cost_usd for record in labels] == [2.0, 2.0, 0.0]


def test_names_are_one_class_where_the_vocabulary_would_join_them():
    columns = [
        [record("Grey Heron"), record("Robin", "Erithacus rubecula"), record(""), record("Pug")],
        [record("grey-heron"), record("European Robin", "Erithacus Rubecula"), record("Pug"), None],
        [record("Gray Heron"), record("Erithacus rubecula"), record("Boxer"), record("PUG")],
    ]
    numbers = first_classes(columns)
    assert numbers.shape == (3, 4)
    assert numbers[0, 0] == numbers[1, 0] != numbers[2, 0]
    assert numbers[0, 1] == numbers[1, 1] == numbers[2, 1]
    assert numbers[0, 2] == -1 == numbers[1, 3]
    assert numbers[1, 2] == numbers[0, 3] == numbers[2, 3] != numbers[2, 2]


def test_a_scientific_name_of_a_higher_rank_makes_no_class():
    dogs = ["Beagle", "Boxer", "Pug", "Whippet"]
    numbers = first_classes([[record(name, "Canis lupus familiaris") for name in dogs]])
    assert len(set(numbers[0].tolist())) == 4


def test_further_names_say_nothing_of_the_first():
    several = LabelRecord("a.jpg", ("Pug", "Boxer"), (None, "Canis boxer"))
    numbers = first_classes([[several, record("German Boxer", "Canis boxer"), record("Boxer")]])
    assert len(set(numbers[0].tolist())) == 3


def test_no_names_are_no_classes():
    assert first_classes([[record(""), None, LabelRecord("c.jpg", (" ",))]]).tolist() == [[-1, -1, -1]]


class TwoQuestionsLabeler(CombinedLabeler):
    """Asks two questions of each photo together, and a third of those that the second has an answer for."""

    asks_again = False

    def __init__(self, parts):
        super().__init__(parts)

    @property
    def rounds(self):
        return [range(2), range(2, 3)]

    @property
    def naming(self):
        return (2,)

    def wanted(self, part, labels, features=None):
        assert (part, len(labels)) == (2, 2), "what a part of a round is asked depends on no other part of it"
        return [bool(label.names) for label in labels[1]]

    def combine(self, labels):
        return [last or replace(first, names=(), flag="unparsed") for first, _, last in zip(*labels, strict=True)]


def test_questions_of_a_round_are_asked_in_one_run(tmp_path, store):
    images = save_images(tmp_path, coloured(3))

    async def answer(body):
        await asyncio.sleep(0.02)
        return TinyAnswer({"raw": "Pug"})

    with TinyServer(answer) as server:
        labeler = TinyRemoteLabeler(server.url, price_usd=0.1, limits=Limits(concurrency=6))
        parts = [labeler.for_task(NameTask(), prompt=prompt) for prompt in ("What?", "Who?", "Which?")]
        both = TwoQuestionsLabeler(parts)
        first = plan(both, images, store)
        assert (first.missing, first.follow_ups) == (6, 3)
        assert label(both, images, store, progress=False).asked == 9
        assert server.most_in_flight > 3, "the photos of both questions"
        assert plan(both, images, store).requests == 9
        found = read_labels(both, images, store)
        assert [(label.names, label.requests, label.follow_ups) for label in found] == [(("Pug",), 3, 0)] * 3
        assert [label.name_before for label in found] == [None] * 3
        key = request_key(parts[0].identity(), parts[0].request_about(images[0]))
        store.revise(corrections={key: ["Boxer"]})
        assert not read_labels(both, images, store)[0].corrected, "its reply is no name of the photo"
