from pathlib import Path

from tiny.labeler import TinyLabeler

from fgvr.labelers.base import LabelRequest, Reply
from fgvr.labelling.labelling import read_labels
from fgvr.labelling.store.corrections import Renaming, correct
from fgvr.labelling.store.keys import request_key
from fgvr.records import ImageRecord, LabelRecord

LABELS = [
    LabelRecord("a.jpg", ("Siamese cat", "Balinese", "Siamese"), ("Felis catus", None, None), alternatives=("Birman",)),
    LabelRecord("b.jpg", (), (), "refusal", raw="I can't tell.", cost_usd=0.5, confidence=0.1, alternatives=("Pug",)),
    LabelRecord("c.jpg", ("Pug",), ("Canis lupus",)),
]
KEYS = ["key-a", "key-b", "key-c"]


def test_nothing_said_changes_nothing(store):
    assert correct(LABELS, KEYS, store) == LABELS


def test_names_of_a_person_take_the_place_of_the_reply(store):
    store.revise(corrections={"key-b": ["Boxer", "Pug"], "key-c": [], "elsewhere": ["x"]})
    first, second, third = correct(LABELS, KEYS, store)
    assert first == LABELS[0]
    person = LabelRecord("b.jpg", ("Boxer", "Pug"), (None, None), "", raw="I can't tell.", cost_usd=0.5, corrected=True)
    assert second == person
    assert (third.names, third.scientific_names, third.flag) == ((), (), "empty")


def test_nothing_else_of_a_reply_stays_beside_the_names_of_a_person(store):
    read = LabelRecord("m.jpg", ("Gadwall",), ("Mareca strepera",), genus="Mareca", individual="male", doubtful=True)
    store.revise(corrections={"key-m": ["Mallard"]})
    assert correct([read], ["key-m"], store) == [LabelRecord("m.jpg", ("Mallard",), (None,), corrected=True)]


def test_aliases_hold_for_all_names(store):
    store.revise(
        aliases={"siamese-CAT": "Siamese", "birman": "Siamese", "Boxer": "German Boxer"},
        corrections={"key-b": ["boxer"]},
    )
    first, second, third = correct(LABELS, KEYS, store)
    assert first.names == ("Siamese", "Balinese")
    assert first.scientific_names == ("Felis catus", None)
    assert first.alternatives == ()
    assert second.names == ("German Boxer",)
    assert third == LABELS[2]


def test_labels_without_latin_names(store):
    store.revise(aliases={"b": "A"})
    assert correct([LabelRecord("x.jpg", ("A", "B"))], ["k"], store)[0].names == ("A",)


def test_aliases_are_followed_to_the_end_and_not_round_in_circles():
    rename = Renaming({"a": "B", "b": "C", "x": "Y", "y": "X", "pug": "PUG"})
    assert [rename.name(name) for name in ("a", "B", "C", "pug")] == ["C", "C", "C", "PUG"]
    assert rename.name("x") in ("X", "Y")


def test_labels_are_read_with_what_a_person_said(store):
    labeler = TinyLabeler({"a.jpg": "Siamese cat.", "b.jpg": "I can't tell which breed this is."})
    images = [ImageRecord(sample_id=name, path=Path(name), split="support", digest=name) for name in ("a.jpg", "b.jpg")]
    for image in images:
        request = LabelRequest(image, labeler.prompt)
        store.put(labeler.identity(), Reply(request, raw=labeler.replies[image.sample_id]))
    key = request_key(labeler.identity(), LabelRequest(images[1], labeler.prompt))
    before = read_labels(labeler, images, store)
    store.revise(corrections={key: ["Balinese"]}, aliases={before[0].names[0]: "Siamese of Siam"})
    labels = read_labels(labeler, images, store)
    assert [label.names for label in labels] == [("Siamese of Siam",), ("Balinese",)]
    assert [label.flag for label in labels] == ["", ""]
