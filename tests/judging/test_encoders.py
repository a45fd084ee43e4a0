import numpy as np
import pytest
from judging.judged import NAMES, letters

from fgvr.judging.encoders import CLIP_TEMPLATES, class_features, nearest


def slow_nearest(features, texts):
    found = []
    for text in texts:
        best, where = -2.0, -1
        for number, feature in enumerate(features):
            cosine = sum(float(a) * float(b) for a, b in zip(feature, letters([text])[0], strict=True))
            if cosine > best + 1e-6:
                best, where = cosine, number
        found.append(where)
    return found


def test_a_class_is_the_normalised_mean_over_the_templates():
    features = class_features(letters, ["Great_Dane"], ["{}", "a {}."])
    mean = (letters(["Great Dane"])[0] + letters(["a Great Dane."])[0]) / 2
    assert np.allclose(features[0], mean / np.linalg.norm(mean), atol=1e-6)


def test_nearest_agrees_with_a_slow_reference_also_beyond_one_chunk():
    features = class_features(letters, NAMES, CLIP_TEMPLATES)
    draw = np.random.default_rng(0)
    texts = ["".join(chr(97 + letter) for letter in draw.integers(0, 26, 6)) for _ in range(1_100)]
    assert nearest(letters, features, texts)[:60].tolist() == slow_nearest(features, texts[:60])
    assert nearest(letters, features, texts)[1_030:].tolist() == slow_nearest(features, texts[1_030:])
    assert nearest(letters, features, []).shape == (0,)


@pytest.mark.parametrize("names", [("ab", "ba", "cd"), ("ba", "ab", "cd")])
def test_of_equally_near_classes_the_first_of_the_list_is_taken(names):
    features = class_features(letters, names, ["{}"])
    assert nearest(letters, features, ["abab", "abab"]).tolist() == [0, 0]
