"""From a file to an RGB photo."""

from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError


class UnreadableImageError(OSError):
    """The file is not a photo that can be read; the message says why, in a few words."""


def open_image(path: Path, max_side: int | None = None) -> Image.Image:
    """Read a photo of any format and mode that Pillow knows as upright RGB.

    EXIF rotation is applied; transparent parts become white; 16-bit and floating-point grey is scaled to 8 bits; of an
    animation the first frame counts. There is no metadata.

    Args:
        path: The file.
        max_side: Longest side in pixels; larger photos are made smaller.

    Raises:
        UnreadableImageError: The file is missing, empty, cut off, no image, or too large to be one.
    """
    try:
        with Image.open(path, formats=photo_formats()) as image:
            if max_side is not None:
                shrink = max_side / max(image.size)
                width, height = (max(1, round(length * shrink)) for length in image.size)
                image.draft(None, (width, height))  # JPEG files are decoded at the next larger eighth, quarter or half
            image.load()
            photo = upright_rgb(image)
    except FileNotFoundError:
        raise UnreadableImageError("no such file") from None
    except UnidentifiedImageError:
        empty = path.stat().st_size == 0
        raise UnreadableImageError("the file is empty" if empty else "not an image that Pillow can read") from None
    except Exception as error:
        # what Pillow raises for a damaged file is whatever its plugin for the format happens to run into
        raise UnreadableImageError(str(error) or type(error).__name__) from error
    photo.info = {}  # a comment would be written into a JPEG file again
    if max_side is not None:
        photo.thumbnail((max_side, max_side), Image.Resampling.LANCZOS)
    return photo


def upright_rgb(image: Image.Image) -> Image.Image:
    """An opened picture as ``open_image`` would give it: turned upright, white behind what is transparent, 8 bits."""
    return _to_rgb(_upright(image))


@cache
def photo_formats() -> tuple[str, ...]:
    """Pillow's names of the formats that are read."""
    Image.init()
    # drawings that another program would have to render, and containers of anything
    return tuple(sorted(set(Image.OPEN) - {"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"}))


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # damaged metadata is no reason to do without the photo
        return image


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        grey = np.asarray(image, dtype=np.float32)
        # a photo's 16-bit grey uses the 16-bit range; anything smaller or larger is scaled by its own maximum
        top = 65535.0 if image.mode.startswith("I;16") else max(float(grey.max(initial=0.0)), 1e-8)
        return Image.fromarray((np.clip(grey / top, 0, 1) * 255).astype(np.uint8), "L").convert("RGB")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        return Image.alpha_composite(white, rgba).convert("RGB")
    return image.convert("RGB")
