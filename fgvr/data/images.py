"""From a file to an RGB photo."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError


class UnreadableImageError(Exception):
    """The file is not a photo that can be read; the message says why, in a few words."""


def open_image(path: Path) -> Image.Image:
    """Read a photo of any format and mode that Pillow knows as upright RGB.

    EXIF rotation is applied; transparent parts become white; 16-bit and floating-point grey is scaled to 8 bits; of an
    animation the first frame counts.

    Raises:
        UnreadableImageError: The file is missing, empty, cut off, no image, or too large to be one.
    """
    try:
        with Image.open(path) as image:
            image.load()
            upright = ImageOps.exif_transpose(image)
            return _to_rgb(upright)
    except FileNotFoundError:
        raise UnreadableImageError("no such file") from None
    except UnidentifiedImageError:
        empty = path.stat().st_size == 0
        raise UnreadableImageError("the file is empty" if empty else "not an image that Pillow can read") from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, EOFError) as error:
        # Pillow reports damaged files with all of these, after the kind of damage and the format's plugin
        raise UnreadableImageError(str(error) or type(error).__name__) from error


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
