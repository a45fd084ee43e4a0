import numpy as np
import pytest
from candidates.drawn import random_images
from scipy import sparse

from fgvr.candidates import propagation as module
from fgvr.candidates.base import NamedImages
from fgvr.candidates.label_propagation import LabelPropagationCandidates
from fgvr.errors import FgvrError


def reference(images, m, k, alpha, gamma):
    """Zhou et al. 2004, equation 4, on the graph of Iscen et al. 2019, equation 9, with dense matrices."""
    vectors = images.features.astype(np.float64)
    count = len(vectors)
    affinities = np.zeros((count, count))
    for image in range(count):
        cosines = vectors @ vectors[image]
        cosines[image] = -np.inf
        for other in np.argsort(-cosines, kind="stable")[:k]:
            affinities[image, other] = max(cosines[other], 0) ** gamma if cosines[other] > 0 else 0
    affinities = affinities + affinities.T
    degrees = affinities.sum(axis=1)
    scale = np.diag([1 / np.sqrt(degree) if degree else 0 for degree in degrees])
    given = np.zeros((count, images.num_classes))
    for image, names in enumerate(images.labels):
        if names:
            given[image, names[0]] = 1
    solution = np.linalg.solve(np.eye(count) - alpha * scale @ affinities @ scale, given)
    sets = {}
    for image, row in enumerate(solution):
        best = [c for c in np.argsort(-row, kind="stable")[:m] if row[c] > 1e-9]
        best = [c for c in best if row[c] >= 1e-3 * row[best].sum()]
        if best:
            sets[images.sample_ids[image]] = (best, row[best] / row[best].sum())
    return sets


@pytest.mark.parametrize(("m", "k", "alpha", "gamma"), [(3, 4, 0.99, 3.0), (5, 2, 0.5, 1.0), (1, 10, 0.9, 0.0)])
@pytest.mark.parametrize("block", [2**24, 240])
def test_it_is_the_definition(monkeypatch, m, k, alpha, gamma, block):
    monkeypatch.setattr(module, "_BLOCK_VALUES", block)  # the smaller one: three classes at a time
    images = random_images(80, dim=5, num_classes=12, named=10)
    sets = LabelPropagationCandidates(m, k, alpha, gamma).build(images)
    expected = reference(images, m, k, alpha, gamma)
    assert sets.sample_ids == tuple(expected)
    for sample_id, (indices, weights) in zip(sets.sample_ids, sets, strict=True):
        assert indices.tolist() == expected[sample_id][0]
        np.testing.assert_allclose(weights, expected[sample_id][1], atol=1e-3)


@pytest.mark.parametrize("above", [module._REORDER_ABOVE, 0])
def test_the_solution_is_accurate(monkeypatch, above):
    monkeypatch.setattr(module, "_REORDER_ABOVE", above)
    images = random_images(300, dim=3, num_classes=12, named=10)
    weights = LabelPropagationCandidates(m=10, k=5, alpha=0.99).build(images).weights
    expected = np.concatenate([row for _, row in reference(images, 10, 5, 0.99, 3.0).values()])
    np.testing.assert_allclose(weights, expected, atol=1e-4)


def test_neighbours_outvote_a_photo_and_name_the_unnamed():
    features = np.array([[1, 0.01 * step] for step in range(5)] + [[0, 1]], dtype=np.float32)
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    images = NamedImages(tuple("abcdef"), [(0,), (0,), (1,), (0,), (), (2,)], 3, features)
    sets = LabelPropagationCandidates(m=1, k=3).build(images)
    assert [indices.tolist() for indices, _ in sets][:5] == [[0]] * 5


def test_a_photo_that_no_name_reaches_is_left_out():
    images = NamedImages(
        tuple("abcd"), [(0,), (), (), ()], 1, np.array([[1, 0], [0.8, 0.6], [-1, 0], [-1, 0]], dtype=np.float32)
    )
    assert LabelPropagationCandidates(k=1).build(images).sample_ids == ("a", "b")


def test_equal_shares_go_to_the_class_of_the_lower_index():
    # a square: photo 0 has no name, and is as near to photo 1 as to photo 3
    features = np.array([[1, 0, 0], [0.6, 0.8, 0], [0.6, -0.8, 0]], dtype=np.float32)
    images = NamedImages(tuple("abc"), [(), (4,), (2,)], 5, features)
    for classes in (256, 1):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(module, "_MAX_CLASSES", classes)
            sets = LabelPropagationCandidates(m=1, k=2).build(images)
        assert next(iter(sets))[0].tolist() == [2]


@pytest.mark.parametrize(("option", "value"), [("m", 0), ("k", 0), ("alpha", 1.0), ("alpha", 0.0), ("gamma", -1.0)])
def test_options_out_of_range_are_refused(option, value):
    with pytest.raises(FgvrError, match=rf"candidates\.{option} is"):
        LabelPropagationCandidates(**{option: value})


@pytest.mark.parametrize("above", [module._REORDER_ABOVE, 0])
def test_parts_of_the_graph_are_solved_apart_where_names_reach_few(monkeypatch, above):
    count, parts = 90, 9
    neighbours = np.arange(count)[:, None] // 10 * 10 + np.random.default_rng(0).integers(10, size=(count, 3))
    graph = module.normalised_graph(neighbours, np.random.default_rng(1).random((count, 3)), np.float64)
    given = sparse.csr_matrix((np.ones(parts), (np.arange(parts) * 10, np.arange(parts)[::-1])), shape=(count, parts))
    solution = np.linalg.solve(np.eye(count) - 0.9 * graph.toarray(), given.toarray())
    monkeypatch.setattr(module, "_BLOCK_VALUES", 2 * count)
    monkeypatch.setattr(module, "_REORDER_ABOVE", above)
    names, best = module.propagate(graph, given, alpha=0.9, m=2)
    np.testing.assert_allclose(best[:, 0], solution.max(axis=1), atol=1e-8)
    reached = solution.max(axis=1) > 1e-9
    np.testing.assert_array_equal(names[reached, 0], solution.argmax(axis=1)[reached])
