import logging

import numpy as np
import pytest

from fgvr.candidates.nearest import nearest
from fgvr.candidates.search import recall_of, search


def clustered(images=500, classes=20, noise=0.5):
    generator = np.random.default_rng(0)
    features = generator.normal(size=(classes, 16))[generator.integers(classes, size=images)]
    features = features + noise * generator.normal(size=features.shape)
    return (features / np.linalg.norm(features, axis=1, keepdims=True)).astype(np.float32)


def test_few_photos_are_searched_exactly():
    features = clustered()
    found = search(features, np.arange(0, 500, 3), 4)
    assert found.recall == 1.0
    assert found.images.tolist() == nearest(features, np.arange(0, 500, 3), 4).tolist()


def test_many_are_searched_by_an_inverted_file_with_measured_recall(caplog):
    features = clustered()
    with caplog.at_level(logging.INFO):
        found = search(features, np.arange(500), 4, exact_below=499)
    truth = nearest(features, np.arange(500), 4)
    actual = recall_of(found.images, truth, np.arange(500))
    assert found.recall == pytest.approx(actual, abs=0.02)
    assert 0.98 <= found.recall <= 1.0
    assert f"Recall {found.recall:.4f} against the exact search of 250 photos" in caplog.text
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]


def test_low_recall_warns_and_names_the_option(caplog, monkeypatch):
    monkeypatch.setattr("fgvr.candidates.inverted_file._MAX_PROBES", 1)
    found = search(clustered(noise=5.0), np.arange(500), 4, exact_below=10)
    assert found.recall < 0.9
    assert "set data.candidates.exact_below to 500" in caplog.text


def test_fewer_named_photos_than_k():
    found = search(clustered(), np.array([3, 8]), 4, exact_below=10)
    assert found.images.shape == (500, 2)
    assert found.recall == 1.0


def test_recall_leaves_the_photo_itself_out():
    truth = np.array([[0, 1, 2], [1, 4, 5], [7, 8, 9]])
    found = np.array([[0, 2, 3], [1, 5, 4], [7, 1, 9]])
    # 1 of 2, 2 of 2, and for photo 3, which has no name, 2 of 3
    assert recall_of(found, truth, np.array([0, 1, 3])) == pytest.approx(5 / 7)
    assert recall_of(np.array([[0]]), np.array([[0]]), np.array([0])) == 1.0
