"""CoFT and CoFT+ on the tiny backbone from their equations: plain autograd, a photo at a time, SGD written out."""

import math

import torch
from torch.nn import functional as F

from fgvr.testing.tiny import TinyBackbone

SCALE = 20.0


def softmax(values):
    top = max(values)
    shares = [math.exp(value - top) for value in values]
    return [share / sum(shares) for share in shares]


def seeds(images, texts, k, allowed=None):
    """The class of the k surest photos of each class, -1 for the others."""
    said = []
    for row, image in enumerate(images.double()):
        chances = softmax((SCALE * texts.double() @ image).tolist())
        some = range(len(chances)) if allowed is None else allowed[row]
        label = max(some, key=lambda c: chances[c])
        said.append((label, math.log(chances[label]) - math.log(1 - chances[label])))
    found = [-1] * len(said)
    for c in {label for label, _ in said}:
        rows = sorted((row for row in range(len(said)) if said[row][0] == c), key=lambda row: -said[row][1])
        for row in rows[:k]:
            found[row] = c
    return found


class SlowModel:
    """One model: what it learns as leaves, each with its momentum."""

    def __init__(self, names, start):
        self.backbone = TinyBackbone(logit_scale=SCALE)
        self.backbone.load()
        self.encoder = self.backbone.prompt_encoder()
        self.encoder.prepare(names, start["positive"].shape[0], "end")
        self.values = {name: value.clone().requires_grad_() for name, value in start.items()}
        self.momentum = {}

    def texts(self):
        return self.encoder(self.values["positive"]), self.encoder(self.values["negative"])

    def prompted(self, pixels):
        return self.backbone.visual_prompt_encoder()(pixels, self.values["tokens"]).joint

    def tuned(self, pixels, weights=None):
        weights = weights or self.values
        colours = F.adaptive_avg_pool2d(pixels, 8).flatten(1)
        return F.normalize(colours @ weights["weight"] + weights["bias"], dim=1)

    def margin(self, image, c):
        plus, minus = self.texts()
        return (SCALE * image @ (plus[c] - minus[c])).item()

    def prompt_loss(self, pixels, labels, others, weight):
        (plus, minus), total = self.texts(), 0.0
        for image, y, other in zip(self.prompted(pixels), labels, others, strict=True):
            z_plus, z_minus = SCALE * plus @ image, SCALE * minus @ image
            clean = torch.sigmoid(z_plus - z_minus)
            total = total - z_plus.log_softmax(0)[y] - weight * (clean[y].log() + (1 - clean[other]).log())
        return total / len(labels)

    def label_loss(self, features, labels):
        logits = features @ self.values["head"].T + self.values["offset"]
        rows = [-row.log_softmax(0)[y] for row, y in zip(logits, labels, strict=True) if y >= 0]
        return sum(rows) / max(len(rows), 1)

    def step(self, loss, names, rate, momentum=0.9, decay=5e-4):
        gradients = torch.autograd.grad(loss, [self.values[name] for name in names])
        with torch.no_grad():
            for name, gradient in zip(names, gradients, strict=True):
                slope = gradient + decay * self.values[name]
                self.momentum[name] = momentum * self.momentum[name] + slope if name in self.momentum else slope
                self.values[name] -= rate * self.momentum[name]
