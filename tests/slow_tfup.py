"""TFUP written from its equations, photo by photo in float64: a reference for tests."""

import math

import torch
import torch.nn.functional as F


def unit(*shape, seed=0):
    """Random features of length 1."""
    return F.normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).double(), dim=-1)


def softmax(logits):
    """Of a list."""
    most = max(logits)
    parts = [math.exp(logit - most) for logit in logits]
    return [part / sum(parts) for part in parts]


def soft(image, classes):
    """What the texts say of a photo, at factor 10."""
    return softmax([10 * float(image @ text) for text in classes])


def divergence(p, q):
    """Kullback and Leibler's."""
    return sum(a * math.log(a / b) for a, b in zip(p, q, strict=True))


def slow_selection(images, classes, size):
    """Rows of the kept photos of each class."""
    said = [soft(image, classes) for image in images]
    chosen = []
    for c in range(len(classes)):
        likeliest = sorted(range(len(images)), key=lambda n: -said[n][c])[: 2 * size]
        score = {n: sum(divergence(said[n], said[q]) for q in likeliest) for n in likeliest}
        chosen.append(sorted(likeliest, key=score.get)[:size])
    return chosen


def slow_likeness(image, classes, keys):
    """sim of one photo: divergences, z-scores of these, these from 0 to 1, turned round, doubled."""
    p = soft(image, classes)
    found = torch.tensor([divergence(p, soft(key, classes)) for key in keys], dtype=torch.float64)
    z = (found - found.mean()) / found.std()
    return (2 * (1 - (z - z.min()) / (z.max() - z.min()))).tolist()


def slow_logits(image, classes, keys, scale, alpha, beta):
    """TFUP's logits of one photo; keys of shape (C, S, D)."""
    owner = [c for c, own in enumerate(keys) for _ in own]
    flat = keys.flatten(0, 1)
    logits = [scale * float(image @ text) for text in classes]
    for c, key, sim in zip(owner, flat, slow_likeness(image, classes, flat), strict=True):
        logits[c] += alpha * math.exp(-(beta - beta * float(image @ key) * sim))
    return logits
