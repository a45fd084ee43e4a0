"""Small copies of photos, for pages that carry their photos with them."""

import base64
import io
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path

from PIL import Image, ImageOps

from fgvr.images import UnreadableImageError, open_image, photo_formats

SIDE = 96
"""Pixels on the long side."""

_QUALITY = 70


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A small JPEG.

    Attributes:
        width: In pixels.
        height: In pixels.
        data: The file in base64.
    """

    width: int
    height: int
    data: str


def thumbnails(paths: Mapping[str, Path], most: int, most_bytes: int, side: int = SIDE) -> dict[str, Thumbnail]:
    """Thumbnails of the first photos that fit; a photo that cannot be read has none.

    Args:
        paths: Sample id -> file, the most important first.
        most: No more thumbnails than these.
        most_bytes: No more than these in all, in base64.
        side: Pixels on the long side.

    Returns:
        Sample id -> thumbnail, in the order of ``paths``.
    """
    found: dict[str, Thumbnail] = {}
    total = 0
    waiting = list(paths)[:most]
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as threads:
        # in parts, so that little is made in vain where the bytes run out first
        for start in range(0, len(waiting), 256):
            part = waiting[start : start + 256]
            small = threads.map(make_thumbnail, [paths[id_] for id_ in part], repeat(side))
            for sample_id, made in zip(part, small, strict=True):
                if made is None:
                    continue
                total += len(made.data)
                if total > most_bytes:
                    return found
                found[sample_id] = made
    return found


def make_thumbnail(path: Path, side: int = SIDE) -> Thumbnail | None:
    """A photo of any kind, upright and in RGB, at most ``side`` pixels wide and high; ``None`` if it cannot be read."""
    try:
        image = _open_small(path, side)
        image.thumbnail((side, side), Image.Resampling.BICUBIC)
        image.info.clear()  # Pillow would save the comment of a JPEG again
        stream = io.BytesIO()
        image.save(stream, "JPEG", quality=_QUALITY, optimize=True)
    except (UnreadableImageError, OSError, ValueError):
        return None
    return Thumbnail(*image.size, base64.b64encode(stream.getvalue()).decode())


def _open_small(path: Path, side: int) -> Image.Image:
    """The photo in RGB; a JPEG is decoded at a fraction of its size, which takes a fraction of the time."""
    try:
        with Image.open(path, formats=photo_formats()) as image:
            image.draft("RGB", (2 * side, 2 * side))
            if image.mode == "RGB" and not image.has_transparency_data:
                return ImageOps.exif_transpose(image)
    except Exception:  # whatever is wrong with the file, the one reader of photos knows how to take it
        return open_image(path)
    return open_image(path)
