import numpy as np
import pytest

from fgvr.errors import FgvrError
from fgvr.selections.typical import TypicalSelection


def groups(sizes, dim=16, spread=0.3, seed=0):
    """Photos around directions that are far apart; the group of each; ids that do not sort by group."""
    generator = np.random.default_rng(seed)
    centres = np.eye(dim)[: len(sizes)]
    group = np.repeat(np.arange(len(sizes)), sizes)
    features = centres[group] + spread * generator.normal(size=(len(group), dim)) / np.sqrt(dim)
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    ids = [f"{number}.jpg" for number in generator.permutation(len(group))]
    return ids, features.astype(np.float32), group


def test_one_photo_of_each_cluster_however_small():
    ids, features, group = groups([50, 30, 12, 6, 3])
    assert sorted(group[TypicalSelection(5).choose(ids, features)]) == [0, 1, 2, 3, 4]


def test_the_photo_in_the_densest_place_is_chosen():
    ids, features, group = groups([40, 25, 10])
    chosen = TypicalSelection(3, neighbours=5).choose(ids, features)
    for image in chosen:
        members = features[group == group[image]].astype(np.float64)
        nearest = np.sort(members @ members.T, axis=1)[:, -6:-1]
        assert np.array_equal(members[np.argmax(nearest.mean(axis=1))], features[image].astype(np.float64))


def test_a_strange_photo_within_a_cluster_is_not_chosen():
    ids, features, _ = groups([30, 30])
    features[0] = np.float32(0.6) * features[0] + np.float32(0.8) * np.eye(16, dtype=np.float32)[9]
    features[0] /= np.linalg.norm(features[0])
    assert 0 not in TypicalSelection(2).choose(ids, features)


def test_where_there_are_fewer_clusters_the_largest_give_more():
    ids, features, group = groups([20, 4, 2], spread=0.0)
    counts = np.bincount(group[TypicalSelection(5).choose(ids, features)], minlength=3)
    assert counts.sum() == 5
    assert counts.min() >= 1
    assert counts[0] == counts.max()


def test_fewer_than_one_neighbour_is_refused():
    with pytest.raises(FgvrError, match=r"data\.select\.neighbours is 0"):
        TypicalSelection(3, neighbours=0)
