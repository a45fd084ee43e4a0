import pytest
import torch
from slow_tfup import slow_likeness, slow_logits, unit

from fgvr.backbones.base import ImageFeatures
from fgvr.classifiers import feature_cache
from fgvr.classifiers.feature_cache import (
    FeatureCacheClassifier,
    kept_photo_scores,
    likeness,
    log_denominators,
)


@pytest.mark.parametrize("cells", [1, 50, 2**24])
def test_it_equals_a_slow_reference_in_blocks_of_any_size(monkeypatch, cells):
    monkeypatch.setattr(feature_cache, "_CELLS", cells)
    images, classes, keys = unit(7, 8), unit(5, 8, seed=1), unit(5, 3, 8, seed=2)
    denominators = log_denominators(keys.flatten(0, 1), classes)
    alike = likeness(images, classes, keys.flatten(0, 1), denominators)
    expected = [slow_likeness(image, classes, keys.flatten(0, 1)) for image in images]
    torch.testing.assert_close(alike, torch.tensor(expected, dtype=torch.float64), atol=1e-6, rtol=0)
    kept = kept_photo_scores(images, classes, keys, denominators, beta=2.0)
    logits = 50 * images @ classes.T + 0.7 * kept
    expected = [slow_logits(image, classes, keys, 50, 0.7, 2.0) for image in images]
    torch.testing.assert_close(logits, torch.tensor(expected, dtype=torch.float64), atol=1e-6, rtol=0)


def test_the_classifier_computes_the_same_in_float32_and_keeps_it():
    images, classes, keys = unit(6, 16), unit(4, 16, seed=1), unit(4, 2, 16, seed=2)
    classifier = FeatureCacheClassifier(classes, keys, scale=10.0)
    found = classifier(ImageFeatures(images.float()))
    assert found.dtype == torch.float32
    expected = [slow_logits(image, classes, keys, 10, 0.3, 1.0) for image in images]
    torch.testing.assert_close(found, torch.tensor(expected), atol=1e-5, rtol=0)
    other = FeatureCacheClassifier(torch.zeros(4, 16), torch.zeros(4, 1, 16), scale=10.0)
    other.make_room(2)
    other.load_state_dict(classifier.state_dict())
    torch.testing.assert_close(other(ImageFeatures(images.float())), found)


@pytest.mark.parametrize("cells", [1, 2**24])
def test_it_knows_the_photos_that_it_keeps(monkeypatch, cells):
    monkeypatch.setattr(feature_cache, "_CELLS", cells)
    images, classes = unit(6, 16), unit(3, 16, seed=1)
    classifier = FeatureCacheClassifier(classes, images[[0, 2, 0]][:, None], scale=10.0)
    as_stored = torch.nn.functional.normalize(images.half().float(), dim=-1)
    assert classifier.holds(as_stored).tolist() == [True, False, True, False, False, False]


@pytest.mark.parametrize(("classes", "kept"), [(1, 1), (1, 4), (3, 1)])
def test_where_kept_photos_diverge_alike_each_is_as_like_as_can_be(classes, kept):
    images, texts = unit(4, 8).float(), unit(classes, 8, seed=1).float()
    keys = unit(1, 8, seed=2).float().expand(classes, kept, 8)
    scores = kept_photo_scores(images, texts, keys, log_denominators(keys.flatten(0, 1), texts), 1.0)
    expected = kept * (-(1 - 2 * images @ keys[0, 0])).exp()
    torch.testing.assert_close(scores, expected[:, None].expand(4, classes), atol=1e-4, rtol=0)
