"""How many pixels a photo may have, and how many are decoded at one time, so that memory is bounded."""

import ctypes
import mmap
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Condition

from PIL import Image, JpegImagePlugin

MOST = 178_956_970
"""Pixels of a photo that is decoded as it is: Pillow's own bound, and more than a sensor of 150 megapixels has."""

_MOST_OF_OTHERS = 100_000_000  # of formats whose decoders hold the picture several times: up to 20 bytes a pixel
_MOST_OF_JPEG = 500_000_000  # phones have 200 megapixels, shifted sensors 400; decoded at half the width and height
_MOST_TIMES_AS_LONG = 100
_MOST_BYTES = 2**31  # twice what is packed worst, 179 million pixels of 4 x 16 bits
_MOST_SCANS = 1000  # of a progressive JPEG, which has about ten; each goes over all pixels again
_ONE_PICTURE_IN_MEMORY = {"JPEG", "MPO", "PNG", "TIFF", "GIF", "BMP", "PPM"}
_LARGE = 16_000_000
_AT_ONE_TIME = 256_000_000  # 1 GB as RGB, 2 GB where a photo is turned or converted


def open_header(path: Path, formats: tuple[str, ...]) -> Image.Image:
    """Open a photo without decoding it; a JPEG of up to 500 million pixels, too, which Pillow refuses."""
    try:
        return Image.open(path, formats=formats)
    except Image.DecompressionBombError:
        try:
            return JpegImagePlugin.JpegImageFile(path)
        except SyntaxError:
            raise OSError(f"it has more than {MOST / 1e6:.0f} million pixels; make it smaller") from None


def why_absurd(image: Image.Image, path: Path) -> str:
    """Why an opened photo must not be decoded, in a few words; ``""`` where it may.

    Args:
        image: As ``open_header`` gives it.
        path: Its file.
    """
    width, height = image.size
    short, long = sorted(image.size)
    said = f"it is {width:,} x {height:,} pixels, "
    if not short:
        return f"{said}none at all"
    if long > _MOST_TIMES_AS_LONG * short:
        return f"{said}more than {_MOST_TIMES_AS_LONG} times as long as wide; cut it into pieces"
    size = path.stat().st_size
    if size > _MOST_BYTES:
        return f"the file has {size / 1e9:.1f} GB, and at most {_MOST_BYTES / 1e9:.1f} are read"
    halved = _may_be_halved(image)
    most = _MOST_OF_JPEG if halved else MOST if image.format in _ONE_PICTURE_IN_MEMORY else _MOST_OF_OTHERS
    if width * height > most:
        kind = "progressive JPEG" if image.format == "JPEG" and not halved else image.format
        return f"{said}and {most / 1e6:.0f} million are read of {kind}; make it smaller"
    if image.info.get("progressive") and _scans(path) > _MOST_SCANS:
        return f"it is a JPEG of more than {_MOST_SCANS} scans, each of which takes as long as a photo"
    return ""


def shrink_to_bound(image: Image.Image) -> None:
    """Have a JPEG that is too large to be decoded as it is decoded at half its width and height."""
    width, height = image.size
    if width * height > MOST and _may_be_halved(image):
        image.draft(None, (width // 2, height // 2))


@contextmanager
def room_for(image: Image.Image) -> Iterator[None]:
    """Wait until a photo may be decoded beside those that other threads decode."""
    width, height = image.size
    with _GATE.room(width * height):
        yield


def give_memory_back(pixels: int) -> None:
    """After a large photo was let go: glibc keeps what a thread has freed, which adds up over threads.

    Args:
        pixels: Of the photo; after a small one it is not worth the time.
    """
    if pixels > _LARGE and sys.platform.startswith("linux"):
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # musl has none, and keeps nothing
        if trim is not None:
            trim(0)


class PixelGate:
    """Pixels that the threads of a process decode at one time.

    Args:
        most: So many at most, but for a photo that is larger and then has all to itself.
    """

    def __init__(self, most: int = _AT_ONE_TIME) -> None:
        self._most = self._free = most
        self._changed = Condition()

    @contextmanager
    def room(self, pixels: int) -> Iterator[None]:
        """Wait until there is room for ``pixels``, and take it."""
        taken = min(pixels, self._most)
        with self._changed:
            self._changed.wait_for(lambda: self._free >= taken)
            self._free -= taken
        try:
            yield
        finally:
            with self._changed:
                self._free += taken
                self._changed.notify_all()

    def reset(self) -> None:
        """Forget other threads, which are not in a process that was forked from theirs."""
        self._free, self._changed = self._most, Condition()


def _may_be_halved(image: Image.Image) -> bool:
    # the coefficients of a progressive one are all in memory, whatever the size of the result
    return isinstance(image, JpegImagePlugin.JpegImageFile) and not image.info.get("progressive")


def _scans(path: Path) -> int:
    """Scans of a JPEG file: in its compressed data, these two bytes do not follow each other."""
    count, position = 0, -1
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
        while count <= _MOST_SCANS and (position := content.find(b"\xff\xda", position + 1)) >= 0:
            count += 1
    return count


_GATE = PixelGate()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_GATE.reset)
