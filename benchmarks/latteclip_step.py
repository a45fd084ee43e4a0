"""A step of LatteCLIP: each text encoded once, against every text of every photo; ends with a line of JSON.

    python benchmarks/latteclip_step.py --classes 10

Forward pass, loss and backward pass to both towers, float32, without the optimiser's step: ``fieldguide-clip``, random
pixels, names of drawn birds, and descriptions of words drawn here. Two things are timed, in turns:

- once: ``LatteClipMethod``, as in training: equal texts of a step are encoded once.
- plain: equations 1 to 3, written here: two class texts, the description of the photo and that of a group for each
  photo, all of them encoded, through the same tower.

Classes are spread evenly over the photos, by either pseudo-label, and no two photos have the same description: what
can be shared are class texts and the 4 group-descriptions of each class. (Random pixels would all look like the same
class to CLIP, which would leave less to encode.) Both find the pseudo-labels of a step, and the same ones.

With --model, another architecture of open_clip with random weights: ViT-B-32 takes as long as a trained one.

Times are the medians of --repeats, after one step each that is not counted. With --clock cpu they are seconds of this
process on the CPU, which other processes disturb less; meant for one thread.
"""

import argparse
import json
import statistics
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import torch
import torch.nn.functional as F
from device_clock import clock_of
from PIL import Image
from random_weights import random_backbone
from torch import Tensor

from fgvr.backbones.open_clip import OpenClipBackbone
from fgvr.data.batches import Batch
from fgvr.descriptions.texts import DescriptionTexts
from fgvr.fieldguide.species import draw_guide
from fgvr.methods.latteclip import LatteClipMethod
from fgvr.methods.zero_shot import template_features
from fgvr.pipeline.allocator import keep_freed_memory
from fgvr.records import Description, ImageRecord, Vocabulary

IMAGES = 1000
GROUPS_PER_CLASS = 4
WORDS_PER_TEXT = 15
TEMPLATE = "a photo of a {}."
ALPHA = 0.99
WORDS = [
    *("grey", "blue", "red", "yellow", "pale", "dark", "wings", "crown", "breast", "throat", "bill", "tail", "short"),
    *("hooked", "long", "forked", "spotted", "bird", "with", "and", "a", "seen", "perched", "on", "branch"),
]


class Words:
    """Names and descriptions, drawn by a seed."""

    def __init__(self, classes: int) -> None:
        draw = torch.Generator().manual_seed(1)

        def text(length: int) -> str:
            return " ".join(WORDS[word] for word in torch.randint(len(WORDS), (length,), generator=draw).tolist())

        self.names = tuple(bird.name for bird in draw_guide(classes, 0, "benchmark"))
        self.of_images = [f"{text(WORDS_PER_TEXT)} {number}" for number in range(IMAGES)]
        self.of_groups = [[text(WORDS_PER_TEXT) for _ in range(GROUPS_PER_CLASS)] for _ in self.names]

    def descriptions(self) -> DescriptionTexts:
        """As ``fgvr describe`` leaves them."""
        images = [Description("image", text, sample_id=str(number)) for number, text in enumerate(self.of_images)]
        groups = [
            Description("group", text, class_name=name)
            for name, texts in zip(self.names, self.of_groups, strict=True)
            for text in texts
        ]
        return DescriptionTexts([*images, *groups])


def loaded(model: str) -> OpenClipBackbone:
    """A backbone; of an architecture that does not come with fgvr, with random weights."""
    if model != "fieldguide-clip":
        return random_backbone(model)
    backbone = OpenClipBackbone(model)
    backbone.load()
    return backbone


class OnceStep:
    """``LatteClipMethod``, with labels that are given."""

    def __init__(self, words: Words, zero_shot: Tensor, model: str, device: torch.device) -> None:
        self.method = method = LatteClipMethod(loaded(model), templates=[TEMPLATE], alpha=ALPHA)
        vocabulary = Vocabulary(words.names)
        method.vocabulary = vocabulary
        method.build(vocabulary, None)
        method.descriptions = words.descriptions()
        support = [
            ImageRecord(sample_id=str(number), path=Path(str(number)), split="support") for number in range(IMAGES)
        ]
        data = SimpleNamespace(support=support)
        with (
            mock.patch.object(LatteClipMethod, "data", data),
            mock.patch("fgvr.methods.latteclip.zero_shot_labels", return_value=zero_shot.numpy()),
        ):
            method._prepare_support(np.zeros((IMAGES, 1), np.float32))
        method.to(device)

    def step(self, batch: Batch, nearest: Tensor) -> tuple[Tensor, int]:
        """The loss, with gradients, and the number of texts that were encoded."""
        encoded: list[int] = []
        embed = self.method.backbone.embed_text

        def counted(texts: list[str]) -> Tensor:
            encoded.append(len(texts))
            return embed(texts)

        def spread(image_features: Tensor, class_features: Tensor) -> Tensor:
            (image_features @ class_features.T).argmax(1)
            return nearest

        with (
            mock.patch("fgvr.methods.latteclip.nearest_class", spread),
            mock.patch.object(self.method.backbone, "embed_text", counted),
            mock.patch.object(self.method, "log"),
        ):
            loss = self.method.training_step(batch, 0)
            loss.backward()
        return loss.detach(), sum(encoded)


