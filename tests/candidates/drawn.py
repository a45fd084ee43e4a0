"""Photos with drawn features and names."""

import numpy as np

from fgvr.candidates.base import NamedImages


def named_images(features, labels, num_classes=10):
    features = np.asarray(features, dtype=np.float32)
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    return NamedImages(tuple(f"{image:03}.jpg" for image in range(len(labels))), labels, num_classes, features)


def random_images(count=60, dim=16, num_classes=10, distinct=None, seed=0, named=None):
    """Photos with 0 to 2 names, of the first ``named`` classes; only ``distinct`` of them differ."""
    generator = np.random.default_rng(seed)
    features = generator.normal(size=(distinct or count, dim))[generator.permutation(count) % (distinct or count)]
    names = named or num_classes
    labels = [tuple(generator.permutation(names)[: generator.integers(3)].tolist()) for _ in range(count)]
    return named_images(features, labels, num_classes)


def ranked(images, image):
    """The photos with a name as ``image`` has them near: itself, then by similarity, then by order."""
    vectors = images.features.astype(np.float64)
    named = [other for other, names in enumerate(images.labels) if names]
    return sorted((other != image, -float(sum(vectors[image] * vectors[other])), other) for other in named)
