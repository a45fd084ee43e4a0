import numpy as np
import pytest
from candidates.drawn import random_images

from fgvr.candidates.base import NamedImages
from fgvr.candidates.mutual_knn import MutualKnnCandidates
from fgvr.errors import FgvrError


def reference(images, k):
    """The definition: neighbourhoods as ``knn`` has them; photos that would be in one count as being in it."""
    vectors = images.features.astype(np.float64)
    named = [image for image, names in enumerate(images.labels) if names]

    def neighbourhood(image, pool):
        order = sorted(pool, key=lambda other: (other != image, -float(sum(vectors[image] * vectors[other])), other))
        return order[:k]

    sets = {}
    for image in range(len(vectors)):
        names = [
            images.labels[other][0]
            for other in neighbourhood(image, named)
            if image in neighbourhood(other, sorted({*named, image}))
        ]
        if names:
            sets[images.sample_ids[image]] = list(dict.fromkeys(names))
    return sets


@pytest.mark.parametrize("k", [1, 2, 4, 9, 100])
@pytest.mark.parametrize("distinct", [None, 12, 1])
def test_it_is_the_definition(k, distinct):
    images = random_images(dim=6, num_classes=40, distinct=distinct)
    sets = MutualKnnCandidates(k).build(images)
    found = {sample_id: indices.tolist() for sample_id, (indices, _) in zip(sets.sample_ids, sets, strict=True)}
    assert found == reference(images, k)
    assert all(weights.tolist() == pytest.approx([1 / len(weights)] * len(weights)) for _, weights in sets)


def test_as_many_named_photos_as_a_neighbourhood_holds():
    images = random_images(count=12, dim=6, num_classes=40)
    k = sum(bool(names) for names in images.labels)
    sets = MutualKnnCandidates(k).build(images)
    assert dict(zip(sets.sample_ids, (row.tolist() for row, _ in sets), strict=True)) == reference(images, k)


def test_a_hub_gives_its_name_to_few():
    # photo 0 is everyone's nearest, and only one of them is its own nearest
    features = np.eye(5, dtype=np.float32)
    features[0] = 0.5
    features[0, 1] = 0.6
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    images = NamedImages(tuple("abcde"), [(number,) for number in range(5)], 5, features)
    sets = [indices.tolist() for indices, _ in MutualKnnCandidates(2).build(images)]
    assert sets == [[0, 1], [1, 0], [2], [3], [4]]


def test_k_below_one_is_refused():
    with pytest.raises(FgvrError, match=r"candidates\.k is 0"):
        MutualKnnCandidates(k=0)
