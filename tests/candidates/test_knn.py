from dataclasses import replace

import faiss
import numpy as np
import pytest
from candidates.drawn import named_images, random_images, ranked

from fgvr.candidates import nearest as flat
from fgvr.candidates.inverted_file import InvertedFile
from fgvr.candidates.knn import KnnCandidates
from fgvr.candidates.nearest import nearest
from fgvr.errors import FgvrError


def reference(images, k):
    """The definition, one photo at a time."""
    sets = []
    for image in range(len(images.labels)):
        names = [images.labels[other][0] for _, _, other in ranked(images, image)[:k]]
        sets.append(list(dict.fromkeys(names)))
    return sets


def as_lists(sets):
    return [indices.tolist() for indices, _ in sets]


@pytest.mark.parametrize("k", [1, 2, 3, 7, 100])
@pytest.mark.parametrize("distinct", [None, 9, 1])
def test_it_is_the_definition(k, distinct):
    images = random_images(distinct=distinct)
    sets = KnnCandidates(k).build(images)
    assert as_lists(sets) == reference(images, k)
    assert sets.sample_ids == images.sample_ids


def test_names_that_occur_twice_count_once_and_weights_are_uniform():
    images = named_images([[1, 0], [1, 0.1], [1, 0.2], [0, 1]], [(0,), (1,), (0,), (2,)])
    sets = KnnCandidates(3).build(images)
    assert as_lists(sets)[0] == [0, 1]
    assert next(iter(sets))[1].tolist() == [0.5, 0.5]


def test_only_the_first_name_of_a_photo_counts():
    images = named_images([[1, 0], [1, 0.1]], [(0, 7), (1, 8)])
    assert as_lists(KnnCandidates(2).build(images)) == [[0, 1], [1, 0]]


def test_photos_without_a_name_get_the_neighbours_names_and_give_none():
    images = named_images([[1, 0], [1, 0.1], [1, 0.3], [0, 1]], [(), (1,), (2,), ()])
    assert as_lists(KnnCandidates(2).build(images)) == [[1, 2], [1, 2], [2, 1], [2, 1]]


def test_the_photo_is_its_own_nearest_among_duplicates_and_the_others_come_in_order():
    images = named_images(np.ones((50, 4)), [(image,) for image in range(50)], num_classes=50)
    sets = as_lists(KnnCandidates(3).build(images))
    assert sets[0] == [0, 1, 2]
    assert sets[1] == [1, 0, 2]
    assert all(names == [image, 0, 1] for image, names in enumerate(sets) if image > 1)


def test_lengths_that_half_precision_put_off_do_not_hide_the_photo_itself():
    lengths = np.linspace(0.995, 1.005, 50, dtype=np.float32)[:, None]
    images = named_images(np.ones((50, 4)), [(image,) for image in range(50)], num_classes=50)
    sets = as_lists(KnnCandidates(1).build(replace(images, features=images.features * lengths)))
    assert sets == [[image] for image in range(50)]


def test_the_number_of_threads_and_the_size_of_blocks_change_nothing(monkeypatch):
    images = random_images(count=300, dim=33, distinct=40, num_classes=200)
    expected = as_lists(KnnCandidates(4).build(images))
    threads = faiss.omp_get_max_threads()
    try:
        faiss.omp_set_num_threads(1 if threads > 1 else 2)
        assert as_lists(KnnCandidates(4).build(images)) == expected
    finally:
        faiss.omp_set_num_threads(threads)
    monkeypatch.setattr(flat, "BLOCK_VALUES", 1000)
    assert as_lists(KnnCandidates(4).build(images)) == expected


@pytest.mark.parametrize("block", [2**24, 100])
def test_only_the_queries_are_searched_for_and_come_in_their_order(monkeypatch, block):
    monkeypatch.setattr(flat, "BLOCK_VALUES", block)
    searched = []
    search = faiss.IndexFlatIP.search
    monkeypatch.setattr(faiss.IndexFlatIP, "search", lambda index, x, k: searched.append(len(x)) or search(index, x, k))
    images, named = random_images(), np.arange(0, 60, 2)
    everything = nearest(images.features, named, 4)
    assert sum(searched) >= 60
    searched.clear()
    queries = np.array([33, 4, 58, 5])
    assert nearest(images.features, named, 4, queries).tolist() == everything[queries].tolist()
    assert max(searched) <= len(queries)
    assert nearest(images.features, named, 4, queries[:0]).shape == (0, 4)


def test_features_that_are_no_unit_vectors_are_refused():
    images = named_images([[1, 0], [0, 1]], [(0,), (1,)])
    for features in (2 * images.features, images.features[:1], np.full((2, 2), np.nan, dtype=np.float32)):
        with pytest.raises(FgvrError, match="L2-normalised"):
            KnnCandidates().build(replace(images, features=features))


def test_k_below_one_is_refused():
    with pytest.raises(FgvrError, match=r"candidates\.k is 0"):
        KnnCandidates(k=0)


def weighted_reference(images, k, share):
    sets = []
    for image in range(len(images.labels)):
        totals = {}
        for _, negative, other in ranked(images, image)[:k]:
            name = images.labels[other][0]
            totals[name] = totals.get(name, 0) + share(-negative)
        sets.append((list(totals), [value / sum(totals.values()) for value in totals.values()]))
    return sets


@pytest.mark.parametrize(
    ("weights", "share"), [("count", lambda cosine: 1.0), ("similarity", lambda cosine: np.exp(cosine / 0.5))]
)
def test_weights_are_the_definition(weights, share):
    images = random_images(num_classes=4)
    sets = KnnCandidates(6, weights=weights, temperature=0.5).build(images)
    for (indices, found), (wanted, expected) in zip(sets, weighted_reference(images, 6, share), strict=True):
        assert indices.tolist() == wanted
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_low_temperature_leaves_weights_positive():
    sets = KnnCandidates(5, weights="similarity", temperature=1e-3).build(random_images())
    assert (sets.weights > 0).all()


def test_many_photos_are_searched_approximately_and_few_exactly(monkeypatch):
    searched = []
    search = InvertedFile.search
    monkeypatch.setattr(InvertedFile, "search", lambda index, k, probes: searched.append(k) or search(index, k, probes))
    images = random_images(count=200)
    exact = as_lists(KnnCandidates(3, exact_below=200).build(images))
    assert searched == []
    found = as_lists(KnnCandidates(3, exact_below=199).build(images))
    assert searched == [3]
    assert np.mean([one == other for one, other in zip(exact, found, strict=True)]) > 0.9


@pytest.mark.parametrize(("option", "value"), [("weights", "distance"), ("temperature", 0.0), ("temperature", np.nan)])
def test_options_out_of_range_are_refused(option, value):
    with pytest.raises(FgvrError, match=rf"candidates\.{option} is"):
        KnnCandidates(**{option: value})
