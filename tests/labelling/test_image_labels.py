import json
from pathlib import Path

import numpy as np
import pytest
from tiny.labeler import TinyLabeler

from fgvr.errors import FgvrError
from fgvr.labelers.base import LabelRequest, Reply
from fgvr.labelers.cascade import CascadeLabeler
from fgvr.labelers.combined import CombinedLabeler
from fgvr.labelers.openai.labeler import OpenAILabeler
from fgvr.labelers.reconsider import ReconsiderLabeler
from fgvr.labelers.tasks.describe_image import DescribeImageTask
from fgvr.labelling.image_labels import ImageLabels
from fgvr.labelling.store.keys import request_key
from fgvr.labelling.store.label_store import LabelStore
from fgvr.records import ImageRecord
from fgvr.selections.base import Selection

NAMES = [f"{number}.jpg" for number in range(6)]
IMAGES = [ImageRecord(sample_id=name, path=Path(name), split="support", digest=f"digest-{name}") for name in NAMES]


class LastSelection(Selection):
    """The photos with the largest features."""

    def choose(self, sample_ids, features):
        assert len(sample_ids) == len(features)
        return np.sort(np.argsort(-features[:, 0])[: self.n])


class Outer(CombinedLabeler):
    """What its only part says."""

    def __init__(self, labeler):
        super().__init__([labeler])

    def combine(self, labels):
        return list(labels[0])


def labels_of(tmp_path, select=None, labeler=None):
    asked = []

    def features(images, space):
        assert space == "visual"
        asked.append(len(images))
        return np.arange(len(images), dtype=np.float32)[:, None]

    labeler = labeler or TinyLabeler(dict.fromkeys(NAMES, "Beagle"))
    return ImageLabels(labeler, select, tmp_path / "labels.sqlite", None, features), labeler, asked


def test_only_the_chosen_photos_are_asked_about_and_the_others_are_unasked(tmp_path):
    labels, labeler, computed = labels_of(tmp_path, LastSelection(n=2))
    chosen = labels.choose(IMAGES)
    assert [image.sample_id for image in chosen] == ["4.jpg", "5.jpg"]
    assert labels.needs_features
    labels.ask([chosen])
    assert [request.image.sample_id for request in labeler.asked] == ["4.jpg", "5.jpg"]
    read = labels.read_support(IMAGES)
    assert [record.sample_id for record in read] == NAMES
    assert [record.flag for record in read] == ["unasked"] * 4 + ["", ""]
    assert computed == [6], "the features of one support set are computed once"


def test_stored_replies_of_photos_that_were_not_chosen_are_left_out(tmp_path):
    everything, labeler, _ = labels_of(tmp_path)
    assert not everything.needs_features
    everything.ask([IMAGES])
    few, _, _ = labels_of(tmp_path, LastSelection(n=1), labeler)
    assert [record.flag for record in few.read_support(IMAGES)] == ["unasked"] * 5 + [""]


def test_another_asker_stores_the_same(tmp_path):
    def elsewhere(labeler, requests):
        yield [Reply(request, raw="Pug", cost_usd=0.5) for request in requests[:3]]
        yield [Reply(request, error="lost") for request in requests[3:]]

    labels, labeler, _ = labels_of(tmp_path)
    labels.ask([IMAGES[:2], IMAGES[2:]], elsewhere)
    read = labels.read(IMAGES)
    assert not labeler.asked
    assert [record.names for record in read] == [("Pug",)] * 3 + [()] * 3
    assert sum(record.cost_usd for record in read) == 1.5
    assert labels.plan([IMAGES]).missing == 3


def test_without_a_labeler_the_error_says_what_to_set(tmp_path):
    labels = ImageLabels(None, None, tmp_path / "labels.sqlite", None, lambda images, space: np.zeros((len(images), 1)))
    with pytest.raises(FgvrError, match=r"set data\.labeler"):
        labels.plan([IMAGES])
    assert json.dumps(labels.needs_features) == "false"


@pytest.fixture
def cascade():
    """Support photos 0 and 1 are far apart; photos 4 and 5 lie beside 0 and share its name."""
    said = {**{name: f"Name {name[0]}" for name in NAMES}, **dict.fromkeys(["0.jpg", "4.jpg", "5.jpg"], "Pug")}
    first, fallback = TinyLabeler(said), TinyLabeler(dict.fromkeys(NAMES, "Boxer"), prompt="fallback")
    return CascadeLabeler(first, fallback, neighbours=2)


