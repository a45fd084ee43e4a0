"""How far apart the perceptual hashes of real photos are: of other photos, and of copies that were changed.

For each data set (a folder with ``manifest.csv``), how many test photos have a support photo within so many bits; and
how many bits differ between a photo and a copy of it, at most, in 50, 90 and 99 of 100 photos.

    python benchmarks/near_duplicates.py DATA/dogs120 DATA/grocery81
"""

import io
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fgvr.datasets.manifest import ManifestDataset
from fgvr.datasets.near_duplicates import perceptual_hash
from fgvr.images import open_image

BITS = (3, 4, 6, 8, 10)
COPIES = 150


def compressed(image: Image.Image) -> Image.Image:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=30)
    return Image.open(io.BytesIO(stream.getvalue())).convert("RGB")


def cropped(image: Image.Image) -> Image.Image:
    x, y = round(image.width * 0.03), round(image.height * 0.03)
    return image.crop((x, y, image.width - x, image.height - y))


EDITS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "JPEG quality 30": compressed,
    "half the size": lambda image: image.resize((image.width // 2, image.height // 2), Image.Resampling.LANCZOS),
    "brighter by 20 %": lambda image: image.point(lambda value: min(255, int(value * 1.2 + 10))),
    "cropped by 3 % on each side": cropped,
}


def main(roots: list[Path]) -> None:
    different: dict[str, list[int]] = {name: [] for name in EDITS}
    for root in roots:
        records = ManifestDataset(root).records()
        hashes = {record.sample_id: perceptual_hash(open_image(record.path)) for record in records}
        support, test = (
            np.array([hashes[each.sample_id] for each in records if each.split == split], dtype=np.uint64)
            for split in ("support", "test")
        )
        nearest = np.array([bits(support ^ one).min() for one in test])
        within = ", ".join(f"{int((nearest <= bound).sum())} within {bound}" for bound in BITS)
        print(f"{root.name}: {len(test)} test photos, {len(support)} support photos; {within} bits")
        for record in records[:: max(1, len(records) // COPIES)][:COPIES]:
            image = open_image(record.path)
            for name, edit in EDITS.items():
                different[name].append((hashes[record.sample_id] ^ perceptual_hash(edit(image))).bit_count())
    for name, counts in different.items():
        at = "/".join(str(int(value)) for value in np.percentile(counts, [50, 90, 99]))
        print(
            f"{name}: {at} bits differ, {max(counts)} at most, of {len(counts)} photos; "
            f"{100 * np.mean(np.array(counts) <= 4):.1f} % within 4"
        )


def bits(values: NDArray[np.uint64]) -> NDArray[np.int64]:
    return np.unpackbits(values.view(np.uint8).reshape(-1, 8), axis=1).sum(axis=1, dtype=np.int64)


if __name__ == "__main__":
    main([Path(each) for each in sys.argv[1:]])
