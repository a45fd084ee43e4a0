"""Grey photos of any colour depth as 8 bits: which of their values is white."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

_BAND = 1_000_000  # pixels
_CONTAINERS = (8, 10, 12, 16)  # depths of cameras whose values are stored in larger integers as they are
_BITS_PER_SAMPLE, _PHOTOMETRIC, _MAX_SAMPLE_VALUE, _SAMPLE_FORMAT = 258, 262, 281, 339
_WHITE_IS_ZERO, _UNSIGNED = 0, 1


def is_deep(image: Image.Image) -> bool:
    """Whether a picture is grey with more than 8 bits a sample, which Pillow cuts off where it should scale."""
    return image.mode in ("I", "F") or image.mode.startswith("I;")


def in_8_bits(image: Image.Image) -> Image.Image:
    """A deep grey picture in 8 bits.

    White is what the file states (the depth or largest value of a TIFF, the significant bits of a PNG). Else it is the
    largest value of the smallest usual depth that holds all samples: 8, 10, 12 or 16 bits, 1.0 for fractions. So photos
    of one camera are scaled alike, and one that uses its 16 bits is only cut to 8.

    Args:
        image: The picture as it was opened, with its metadata.
    """
    if 0 in image.size:
        return Image.new("L", image.size)
    tags: Any = getattr(image, "tag_v2", {})
    unsigned = (
        image.mode == "I" and _first(tags, _BITS_PER_SAMPLE) == 32 and _first(tags, _SAMPLE_FORMAT, 1) == _UNSIGNED
    )
    tops = range(0, image.height, max(1, _BAND // image.width))
    extents = [_extent(_samples(image, top, unsigned)) for top in tops]
    low, high = min(low for low, _ in extents), max(high for _, high in extents)
    darkest, most = 0.0, max(high, 0.0)
    if low < 0 and -low > high / 10:  # not rounding about black: the zero of these samples is no black
        darkest, top_value = low, high - low
    else:
        top_value = _white(high, image.mode == "F", _stated_white(image, tags))
    photo = Image.new("L", image.size)
    for top in tops:
        values = _samples(image, top, unsigned)
        finite = np.isfinite(values)
        if not finite.all():
            values = np.where(finite, values, np.where(values > 0, most, 0.0))
        grey = np.clip((values - darkest) / top_value, 0.0, 1.0)
        if _first(tags, _PHOTOMETRIC) == _WHITE_IS_ZERO:  # Pillow turns these only with 8 bits and fewer
            grey = 1.0 - grey
        photo.paste(Image.fromarray((grey * 255).astype(np.uint8)), (0, top))
    return photo


def _samples(image: Image.Image, top: int, unsigned: bool) -> Any:
    """The samples of a band of rows: as fractions, all of a large photo would take many times its own size."""
    rows = max(1, _BAND // image.width)
    samples = np.asarray(image.crop((0, top, image.width, min(top + rows, image.height))))
    # Pillow reads all integers of 32 bits as signed
    return (samples.view(np.uint32) if unsigned else samples).astype(np.float64)


def _extent(values: Any) -> tuple[float, float]:
    """The lowest and the highest sample; one that is no number counts as black."""
    finite = np.isfinite(values)
    if finite.all():
        return float(values.min()), float(values.max())
    low, high = values.min(where=finite, initial=0.0), values.max(where=finite, initial=0.0)
    return float(low), float(high)


def _white(high: float, fractions: bool, stated: int | None) -> float:
    """The value that is white, where the largest one is ``high``."""
    if fractions and high <= 1.0:
        return 1.0
    if fractions and high < 16.0:  # light beyond white, which no integer depth explains
        return high
    if stated is not None and high <= stated:
        return float(stated)
    bits = next((bits for bits in _CONTAINERS if high < 2**bits), None)
    if bits is None:
        return high if fractions else float(2 ** int(high).bit_length() - 1)
    return float(2**bits - 1)


def _stated_white(image: Image.Image, tags: Any) -> int | None:
    """The largest value that samples may have, by the file's own word."""
    most = _first(tags, _MAX_SAMPLE_VALUE)
    bits = int(most).bit_length() if most else _first(tags, _BITS_PER_SAMPLE)
    if bits is None and image.format == "PNG":
        bits = _significant_bits(getattr(image, "filename", ""))
    # that samples have 16 bits says how they are stored, and not how many of the bits are used
    return 2**bits - 1 if bits and 8 <= bits < 16 else None


def _first(tags: Any, number: int, default: int | None = None) -> int | None:
    value = tags.get(number, default)
    value = value[0] if isinstance(value, tuple) and value else value
    return int(value) if isinstance(value, int | float) and np.isfinite(value) else default


def _significant_bits(file: str | bytes) -> int | None:
    """What a PNG says in ``sBIT``, which Pillow passes over."""
    try:
        with Path(str(file)).open("rb") as stream:
            start = stream.read(4096)  # the chunk stands before the palette and the samples
    except (OSError, ValueError):
        return None
    position = 8
    while position + 9 <= len(start):
        length, kind = int.from_bytes(start[position : position + 4], "big"), start[position + 4 : position + 8]
        if kind == b"sBIT":
            return start[position + 8]
        if kind == b"IDAT":
            break
        position += 12 + length
    return None
