import numpy as np
import pytest

from fgvr.candidates import nearest as module
from fgvr.candidates.nearest import nearest, nearest_and_similarity, settle


def unit(features):
    features = np.asarray(features, dtype=np.float32)
    return features / np.linalg.norm(features, axis=1, keepdims=True)


def reference(features, named, k, queries):
    """The definition, one photo at a time: itself, then by similarity, then by order."""
    vectors = features.astype(np.float64)
    rows = []
    for image in queries:
        ranked = sorted((other != image, -float((vectors[image] * vectors[other]).sum()), other) for other in named)
        rows.append([other for _, _, other in ranked[:k]])
    return rows


@pytest.mark.parametrize("index_images", [2**16, 7])
def test_it_is_the_definition_whatever_the_index_holds_at_a_time(monkeypatch, index_images):
    monkeypatch.setattr(module, "_INDEX_IMAGES", index_images)
    generator = np.random.default_rng(0)
    features = unit(generator.normal(size=(20, 6))[generator.integers(20, size=50)])
    named, queries = np.flatnonzero(generator.random(50) < 0.7), np.array([8, 3, 49])
    assert nearest(features, named, 5, queries).tolist() == reference(features, named.tolist(), 5, queries.tolist())


def test_similarities_are_cosines_in_their_order():
    features = unit(np.random.default_rng(1).normal(size=(30, 5)))
    images, similarity = nearest_and_similarity(features, np.arange(30), 4, np.arange(30))
    expected = np.take_along_axis(features.astype(np.float64) @ features.T, images, axis=1)
    np.testing.assert_allclose(similarity, expected, atol=1e-7)
    assert (np.diff(similarity[:, 1:], axis=1) <= 0).all()


def test_where_too_few_are_proposed_the_rest_is_missing():
    features = unit(np.eye(3))

    def propose(rows, width):
        found = np.full((len(rows), width), -1)
        similarity = np.full((len(rows), width), -1e30, dtype=np.float32)
        found[:, 0], similarity[:, 0] = 2, 0.0
        return similarity, found

    images, similarity = settle(propose, features, np.array([0, 1]), k=2, widest=3)
    assert images.tolist() == [[2, -1], [2, -1]]
    assert similarity.tolist() == [[0.0, -np.inf]] * 2