def beside_the_first(images, space):
    beside = {"0.jpg": [1, 0, 0, 0], "4.jpg": [0.99, 0.141, 0, 0], "5.jpg": [0.98, 0.199, 0, 0]}
    apart = {"1.jpg": [0, 1, 0, 0], "2.jpg": [0, 0, 1, 0], "3.jpg": [0, 0, 0, 1]}
    return np.array([{**beside, **apart}[image.sample_id] for image in images], dtype=np.float32)


def test_the_labels_of_support_photos_do_not_depend_on_evaluated_photos(tmp_path, cascade):
    support, evaluated = IMAGES[:4], IMAGES[4:]
    labels = ImageLabels(cascade, None, tmp_path / "labels.sqlite", None, beside_the_first)
    labels.ask([support])
    alone = labels.read_support(support, [support])
    assert {record.names for record in alone} == {("Boxer",)}, "no neighbour confirms a name"
    labels.ask([support, evaluated])
    assert labels.read_support(support, [support, evaluated]) == alone
    assert [record.names for record in labels.read(evaluated, [support, evaluated])] == [("Pug",), ("Pug",)]
    assert labels.plan([support, evaluated]).missing == 0


def test_names_are_chosen_among_those_of_the_group(tmp_path):
    said = {"0.jpg": "Puma", "1.jpg": "Cougar", "2.jpg": "Cougar", "3.jpg": "Lynx"}
    support, evaluated = IMAGES[:3], IMAGES[3:4]
    names_of = []

    class Chooser(TinyLabeler):
        def with_classes(self, names):
            names_of.append(tuple(names()))
            return Chooser(self.replies, prompt=f"One of {names_of[-1]}?")

    chooser = Chooser(dict.fromkeys(NAMES, "Cougar"))
    labels = ImageLabels(ReconsiderLabeler(TinyLabeler(said), chooser), None, tmp_path / "labels.sqlite", None, None)
    groups = [support, evaluated]
    labels.ask(groups)
    assert [record.names for record in labels.read_support(support, groups)] == [("Cougar",)] * 3
    assert [record.names for record in labels.read(evaluated, groups)] == [("Lynx",)], "it has nothing to choose from"
    assert [record.names for record in labels.read(IMAGES[:4], groups)] == [*[("Cougar",)] * 3, ("Lynx",)]
    assert labels.plan(groups).missing == 0
    assert not any("Lynx" in names and "Cougar" in names for names in names_of)


def test_a_labeler_within_another_one_looks_at_neighbours_too(tmp_path, cascade):
    labels = ImageLabels(Outer(cascade), None, tmp_path / "labels.sqlite", None, beside_the_first)
    assert labels.needs_features
    labels.ask([IMAGES[:4], IMAGES[4:]])
    assert {record.names for record in labels.read_support(IMAGES[:4], [IMAGES[:4], IMAGES[4:]])} == {("Boxer",)}


def test_what_a_person_said_of_a_part_is_not_put_to_the_vote(tmp_path, cascade):
    labels = ImageLabels(cascade, None, tmp_path / "labels.sqlite", None, beside_the_first)
    labels.ask([IMAGES[:4]])
    with LabelStore(tmp_path / "labels.sqlite") as store:
        request = LabelRequest(IMAGES[1], cascade.first.prompt)
        store.revise(corrections={request_key(cascade.first.identity(), request): ["Collie"]})
    assert [record.names for record in labels.read(IMAGES[:4], [IMAGES[:4]])] == [
        *(("Boxer",), ("Collie",), ("Boxer",), ("Boxer",))
    ]


def test_a_describing_task_names_no_classes(tmp_path):
    labels, _, _ = labels_of(tmp_path, labeler=OpenAILabeler(task=DescribeImageTask(domain="dog")))
    with pytest.raises(FgvrError, match=r"'describe_image' gives no class names.*set data\.labeler\.task to name"):
        labels.require_names()
    labels_of(tmp_path)[0].require_names()


def test_one_budget_for_all_groups(tmp_path, cascade):
    cascade.first.price_usd = cascade.first.estimated_price_usd = 1.0
    labels = ImageLabels(cascade, None, tmp_path / "labels.sqlite", 5.0, beside_the_first)
    with pytest.raises(FgvrError, match="stopped before it passes"):
        labels.ask([IMAGES[:4], IMAGES[4:]])
    assert len(cascade.first.asked) == 5
