"""How fast image features are computed and stored, beside the encoder alone; ends with a line of JSON.

    python benchmarks/features.py

Two questions. Does the encoder wait for photos? ``share_of_encoder`` is the rate of ``extract_features`` over that of
the encoder alone, which is given the same batches as tensors: ``lite`` (or --model, an architecture of open_clip with
random weights), with --loaders loader processes and one compute thread. And do loader processes help where the encoder
is fast? ``two_loaders_over_one`` is the rate with two of them over that with one, for an encoder that costs nothing
behind the transform of ``lite``. All are measured in turns, each with a store of its own; the least time of --repeats
counts.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from random_weights import random_backbone
from torch import Tensor

from fgvr.backbones.base import Backbone
from fgvr.backbones.lite import LiteBackbone
from fgvr.data.extraction import extract_features
from fgvr.data.loader_processes import LoaderProcesses
from fgvr.images import open_image
from fgvr.records import ImageRecord

BATCH = 64
FILES = 256


class FreeBackbone(LiteBackbone):
    """Pixels as ``lite`` wants them, and features that take no time."""

    @property
    def has_visual_space(self) -> bool:
        return False

    def fingerprint(self) -> str:
        return "free"

    def encode_image(self, pixels: Tensor) -> Tensor:
        return torch.ones(len(pixels), self.embed_dim)


def write_images(folder: Path) -> list[Path]:
    """JPEG files of 500 x 375 pixels with coarse and fine structure, as photos have."""
    random, paths = np.random.default_rng(0), []
    for number in range(FILES):
        coarse = Image.fromarray(random.integers(0, 256, (24, 32, 3), dtype=np.uint8)).resize((500, 375))
        fine = random.normal(0, 6, (375, 500, 1))
        pixels = np.clip(np.asarray(coarse) + fine, 0, 255).astype(np.uint8)
        paths.append(folder / f"{number:04}.jpg")
        Image.fromarray(pixels).save(paths[-1], quality=90)
    return paths


def images(paths: list[Path], count: int) -> list[ImageRecord]:
    """As many photos as are wanted; some are the same file, which the store is not told."""
    files = [paths[number % len(paths)] for number in range(count)]
    return [
        ImageRecord(sample_id=f"{number}", path=path, split="support", digest=f"{number:064}")
        for number, path in enumerate(files)
    ]


def seconds(work: Callable[[], object], device: torch.device) -> float:
    start = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


def extraction(
    backbone: Backbone, records: list[ImageRecord], loaders: LoaderProcesses, device: torch.device
) -> Callable[[], object]:
    def work() -> None:
        with tempfile.TemporaryDirectory() as folder:
            extract_features(backbone, records, Path(folder), device, BATCH, loaders, progress=False)

    return work


def encoder_alone(backbone: Backbone, records: list[ImageRecord], device: torch.device) -> Callable[[], object]:
    backbone.to(device)
    batches = [
        torch.stack([backbone.transform(open_image(record.path)) for record in records[start : start + BATCH]])
        for start in range(0, len(records), BATCH)
    ]
    batches = [pixels.to(device) for pixels in batches]

    @torch.inference_mode()
    def work() -> None:
        with torch.autocast(device.type, torch.float16, enabled=device.type == "cuda"):
            for pixels in batches:
                backbone.encode_spaces(pixels)

    return work


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=512)
    parser.add_argument("--free-photos", type=int, default=2048, help="for the encoder that costs nothing")
    parser.add_argument("--model", help="another encoder than lite")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1, help="of the encoder")
    parser.add_argument("--loaders", default="1", help="a number, or auto as on the command line")
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    loaders: LoaderProcesses = "auto" if args.loaders == "auto" else int(args.loaders)
    encoder: Backbone = random_backbone(args.model) if args.model else LiteBackbone()
    free = FreeBackbone()
    for backbone in (encoder, free):
        backbone.load()
    with tempfile.TemporaryDirectory() as folder:
        paths, cpu = write_images(Path(folder)), torch.device("cpu")
        few, many = images(paths, args.photos), images(paths, args.free_photos)
        works = {
            "encoder alone": (encoder_alone(encoder, few, args.device), few),
            "encoder, photos opened and features stored": (extraction(encoder, few, loaders, args.device), few),
            "free encoder, 1 loader process": (extraction(free, many, 1, cpu), many),
            "free encoder, 2 loader processes": (extraction(free, many, 2, cpu), many),
        }
        works["encoder alone"][0]()
        times: dict[str, list[float]] = {name: [] for name in works}
        for _ in range(args.repeats):
            for name, (work, _) in works.items():
                times[name].append(seconds(work, args.device))
    rates = {name: len(works[name][1]) / min(found) for name, found in times.items()}
    for name, rate in rates.items():
        print(f"{name}: {rate:.1f} photos per second")
    alone, stored, free_one, free_two = rates.values()
    figures = {
        "device": str(args.device),
        "share_of_encoder": round(stored / alone, 3),
        "two_loaders_over_one": round(free_two / free_one, 2),
        "photos_per_second": {name: round(rate, 1) for name, rate in rates.items()},
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
