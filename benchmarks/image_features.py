"""Photos per second of the backbones, from JPEG files to features of both spaces; ends with a line of JSON.

    python benchmarks/image_features.py --models ViT-B-32 ViT-B-16

``lite``, and architectures of open_clip with random weights, which take as long as trained ones. The photos are noise
of 500 x 375 pixels. Each backbone encodes the same photos --repeats times, in turns; the least time counts. ``ratio``
is the time over that of ``lite``.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from random_weights import random_backbone

from fgvr.backbones.base import Backbone
from fgvr.backbones.lite import LiteBackbone
from fgvr.images import open_image

BATCH = 32


@torch.no_grad()
def seconds(backbone: Backbone, paths: list[Path]) -> float:
    start = time.perf_counter()
    for first in range(0, len(paths), BATCH):
        backbone.encode_spaces(torch.stack([backbone.transform(open_image(path)) for path in paths[first:][:BATCH]]))
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="*", default=["ViT-B-32", "ViT-B-16"])
    parser.add_argument("--photos", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    with tempfile.TemporaryDirectory() as name:
        folder, random = Path(name), np.random.default_rng(0)
        paths = [folder / f"{number}.jpg" for number in range(args.photos)]
        for path in paths:
            Image.fromarray(random.integers(0, 256, (375, 500, 3), dtype=np.uint8)).save(path)
        backbones: dict[str, Backbone] = {"lite": LiteBackbone()}
        backbones |= {model: random_backbone(model) for model in args.models}
        for backbone in backbones.values():
            backbone.load()
            seconds(backbone, paths[:BATCH])
        turns = [[seconds(backbone, paths) for backbone in backbones.values()] for _ in range(args.repeats)]
        least = {name: min(times) for name, times in zip(backbones, zip(*turns, strict=True), strict=True)}
    speed = {name: round(args.photos / each, 1) for name, each in least.items()}
    for name, each in speed.items():
        print(f"{name}: {each} photos per second")
    ratios = {name: round(each / least["lite"], 2) for name, each in least.items()}
    print(json.dumps({"threads": args.threads, "photos_per_second": speed, "ratio": ratios}))


if __name__ == "__main__":
    main()