class PlainStep:
    """Equations 1 to 3, and nothing shared; with a backbone of its own."""

    def __init__(
        self, words: Words, zero_shot: Tensor, group_of: Callable[[int], str], model: str, device: torch.device
    ) -> None:
        self.backbone = loaded(model).to(device)
        self.prototypes = template_features(self.backbone, words.names, [TEMPLATE])
        self.log_scale = torch.tensor(self.backbone.logit_scale, device=device).log().requires_grad_()
        self.words = words
        self.zero_shot = zero_shot.to(device)
        self.group_of = group_of
        for parameter in self.backbone.parameters():
            parameter.requires_grad_(True)

    def step(self, batch: Batch, nearest: Tensor) -> tuple[Tensor, int]:
        """The loss, with gradients, and the number of texts that were encoded."""
        for parameter in self.backbone.parameters():
            parameter.grad = None
        images = self.backbone.encode_image(batch.images)
        (images.detach() @ self.prototypes.T).argmax(1)
        samples = batch.rows.tolist()
        labels = [self.zero_shot[batch.rows], nearest]
        class_texts = [[TEMPLATE.format(self.words.names[label]) for label in each.tolist()] for each in labels]
        own = [self.words.of_images[sample] for sample in samples]
        of_group = [self.group_of(sample) for sample in samples]
        texts = [*class_texts[0], *class_texts[1], *own, *of_group]
        features = self.backbone.embed_text(texts).view(4, len(samples), -1)
        total = torch.zeros((), device=images.device)
        for place, label in enumerate(labels):
            kinds = features[[place, 2, 3]]
            cosines = (kinds.detach() @ F.normalize(self.prototypes, dim=-1).T).topk(2, dim=-1).values
            weights = cosines[..., 0] - cosines[..., 1]
            mixed = (weights.unsqueeze(-1) * kinds).sum(0) / weights.sum(0).unsqueeze(-1)
            target = (1 - ALPHA) * mixed + ALPHA * self.prototypes[label]
            logits = self.log_scale.exp() * images @ target.T
            identity = torch.arange(len(logits), device=logits.device)
            total = total + F.cross_entropy(logits, identity) + F.cross_entropy(logits.T, identity)
        total.backward()
        return total.detach(), len(texts)


def timed(function: Callable[[], Any], clock: Callable[[], float]) -> tuple[float, Any]:
    """Seconds and result of a call."""
    start = clock()
    result = function()
    return clock() - start, result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--classes", type=int, default=10, help=f"2 to {IMAGES}")
    parser.add_argument("--batch", type=int, default=128, help=f"photos, at most {IMAGES}")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5, help="steps of each")
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall")
    parser.add_argument("--model", default="fieldguide-clip")
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"))
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    keep_freed_memory()  # as fgvr fit does
    clock = clock_of(options.clock, options.device)

    draw = torch.Generator().manual_seed(0)
    words = Words(options.classes)
    zero_shot = torch.arange(IMAGES) % options.classes
    samples = torch.randperm(IMAGES, generator=draw)[: options.batch]
    nearest = torch.randint(options.classes, (options.batch,), generator=draw).to(options.device)
    once = OnceStep(words, zero_shot, options.model, options.device)
    side = once.method.backbone.transform(Image.new("RGB", (64, 64))).shape[-1]
    batch = Batch(torch.randn(options.batch, 3, side, side, generator=draw), samples).to(options.device)
    texts = once.method._image_texts
    assert texts is not None

    def group_of(sample: int) -> str:
        """The group-description that the method has drawn for a photo."""
        return texts.words[int(texts.of_images(torch.tensor([sample]), epoch=0)[0, 1])]

    plain = PlainStep(words, zero_shot, group_of, options.model, options.device)
    once_s, plain_s = list[float](), list[float]()
    for turn in range(options.repeats + 1):
        once.method.zero_grad()
        seconds, (once_loss, distinct) = timed(lambda: once.step(batch, nearest), clock)
        plain_seconds, (plain_loss, number) = timed(lambda: plain.step(batch, nearest), clock)
        if turn:
            once_s.append(seconds)
            plain_s.append(plain_seconds)

    once_median, plain_median = statistics.median(once_s), statistics.median(plain_s)
    figures = {
        "classes": options.classes,
        "plain_s": round(plain_median, 3),
        "once_s": round(once_median, 3),
        "ratio": round(plain_median / once_median, 2),
        "texts": number,
        "distinct_texts": distinct,
        "loss_diff": abs(once_loss - plain_loss).item(),
    }
    print(f"{options.classes} classes, {options.batch} photos: {distinct} of {number} texts are encoded;")
    print(f"losses {once_loss:.6f} and {plain_loss:.6f}; threads: {options.threads}, clock: {options.clock}")
    print(f"plain {figures['plain_s']} s, once {figures['once_s']} s: {figures['ratio']} times faster")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
