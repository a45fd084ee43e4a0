"""Small photos on the disk, for labelers."""

import hashlib

import numpy as np
from PIL import Image

from fgvr.records import ImageRecord


def save_images(folder, pictures, **fields):
    """Support photos ``0.png``, ``1.png``, ...; ``fields`` are further ones of each record."""
    records = []
    for number, picture in enumerate(pictures):
        path = folder / f"{number}.png"
        picture.save(path)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        records.append(ImageRecord(sample_id=path.name, path=path, split="support", digest=digest, **fields))
    return records


def coloured(count, side=8):
    """Pictures of one colour, each another."""
    return [Image.new("RGB", (side, side), (number * 6, 0, 255 - number * 6)) for number in range(count)]


def noisy(sizes, grain=8):
    """Pictures of random squares of ``grain`` pixels, with these widths and heights."""
    random = np.random.default_rng(0)
    for width, height in sizes:
        pixels = random.integers(0, 256, (height // grain + 1, width // grain + 1, 3), dtype=np.uint8)
        yield Image.fromarray(pixels).resize((width, height))
