import numpy as np

from fgvr.candidates.base import NamedImages
from fgvr.candidates.honest_folds import honest_folds
from fgvr.candidates.knn import KnnCandidates
from fgvr.candidates.mllm_direct import MllmDirectCandidates
from fgvr.candidates.single import SingleCandidates
from fgvr.candidates.union import UnionCandidates


def images(count=23):
    generator = np.random.default_rng(0)
    features = generator.normal(size=(count, 6)).astype(np.float32)
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    labels = [() if row % 7 == 3 else (int(generator.integers(0, 5)),) for row in range(count)]
    return NamedImages(tuple(f"{row:02}.jpg" for row in range(count)), labels, 5, features)


def test_every_named_photo_is_in_one_fold_and_its_name_in_no_set_of_that_fold():
    given = images()
    given = NamedImages(given.sample_ids, [(row,) for row in range(23)], 23, given.features)
    folds = honest_folds(KnnCandidates(4).build, given)
    assert sorted(np.concatenate([rows for rows, _ in folds]).tolist()) == list(range(23))
    assert len(folds) == 10
    for rows, sets in folds:
        assert not set(rows.tolist()) & set(sets.indices.tolist()), "names are the photos' numbers here"


def test_photos_without_a_name_are_in_no_fold_and_folds_are_drawn_from_ids_alone():
    given = images()
    folds = honest_folds(KnnCandidates(3).build, given)
    rows = np.concatenate([rows for rows, _ in folds])
    assert not {3, 10, 17} & set(rows.tolist())
    again = honest_folds(KnnCandidates(3).build, images())
    for (first, sets), (second, other) in zip(folds, again, strict=True):
        np.testing.assert_array_equal(first, second)
        np.testing.assert_array_equal(sets.indices, other.indices)


def test_few_photos():
    one = NamedImages(("a", "b"), [(0,), ()], 1, np.eye(2, dtype=np.float32))
    assert honest_folds(KnnCandidates(2).build, one) == []
    two = NamedImages(("a", "b"), [(0,), (0,)], 1, np.eye(2, dtype=np.float32))
    assert [rows.tolist() for rows, _ in honest_folds(KnnCandidates(2).build, two)] in ([[0], [1]], [[1], [0]])


def test_which_strategies_need_folds():
    assert SingleCandidates().own_names_alone
    assert MllmDirectCandidates().own_names_alone
    assert not KnnCandidates().own_names_alone
    assert UnionCandidates([SingleCandidates(), MllmDirectCandidates()]).own_names_alone
    assert not UnionCandidates([SingleCandidates(), KnnCandidates()]).own_names_alone
