import tracemalloc

import numpy as np
import pytest
from scipy.sparse.linalg import cg

from fgvr.methods import reclip_propagation as module
from fgvr.methods.reclip_propagation import centroids, projection, propagate


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def random_features(classes=7, images=90, dim=12, seed=0):
    """Texts with much in common, and photos around them."""
    generator = np.random.default_rng(seed)
    texts = unit(generator.normal(size=dim) * 2 + generator.normal(size=(classes, dim)))
    return texts, unit(texts[generator.integers(classes, size=images)] + 0.3 * generator.normal(size=(images, dim)))


def reference(texts, images, k, alpha, steps=None, project=True):
    """ReCLIP with a projection matrix, dense affinities and one linear system a class: shares of shape (C + N, C)."""
    directions = np.linalg.svd(texts.T.astype(np.float64), full_matrices=False)[0][:, 1:]
    nodes = np.concatenate([texts, images]).astype(np.float64)
    if project:
        nodes = nodes @ (directions @ directions.T)
    nodes /= np.linalg.norm(nodes, axis=1, keepdims=True)
    affinities = (nodes @ nodes.T + 1) / 2
    np.fill_diagonal(affinities, 0)
    kept = np.zeros_like(affinities)
    for node, row in enumerate(affinities):
        best = np.argsort(-row, kind="stable")[:k]
        kept[node, best] = row[best]
    kept = (kept + kept.T) / 2
    scale = np.diag((kept @ np.ones(len(kept))) ** -0.5)
    system = np.eye(len(kept)) - alpha * scale @ kept @ scale
    given = np.eye(len(kept))[:, : len(texts)]
    if steps is None:
        return np.linalg.solve(system, given)
    return np.stack([cg(system, column, rtol=1e-6, maxiter=steps)[0] for column in given.T], axis=1)


def sure(shares):
    """Nodes whose best class stands out from the second by more than float32 could lose."""
    second, first = np.sort(shares, axis=1)[:, -2:].T
    return first - second > 1e-4 * first


@pytest.mark.parametrize("steps", [20, None])
@pytest.mark.parametrize(("k", "alpha"), [(20, 0.99), (5, 0.5)])
@pytest.mark.parametrize("block", [2**24, 200])
@pytest.mark.parametrize("project", [True, False])
def test_it_is_the_definition(monkeypatch, steps, k, alpha, block, project):
    monkeypatch.setattr(module, "_BLOCK_VALUES", block)  # the smaller one: two classes at a time
    texts, images = random_features()
    shares = reference(texts, images, k, alpha, steps, project)
    labels = propagate(texts, images, projection(texts) if project else None, k, alpha, steps or 500)
    clear = sure(shares)
    assert clear.mean() > 0.9
    assert labels[clear].tolist() == shares.argmax(axis=1)[clear].tolist()


def test_the_solution_is_accurate():
    texts, images = random_features()
    nodes = unit(np.concatenate([texts, images]) @ projection(texts))
    found = module.search(nodes, np.arange(len(nodes)), 6)
    graph = module.normalised_graph(found.images[:, 1:], (1 + found.similarity[:, 1:]) / 2)
    given = np.eye(len(nodes), dtype=np.float32)[:, : len(texts)]
    for steps in (20, 500):
        solution, _ = module.conjugate_gradients(graph, given, 0.9, steps, 1e-6)
        expected = reference(texts, images, 5, 0.9, steps=None if steps == 500 else steps)
        np.testing.assert_allclose(solution, expected, atol=2e-5)


@pytest.mark.parametrize("cut_dim", [None, 4])
def test_the_projection_has_the_cosines_of_the_matrix(cut_dim):
    texts, images = random_features()
    basis = projection(texts, cut_dim)
    directions = np.linalg.svd(texts.T, full_matrices=False)[0][:, 1:cut_dim]
    assert basis.shape == (12, (cut_dim or len(texts)) - 1)
    np.testing.assert_allclose(basis.T @ basis, np.eye(basis.shape[1]), atol=1e-6)
    np.testing.assert_allclose(basis @ basis.T, directions @ directions.T, atol=1e-5)
    np.testing.assert_allclose(
        unit(images @ basis) @ unit(texts @ basis).T,
        unit(images @ directions @ directions.T) @ unit(texts @ directions @ directions.T).T,
        atol=1e-5,
    )


def test_equal_texts_add_no_direction():
    texts, _ = random_features(classes=3)
    assert projection(np.concatenate([texts, texts])).shape == (12, 2)
    assert projection(np.repeat(texts[:1], 4, axis=0)).shape == (12, 0)


def test_of_many_classes_250_directions_are_cut():
    texts = unit(np.random.default_rng(0).normal(size=(501, 300)))
    assert projection(texts).shape == (300, 249)
    assert projection(texts[:500]).shape == (300, 299)


def test_a_photo_that_no_name_reaches_has_no_label():
    texts = unit(np.array([[1, 0.2, 0], [1, -0.2, 0.0], [1, 0.0, 0.2]]))
    # each text has a photo of its own nearest; two photos on the far side have each other
    images = unit(np.concatenate([texts, [[1, -5.0, -5], [1, -5.0, -5]]]))
    assert propagate(texts, images, projection(texts), k=1).tolist() == [0, 1, 2, 0, 1, 2, -1, -1]


def test_centroids_are_means_of_texts_and_photos():
    texts, images = random_features(classes=4, images=30)
    labels = np.random.default_rng(1).integers(-1, 3, size=34)  # no node has class 3
    everyone = np.concatenate([texts, images])
    expected = unit(np.stack([everyone[labels == c].mean(axis=0) for c in range(3)]))
    means = centroids(texts, images, labels)
    np.testing.assert_allclose(means[:3], expected, atol=1e-6)
    np.testing.assert_array_equal(means[3], texts[3])


def test_memory_does_not_grow_with_the_square_of_the_photos(monkeypatch):
    monkeypatch.setattr(module, "_BLOCK_VALUES", 2**16)
    texts, images = random_features(classes=5, images=4000)
    basis = projection(texts)
    propagate(texts, images[:100], basis, k=5)  # imports faiss
    tracemalloc.start()
    try:
        propagate(texts, images, basis, k=5)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 4000**2  # a quarter of a float32 matrix of all by all
