import numpy as np
import pytest
import torch

from fgvr.descriptions import pseudo_labels
from fgvr.descriptions.pseudo_labels import zero_shot_labels


def unit(draw, *shape):
    rows = draw.normal(size=shape).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.fixture
def features():
    draw = np.random.default_rng(0)
    return unit(draw, 50, 8), unit(draw, 7, 8)


def test_it_is_the_nearest_class(features, monkeypatch):
    images, classes = features
    slow = [max(range(len(classes)), key=lambda c: float(np.dot(image, classes[c]))) for image in images]
    assert zero_shot_labels(images, classes).tolist() == slow
    assert zero_shot_labels(torch.from_numpy(images), torch.from_numpy(classes)).tolist() == slow
    monkeypatch.setattr(pseudo_labels, "_PRODUCTS", 20)  # two photos at a time
    labels = zero_shot_labels(images, classes)
    assert labels.tolist() == slow
    assert labels.dtype == np.int64


def test_of_equal_classes_the_first():
    classes = np.array([[0, 1], [1, 0], [1, 0]], np.float32)
    assert zero_shot_labels(np.array([[1, 0]], np.float32), classes).tolist() == [1]


def test_no_photos(features):
    assert zero_shot_labels(np.zeros((0, 8), np.float32), features[1]).shape == (0,)


@pytest.mark.parametrize("classes", [np.zeros((0, 8), np.float32), np.zeros((3, 7), np.float32), np.zeros(8)])
def test_shapes_that_do_not_fit(features, classes):
    with pytest.raises(ValueError, match="shape"):
        zero_shot_labels(features[0], classes)
