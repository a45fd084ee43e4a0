import json
from pathlib import Path

import numpy as np
import pytest

from fgvr.data.labels import PhotoLabels
from fgvr.errors import FgvrError
from fgvr.labelers.base import Reply
from fgvr.records import ImageRecord
from fgvr.selections.base import Selection
from fgvr.testing.tiny_labeler import TinyLabeler

NAMES = [f"{number}.jpg" for number in range(6)]
PHOTOS = [ImageRecord(name, Path(name), "support", digest=f"digest-{name}") for name in NAMES]


class LastSelection(Selection):
    """The photos with the largest features."""

    def choose(self, sample_ids, features):
        assert len(sample_ids) == len(features)
        return np.sort(np.argsort(-features[:, 0])[: self.n])


def labels_of(tmp_path, select=None, labeler=None):
    asked = []

    def features(photos):
        asked.append(len(photos))
        return np.arange(len(photos), dtype=np.float32)[:, None]

    labeler = labeler or TinyLabeler(dict.fromkeys(NAMES, "Beagle"))
    return PhotoLabels(labeler, select, tmp_path / "labels.sqlite", None, features), labeler, asked


def test_only_the_chosen_photos_are_asked_about_and_the_others_are_unasked(tmp_path):
    labels, labeler, computed = labels_of(tmp_path, LastSelection(n=2))
    chosen = labels.choose(PHOTOS)
    assert [photo.sample_id for photo in chosen] == ["4.jpg", "5.jpg"]
    assert labels.needs_features
    labels.ask(chosen)
    assert [request.image.sample_id for request in labeler.asked] == ["4.jpg", "5.jpg"]
    read = labels.read_support(PHOTOS)
    assert [record.sample_id for record in read] == NAMES
    assert [record.flag for record in read] == ["unasked"] * 4 + ["", ""]
    assert computed == [6], "the features of one support set are computed once"


def test_stored_replies_of_photos_that_were_not_chosen_are_left_out(tmp_path):
    everything, labeler, _ = labels_of(tmp_path)
    assert not everything.needs_features
    everything.ask(PHOTOS)
    few, _, _ = labels_of(tmp_path, LastSelection(n=1), labeler)
    assert [record.flag for record in few.read_support(PHOTOS)] == ["unasked"] * 5 + [""]


def test_another_asker_stores_the_same(tmp_path):
    def elsewhere(labeler, requests):
        yield [Reply(request, raw="Pug", cost_usd=0.5) for request in requests[:3]]
        yield [Reply(request, error="lost") for request in requests[3:]]

    labels, labeler, _ = labels_of(tmp_path)
    read = labels.ask(PHOTOS, elsewhere)
    assert not labeler.asked
    assert [record.names for record in read] == [("Pug",)] * 3 + [()] * 3
    assert sum(record.cost_usd for record in read) == 1.5
    assert labels.plan(PHOTOS).missing == 3


def test_without_a_labeler_the_error_says_what_to_set(tmp_path):
    labels = PhotoLabels(None, None, tmp_path / "labels.sqlite", None, lambda photos: np.zeros((len(photos), 1)))
    with pytest.raises(FgvrError, match=r"set data\.labeler"):
        labels.plan(PHOTOS)
    assert json.dumps(labels.needs_features) == "false"
