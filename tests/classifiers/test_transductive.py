import numpy as np
import pytest
import torch
import torch.nn.functional as F

from fgvr.backbones.base import ImageFeatures
from fgvr.classifiers.centred import CentredClassifier, centred
from fgvr.classifiers.fused import FusedClassifier
from fgvr.classifiers.transductive import AnchoredMeansClassifier, TransductiveFusion, anchored_means

CLASSES, DIM = 12, 32


def drawn(counts, support=4, noise=1.0, seed=0):
    """Sums of support photos, and photos of the classes as many as ``counts`` says, with their classes."""
    generator = torch.Generator().manual_seed(seed)
    centres = F.normalize(torch.randn((CLASSES, DIM), generator=generator), dim=1)

    def photos(classes):
        noise_of = torch.randn((len(classes), DIM), generator=generator) / DIM**0.5
        return F.normalize(centres[classes] + noise * noise_of, dim=1)

    learned = torch.arange(CLASSES).repeat_interleave(support)
    sums = torch.zeros((CLASSES, DIM)).index_add_(0, learned, photos(learned))
    true = torch.repeat_interleave(torch.arange(CLASSES), torch.tensor(counts))
    return sums, torch.full((CLASSES,), float(support)), photos(true), true


def reference(sums, counts, images, temperature, confidence_temperature, steps):
    """The docstring by loops."""
    sums, images = sums.double().numpy(), images.double().numpy()
    weight = sums / np.linalg.norm(sums, axis=1, keepdims=True)
    for _ in range(steps):
        shares = np.zeros((len(images), len(sums)))
        for i, image in enumerate(images):
            sure, odds = (
                [np.exp((image @ w - max(weight @ image)) / heat) for w in weight]
                for heat in (confidence_temperature, temperature)
            )
            shares[i] = (max(sure) / sum(sure)) ** 2 * np.array(odds) / sum(odds)
        for c in range(len(sums)):
            moved = sum(shares[i, c] * images[i] for i in range(len(images)))
            w = sums[c] + min(1, float(counts[c]) / shares[:, c].sum()) * moved
            weight[c] = w / np.linalg.norm(w)
    return weight


@pytest.mark.parametrize("temperatures", [(0.01, 0.1), (0.2, 0.05)])
def test_it_is_the_definition(temperatures, monkeypatch):
    sums, counts, images, _ = drawn([3] * CLASSES)
    expected = reference(sums, counts, images, *temperatures, 4)
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(1))
    for block in (2**23, 100):
        monkeypatch.setattr("fgvr.classifiers.closed_form.base._BLOCK_VALUES", block)
        for given in (images, images[order]):
            found = anchored_means(sums, counts, given, *temperatures, steps=4)
            np.testing.assert_allclose(found.numpy(), expected, atol=1e-6)


def right(weight, images, true):
    return float(((images.double() @ weight.T).argmax(1) == true).double().mean())


ONE = [20] + [0] * (CLASSES - 1)
THREE = [8, 8, 8] + [0] * (CLASSES - 3)
FIVE_PHOTOS = [1] * 5 + [0] * (CLASSES - 5)
UNEVEN = [40, 1] * (CLASSES // 2)


@pytest.mark.parametrize(
    "counts", [ONE, THREE, FIVE_PHOTOS, UNEVEN, [10] * CLASSES], ids=["one", "three", "five photos", "uneven", "all"]
)
@pytest.mark.parametrize("copies", [1, 3])
@pytest.mark.parametrize("noise", [1.0, 2.0])
def test_it_is_not_worse_than_photo_by_photo_beyond_noise(counts, copies, noise):
    """Over 40 draws: one standard error of the difference, and never more than two points."""
    differences = []
    for seed in range(40):
        sums, kept, images, true = drawn(counts, noise=noise, seed=seed)
        images, true = images.repeat(copies, 1), true.repeat(copies)
        alone = right(F.normalize(sums.double(), dim=1), images, true)
        differences.append(right(anchored_means(sums, kept, images), images, true) - alone)
    found = np.array(differences)
    assert found.mean() >= -found.std() / len(found) ** 0.5
    assert found.mean() >= -0.02


def test_it_helps_where_classes_are_there_and_support_photos_are_few():
    gains = []
    for seed in range(20):
        sums, counts, images, true = drawn([10] * CLASSES, support=1, noise=1.5, seed=seed)
        alone = right(F.normalize(sums.double(), dim=1), images, true)
        gains.append(right(anchored_means(sums, counts, images), images, true) - alone)
    assert np.mean(gains) > 0.05


def test_a_class_without_support_photos_stays_without_and_no_photos_move_nothing():
    sums, counts, images, _ = drawn([3] * CLASSES)
    sums[2], counts[2] = 0, 0
    assert anchored_means(sums, counts, images)[2].tolist() == [0] * DIM
    assert torch.equal(anchored_means(sums, counts, images[:0]), F.normalize(sums.double(), dim=1))
    nobody = torch.zeros_like(counts)
    assert anchored_means(torch.zeros_like(sums), nobody, images).abs().sum() == 0


def test_the_classifier_moves_its_means_and_leaves_the_rest():
    sums, counts, images, _ = drawn([5] * CLASSES)
    centre = torch.full((DIM,), 0.05)
    raw = F.normalize(images + centre, dim=1)
    missing = torch.zeros(CLASSES, dtype=torch.bool)
    missing[3] = True
    means = CentredClassifier(centre, F.normalize(sums, dim=1), missing=missing, scale=7.0)
    text = CentredClassifier(torch.zeros(DIM), F.normalize(sums, dim=1), space="joint")
    features = ImageFeatures(raw, raw)
    alone = AnchoredMeansClassifier(means, sums, counts)
    fused = TransductiveFusion(alone, FusedClassifier(means, text, weight=0.5))
    assert torch.equal(alone(features), means(features))
    expected = anchored_means(sums, counts, centred(raw, centre)).float()
    moved = alone.adapted(features)
    assert torch.allclose(moved.weight, expected)
    assert (moved(features)[:, 3] == -torch.inf).all()
    assert float(moved.scale) == 7.0
    assert fused.adapted(features).visual is moved, "the means move once for the same photos"
    assert alone.adapted(ImageFeatures(raw[:5], raw[:5])) is not moved
    assert torch.equal(fused.adapted(features).text.weight, text.weight)
