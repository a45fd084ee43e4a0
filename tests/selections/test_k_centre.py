import numpy as np
import pytest

from fgvr.selections.k_centre import KCentreSelection


def images(count=50, dim=6, distinct=None):
    generator = np.random.default_rng(0)
    features = generator.normal(size=(count, dim)) + 0.5
    features = features[np.arange(count) % (distinct or count)]
    return [f"{number:02}.jpg" for number in range(count)], (
        features / np.linalg.norm(features, axis=1, keepdims=True)
    ).astype(np.float32)


@pytest.mark.parametrize("n", [1, 2, 10, 49])
def test_it_is_the_definition(n):
    ids, features = images()
    vectors = features.astype(np.float64)
    centres = [int(np.argmax(vectors @ vectors.mean(axis=0)))]
    while len(centres) < n:
        distances = {
            image: min(1 - float(vectors[image] @ vectors[centre]) for centre in centres)
            for image in range(len(ids))
            if image not in centres
        }
        centres.append(max(distances, key=distances.__getitem__))
    assert KCentreSelection(n).choose(ids, features).tolist() == sorted(centres)


def test_lengths_that_half_precision_put_off_make_no_difference():
    ids, features = images()
    longer = features * np.random.default_rng(1).uniform(0.995, 1.005, size=(50, 1)).astype(np.float32)
    assert KCentreSelection(12).choose(ids, longer).tolist() == KCentreSelection(12).choose(ids, features).tolist()


def test_copies_come_last():
    ids, features = images(distinct=10)
    chosen = KCentreSelection(10).choose(ids, features)
    assert len(np.unique(features[chosen], axis=0)) == 10
    assert len(KCentreSelection(30).choose(ids, features)) == 30


def test_the_seed_decides_among_equals_alone():
    ids, features = images()
    assert (
        KCentreSelection(9, seed=1).choose(ids, features).tolist() == KCentreSelection(9).choose(ids, features).tolist()
    )
    ids, features = images(distinct=10)
    chosen = [KCentreSelection(10, seed=seed).choose(ids, features) for seed in (0, 1)]
    assert chosen[0].tolist() != chosen[1].tolist()
    assert np.array_equal(np.unique(features[chosen[0]], axis=0), np.unique(features[chosen[1]], axis=0))
