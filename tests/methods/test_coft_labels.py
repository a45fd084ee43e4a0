import math

import pytest
import torch
from slow_coft import SCALE, seeds
from torch.nn import functional as F

from fgvr.methods import coft_labels
from fgvr.methods.coft_labels import models_labels, most_confident, nearest_labels


def unit(*shape, seed=0):
    return F.normalize(torch.randn(shape, generator=torch.Generator().manual_seed(seed)), dim=-1)


@pytest.mark.parametrize("rows", [7, 4096])
@pytest.mark.parametrize("k", [1, 3, 1000])
def test_the_surest_photos_of_each_class_are_those_of_the_definition(k, rows, monkeypatch):
    monkeypatch.setattr(coft_labels, "_ROWS", rows)
    images, texts = unit(60, 8), unit(5, 8, seed=1)
    texts[3] = -images.mean(0)  # a class that hardly any photo is predicted as
    images[30:40] = images[20:30]  # equal confidence
    assert most_confident(*nearest_labels(images, texts, SCALE), k).tolist() == seeds(images, texts, k)
    allowed = [[row % 5, (row + 2) % 5] if row % 3 else [row % 5] for row in range(60)]
    padded = torch.tensor([[*some, *[-1] * (2 - len(some))] for some in allowed])
    found = most_confident(*nearest_labels(images, texts, SCALE, padded), k)
    assert found.tolist() == seeds(images, texts, k, allowed)


def test_the_order_of_confidence_is_kept_where_probabilities_are_1_in_float32():
    images = F.normalize(torch.tensor([[1.0, 0.5], [1.0, 0.3], [1.0, 0.0]]), dim=1)
    labels, confidence = nearest_labels(images, torch.eye(2), 1000.0)
    assert (confidence.sigmoid() == 1).all()
    assert most_confident(labels, confidence, 1).tolist() == [-1, -1, 0]


def test_what_two_models_say_is_the_definition():
    images, views, texts = unit(2, 20, 6), unit(2, 20, 6, seed=1), unit(2, 2, 4, 6, seed=2)
    said = models_labels(images, views, texts, SCALE)
    for m in range(2):
        for i in range(20):
            logits = (SCALE * texts[m, 0] @ images[m, i]).tolist()
            y = max(range(4), key=lambda c: logits[c])
            assert said.labels[m, i] == y
            others = math.log(sum(math.exp(z) for c, z in enumerate(logits) if c != y))
            assert said.confidence[m, i].item() == pytest.approx(logits[y] - others, abs=1e-4)
            seen = (SCALE * texts[m, 0] @ views[m, i]).argmax()
            assert said.view_labels[m, i] == seen
            for j in range(2):
                margin = SCALE * ((texts[j, 0, y] - texts[j, 1, y]) @ images[j, i]).item()
                assert said.margins[j, m, i].item() == pytest.approx(margin, abs=1e-4)
    assert models_labels(images, None, texts, SCALE).view_labels is None
