from pathlib import Path

import numpy as np
import pytest
from tiny.labeler import TinyLabeler
from tiny.remote import TinyRemoteLabeler
from tiny.server import TinyAnswer, TinyServer

from fgvr.errors import FgvrError
from fgvr.labelers.asking.limits import Limits
from fgvr.labelers.fixed import FixedLabeler
from fgvr.labelers.reconsider import ReconsiderLabeler
from fgvr.labelling.labelling import label, plan, read_labels
from fgvr.labelling.store.label_store import LabelStore
from fgvr.records import ImageRecord, LabelRecord
from fgvr.testing.labelers import check_labeler

NAMES = {
    "a.jpg": "Audi R8",
    "b.jpg": "audi r8",
    "c.jpg": "Audi R8 Spyder",
    "d.jpg": "BMW M5",
    "e.jpg": "I cannot tell.",
}
IMAGES = [ImageRecord(name, Path(name), "support", digest=f"digest-{name}") for name in NAMES]
CHOICES = {"c.jpg": "Audi R8", "d.jpg": "BMW M5", "e.jpg": "Audi R8"}


def record(name, **fields):
    return LabelRecord(
        "a.jpg", (name,) if name else (), (None,) if name else (), flag="" if name else "refusal", **fields
    )


def reconsider(choices=CHOICES, **options):
    return ReconsiderLabeler(TinyLabeler(NAMES), TinyLabeler(choices, prompt="Which?"), **options)


def wanted(names, features=None, **options):
    return reconsider(**options).wanted(1, [[record(name) for name in names]], features)


def test_it_keeps_the_contract():
    check_labeler(reconsider(), IMAGES)


def test_photos_whose_name_is_rare_or_missing_are_asked_about_again():
    names = ["Pug", "pug", "Boxer", None, "Beagle", "Beagle", "Beagle"]
    assert wanted(names) == [False, False, True, True, False, False, False]
    assert wanted(names, shared=3) == [True, True, True, True, False, False, False]
    assert wanted(names, shared=1) == [False, False, False, True, False, False, False]


def test_there_must_be_two_names_to_choose_from():
    assert wanted(["Pug", None]) == [False, False]
    assert wanted([None, None]) == [False, False]
    assert wanted([]) == []


def test_photos_whose_name_no_neighbour_has_are_doubted():
    features = np.array([[1, 0], [1, 0.1], [0, 1], [0.1, 1], [0.5, 1]], dtype=np.float32)
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    names = ["Pug", "Pug", "Boxer", "Boxer", "Pug"]
    assert wanted(names, features, neighbours=1) == [False, False, False, False, True]
    assert wanted(names, features) == [False] * 5
    assert reconsider(neighbours=1).needs_features
    assert not reconsider().needs_features


def test_what_is_chosen_takes_the_place_of_the_name():
    labels = [
        [
            record("Audi R8 Spyder", cost_usd=1.0),
            record(None, cost_usd=1.0),
            record("Fiat", cost_usd=1.0),
            record("Pug"),
        ],
        [record("Audi R8", cost_usd=2.0), record("Audi R8", cost_usd=2.0), record(None, cost_usd=2.0), None],
    ]
    first, second, third, fourth = reconsider().combine(labels)
    assert (first.names, first.alternatives, first.cost_usd) == (("Audi R8",), ("Audi R8 Spyder",), 3.0)
    assert (second.names, second.alternatives, second.cost_usd) == (("Audi R8",), (), 3.0)
    assert (third.names, third.cost_usd) == (("Fiat",), 3.0)
    assert fourth.names == ("Pug",)


def test_each_reply_is_stored_once_and_the_budget_holds(tmp_path):
    labeler = ReconsiderLabeler(TinyLabeler(NAMES, price_usd=0.1), TinyLabeler(CHOICES, price_usd=0.2, prompt="Which?"))
    with LabelStore(tmp_path / "labels.sqlite") as store:
        assert (plan(labeler, IMAGES, store).missing, plan(labeler, IMAGES, store).follow_ups) == (5, 5)
        with pytest.raises(FgvrError, match="max_cost_usd"):
            label(labeler, IMAGES, store, max_cost_usd=0.75, progress=False)
        assert [request.image.sample_id for request in labeler.parts[1].asked] == ["c.jpg"]
        run = label(labeler, IMAGES, store, progress=False)
        assert run.cost_usd == pytest.approx(0.4)
        assert label(labeler, IMAGES, store, progress=False).asked == 0
        found = read_labels(labeler, IMAGES, store)
    assert [record.names for record in found] == [("Audi R8",), ("audi r8",), ("Audi R8",), ("BMW M5",), ("Audi R8",)]
    assert found[2].alternatives == ("Audi R8 Spyder",)
    assert sum(record.cost_usd for record in found) == pytest.approx(5 * 0.1 + 3 * 0.2)


def test_a_model_is_shown_its_own_names(tmp_path, draw):
    for number, name in enumerate(NAMES):
        draw(name, (40 * number, 200, 20))
    images = [ImageRecord(name, tmp_path / name, "support", digest=f"digest-{name}") for name in NAMES]
    replies = iter(NAMES.values())

    async def answer(body):
        if "options" not in body["prompt"]:
            return TinyAnswer({"raw": next(replies)})
        return TinyAnswer({"raw": "Audi R8"})

    with TinyServer(answer) as server, LabelStore(tmp_path / "labels.sqlite") as store:
        labeler = ReconsiderLabeler(TinyRemoteLabeler(base_url=server.url, limits=Limits(concurrency=1)))
        label(labeler, images, store, progress=False)
        asked = [body["prompt"] for body in server.asked if "options" in body["prompt"]]
        found = read_labels(labeler, images, store)
    assert len(asked) == 3
    assert all("Audi R8, Audi R8 Spyder, BMW M5." in prompt for prompt in asked)
    assert {record.names for record in found[2:]} == {("Audi R8",)}


def test_a_labeler_without_tasks_needs_a_chooser(tmp_path):
    with pytest.raises(FgvrError, match=r"FixedLabeler cannot be asked to choose .* data\.labeler\.chooser"):
        ReconsiderLabeler(FixedLabeler(tmp_path / "names.csv"))
    with pytest.raises(FgvrError, match=r"data\.labeler\.shared is 0"):
        reconsider(shared=0)
    with pytest.raises(FgvrError, match=r"data\.labeler\.neighbours is -1"):
        reconsider(neighbours=-1)


def test_when_it_asks_again_is_part_of_what_it_is():
    identities = [reconsider(**options).identity() for options in ({}, {"shared": 3}, {"neighbours": 2})]
    assert identities[0] == reconsider().identity()
    assert identities[0] != identities[1] != identities[2] != identities[0]
