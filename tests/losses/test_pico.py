import math

import pytest
import torch
from torch.nn import functional as F

from fgvr.losses.pico import PicoLoss


@pytest.fixture
def features():
    generator = torch.Generator().manual_seed(7)
    return {
        "image_features": F.normalize(torch.randn(4, 6, generator=generator), dim=1),
        "class_features": F.normalize(torch.randn(5, 6, generator=generator), dim=1),
    }


def reference(batches, sets, images, prototypes, start_epoch, epochs=4):
    """-sum w log p; w moves towards the candidate with the largest inner product, one number at a time."""
    sets, weights = sets
    steps = []
    for epoch, logits in enumerate(batches.tolist()):
        phi = 0.95 + epoch / epochs * (0.8 - 0.95)
        losses = []
        for i, candidates in enumerate(sets):
            total = sum(math.exp(value) for value in logits[i])
            log_probs = [math.log(math.exp(logits[i][c]) / total) for c in candidates]
            losses.append(-sum(w * value for w, value in zip(weights[i], log_probs, strict=True)))
            if epoch >= start_epoch:
                scores = [sum(f * m for f, m in zip(images[i], prototypes[c], strict=True)) for c in candidates]
                best = scores.index(max(scores))
                weights[i] = [phi * w + (1 - phi) * (k == best) for k, w in enumerate(weights[i])]
        steps.append(losses)
    return torch.tensor(steps)


@pytest.mark.parametrize("start_epoch", [0, 1, 2])
def test_losses_and_weights_are_the_formula(labels, sets, batches, train, features, start_epoch):
    found = train(PicoLoss(start_epoch=start_epoch), labels, batches, **features)
    images, prototypes = (part.tolist() for part in features.values())
    torch.testing.assert_close(found, reference(torch.stack(batches), sets, images, prototypes, start_epoch))


def test_features_are_needed(labels, batches, train):
    with pytest.raises(RuntimeError, match=r"PicoLoss needs image and class features.*loss\.step"):
        train(PicoLoss(), labels, batches)
