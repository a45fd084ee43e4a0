from dataclasses import replace

import numpy as np

from fgvr.candidates.base import NamedImages
from fgvr.candidates.knn import KnnCandidates
from fgvr.candidates.random import RandomCandidates


def images_with(labels, num_classes, seed=0):
    features = np.random.default_rng(7).normal(size=(len(labels), 6)).astype(np.float32)
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    sample_ids = tuple(f"{image}.jpg" for image in range(len(labels)))
    return NamedImages(sample_ids, labels, num_classes, features, seed)


def test_own_name_first_and_the_sizes_of_knn():
    labels = [(image % 5,) if image % 4 else () for image in range(40)]
    images = images_with(labels, num_classes=8)
    sets, knn = RandomCandidates(4).build(images), KnnCandidates(4).build(images)
    assert sets.sample_ids == knn.sample_ids
    assert sets.offsets.tolist() == knn.offsets.tolist()
    assert sets.weights.tolist() == knn.weights.tolist()
    assert all(set_[0][0] == names[0] for set_, names in zip(sets, labels, strict=True) if names)


def test_the_draw_comes_from_the_seed_alone():
    images = images_with([(image,) for image in range(30)], num_classes=30)
    indices = RandomCandidates().build(images).indices.tolist()
    np.random.default_rng().random()
    turned = replace(images, features=images.features[::-1].copy())  # other neighbours, equal sizes
    assert RandomCandidates().build(turned).indices.tolist() == indices
    assert RandomCandidates().build(replace(images, seed=1)).indices.tolist() != indices


def test_every_other_name_is_equally_likely():
    pairs = 2000
    images = images_with([(2,), (0,)] * pairs, num_classes=5)
    images = replace(images, features=images.features[::2].repeat(2, axis=0))  # each pair's sets have two names
    drawn = RandomCandidates(2).build(images).indices.reshape(pairs, 2, 2)[:, 0, 1]
    shares = np.bincount(drawn, minlength=5) / pairs
    assert shares[2] == 0
    np.testing.assert_allclose(np.delete(shares, 2), 0.25, atol=0.05)


def test_the_whole_vocabulary_may_be_needed():
    images = images_with([(0,), (1,), ()], num_classes=2)
    assert [sorted(indices.tolist()) for indices, _ in RandomCandidates(2).build(images)] == [[0, 1]] * 3
