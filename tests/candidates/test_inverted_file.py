import faiss
import numpy as np
import pytest

from fgvr.candidates import inverted_file, nearest
from fgvr.candidates.inverted_file import InvertedFile


def clustered(images=600, classes=30, dim=24, noise=0.5, seed=0):
    generator = np.random.default_rng(seed)
    centres = generator.normal(size=(classes, dim))
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    features = centres[generator.integers(classes, size=images)] + noise / dim**0.5 * generator.normal(
        size=(images, dim)
    )
    return (features / np.linalg.norm(features, axis=1, keepdims=True)).astype(np.float32)


def reference(index, k, probes):
    """The definition, one photo at a time: the best of the photos in its nearest cells, itself first."""
    whole = np.rint(index.features * np.float32(4000)).astype(np.int64)
    products = whole @ index.centroids.astype(np.int64).T
    cells = [np.argsort(-row, kind="stable")[:probes].tolist() for row in products]
    vectors = index.features.astype(np.float64)
    rows = []
    for image, near in enumerate(cells):
        pool = [other for other in index.named.tolist() if cells[other][0] in near]
        if len(pool) < k:
            pool = index.named.tolist()
        ranked = sorted((other != image, -float((vectors[image] * vectors[other]).sum()), other) for other in pool)
        rows.append([other for _, _, other in ranked[:k]])
    return rows


@pytest.mark.parametrize("probes", [1, 3, 40])
def test_it_is_the_best_of_the_probed_cells(probes):
    features = clustered(300)
    index = InvertedFile(features, np.arange(0, 300, 2), cells=40)
    images, similarity = index.search(4, probes)
    assert images.tolist() == reference(index, 4, probes)
    expected = np.take_along_axis(features.astype(np.float64) @ features.T, images, axis=1)
    np.testing.assert_allclose(similarity, expected, atol=1e-7)


def test_all_cells_hold_the_exact_neighbours():
    features = clustered(250, noise=3.0)
    index = InvertedFile(features, np.arange(250), cells=12)
    images, _ = index.search(5, probes=12)
    assert images.tolist() == nearest.nearest(features, np.arange(250), 5).tolist()


def test_the_number_of_probes_is_the_least_that_holds_the_sample():
    features = clustered(noise=2.0)
    index = InvertedFile(features, np.arange(600), cells=20)
    queries = np.arange(0, 600, 7)
    probes = index.choose_probes(4, queries)
    truth = nearest.nearest(features, np.arange(600), 4)
    assert 1 < probes <= 20
    for count, enough in ((probes, True), (probes - 1, False)):
        found, _ = index.search(4, count)
        hits = [len(set(found[q, 1:]) & set(truth[q, 1:])) for q in queries]
        assert (sum(hits) >= 0.995 * 3 * len(queries)) == enough


def test_no_more_cells_than_allowed_are_probed(monkeypatch):
    monkeypatch.setattr(inverted_file, "_MAX_PROBES", 2)
    assert InvertedFile(clustered(noise=3.0), np.arange(600), cells=50).choose_probes(4, np.arange(100)) == 2


def test_the_number_of_threads_and_the_size_of_blocks_change_nothing(monkeypatch):
    features = clustered(2000, classes=60, dim=33)
    index = InvertedFile(features, np.arange(2000))
    images, similarity = index.search(4, 3)
    threads = faiss.omp_get_max_threads()
    try:
        faiss.omp_set_num_threads(1 if threads > 1 else 2)
        other = InvertedFile(features, np.arange(2000))
        assert np.array_equal(other.centroids, index.centroids)
        assert all(map(np.array_equal, other.search(4, 3), (images, similarity)))
    finally:
        faiss.omp_set_num_threads(threads)
    monkeypatch.setattr(nearest, "BLOCK_VALUES", 5000)
    assert all(map(np.array_equal, InvertedFile(features, np.arange(2000)).search(4, 3), (images, similarity)))


def test_products_of_whole_numbers_are_exact_in_float32():
    features = clustered(200, dim=1500, noise=3.0)
    whole = inverted_file._whole_numbers(features)
    assert np.array_equal(whole, np.rint(whole))
    lengths = np.sqrt((whole.astype(np.float64) ** 2).sum(axis=1))
    assert lengths.max() ** 2 < 2**24
    exact = whole.astype(np.int64) @ whole.astype(np.int64).T
    for order in (slice(None), slice(None, None, -1)):
        product = whole[:, order] @ np.ascontiguousarray(whole[:, order].T)
        assert np.array_equal(product.astype(np.int64), exact)


def test_photos_that_are_all_alike():
    features = np.ones((50, 4), dtype=np.float32) / 2
    images, similarity = InvertedFile(features, np.arange(50)).search(3, 2)
    assert images[0].tolist() == [0, 1, 2]
    assert all(row.tolist() == [image, 0, 1] for image, row in enumerate(images) if image > 1)
    assert (similarity == 1).all()


def test_very_many_that_are_all_but_equal_are_not_compared_for_ever(monkeypatch):
    monkeypatch.setattr(inverted_file, "_WIDEST", 8)
    features = np.ones((50, 4), dtype=np.float32) / 2
    images, _ = InvertedFile(features, np.arange(50), cells=1).search(3, 1)
    assert images.shape == (50, 3)
    assert all(len(set(row)) == 3 for row in images.tolist())
