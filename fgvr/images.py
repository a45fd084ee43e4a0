"""From a file to an RGB photo."""

import contextlib
import importlib
import stat
from functools import cache
from pathlib import Path

from PIL import Image, ImageOps, UnidentifiedImageError

from fgvr.depths import in_8_bits, is_deep
from fgvr.pixels import open_header, room_for, shrink_to_bound, why_absurd

# what photos of these endings are, and what to do where they are not read
_UNREAD = {
    ending: (what, advice)
    for what, advice, endings in (
        (
            "HEIC",
            "HEIC is read after pip install 'fgvr[heic]', which brings pillow-heif",
            ".heic .heics .heif .heifs .hif",
        ),
        ("AVIF", "AVIF is read by newer versions of Pillow: pip install -U pillow", ".avif .avifs"),
        (
            "a camera's raw file",
            "convert raw files of cameras to JPEG or TIFF",
            ".3fr .arw .cr2 .cr3 .crw .dcr .dng .erf .fff .iiq .k25 .kdc .mef .mos .mrw .nef .nrw .orf .pef .raf .raw "
            ".rw2 .rwl .sr2 .srf .srw .x3f",
        ),
        (
            "a format that Pillow does not read",
            "convert what Pillow does not read to JPEG or PNG",
            ".dcm .exr .jxl .jxr .psb",
        ),
    )
    for ending in endings.split()
}
# what is left in a photo's place
_STAND_INS = {
    b"version https://git-lfs": "a Git LFS pointer and not the photo: run git lfs pull in its repository",
    b"<!doctype html": "a web page and not the photo: download it again",
    b"<html": "a web page and not the photo: download it again",
}
_HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx")
_ORIENTATION = 0x0112
_BAND = 4_000_000  # pixels


class UnreadableImageError(OSError):
    """The file is not a photo that can be read; the message says why, in a few words."""


def open_image(path: Path, max_side: int | None = None) -> Image.Image:
    """Read a photo of any format and mode that Pillow knows as upright RGB.

    EXIF rotation is applied; transparent parts become white; grey of more than 8 bits is scaled; of an animation the
    first frame counts. There is no metadata.

    Args:
        path: The file.
        max_side: Longest side in pixels; larger photos are made smaller.

    Raises:
        UnreadableImageError: The file is missing, empty, cut off, no image, or of absurd size (see ``pixels.py``); or
            it is a pipe, a device or a folder.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # to open a pipe is to wait for who writes into it
            raise UnreadableImageError("it is no regular file")
        with open_header(path, photo_formats()) as image:
            if why := why_absurd(image, path):
                raise UnreadableImageError(why)
            shrink_to_bound(image)
            if max_side is not None:
                shrink = max_side / max(image.size)
                width, height = (max(1, round(length * shrink)) for length in image.size)
                image.draft(None, (width, height))  # JPEG files are decoded at the next larger eighth, quarter or half
            with room_for(image):
                image.load()
                photo = upright_rgb(image)
                if max_side is not None:
                    photo.thumbnail((max_side, max_side), Image.Resampling.LANCZOS)
    except FileNotFoundError:
        raise UnreadableImageError("no such file") from None
    except UnreadableImageError:
        raise
    except UnidentifiedImageError:
        raise UnreadableImageError(_why_unknown(path)) from None
    except Exception as error:
        # what Pillow raises for a damaged file is whatever its plugin for the format happens to run into
        raise UnreadableImageError(str(error) or type(error).__name__) from error
    photo.info = {}  # a comment would be written into a JPEG file again
    return photo


def upright_rgb(image: Image.Image) -> Image.Image:
    """An opened picture as ``open_image`` would give it: turned upright, white behind what is transparent, 8 bits."""
    if is_deep(image):
        # turned afterwards, because a turned copy has lost the tags that say what is white
        grey = in_8_bits(image)
        with contextlib.suppress(Exception):  # damaged metadata is no reason to do without the photo
            grey.getexif()[_ORIENTATION] = image.getexif()[_ORIENTATION]
        return _upright(grey).convert("RGB")
    return _to_rgb(_upright(image))


@cache
def photo_formats() -> tuple[str, ...]:
    """Pillow's names of the formats that are read: HEIC among them where ``pillow-heif`` is installed."""
    Image.init()
    # not there, or without a library that it needs
    with contextlib.suppress(ImportError, OSError):
        importlib.import_module("pillow_heif").register_heif_opener()
    # drawings that another program would have to render, and containers of anything
    return tuple(sorted(set(Image.OPEN) - {"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"}))


@cache
def photo_endings() -> frozenset[str]:
    """The endings of files that are read, in small letters: ``.jpg``, ``.png``, ..."""
    formats = set(photo_formats())
    return frozenset(ending for ending, name in Image.registered_extensions().items() if name in formats)


def unread_advice(ending: str) -> str:
    """What to do with photos that have this ending and are not read; ``""`` for the ending of anything else.

    Example:
        >>> unread_advice(".nef")
        'convert raw files of cameras to JPEG or TIFF'
    """
    return "" if ending in photo_endings() else _UNREAD.get(ending, ("", ""))[1]


def _why_unknown(path: Path) -> str:
    with path.open("rb") as stream:
        start = stream.read(64)
    if not start:
        return "the file is empty"
    for beginning, said in _STAND_INS.items():
        if start.lstrip().lower().startswith(beginning):
            return said
    # phones and messengers call HEIC .jpg, too
    ending = ".heic" if start[4:8] == b"ftyp" and start[8:12] in _HEIC_BRANDS else path.suffix.lower()
    advice = unread_advice(ending)
    return f"{_UNREAD[ending][0]}; {advice}" if advice else "not an image that Pillow can read"


def _upright(image: Image.Image) -> Image.Image:
    try:
        # of a photo that is not turned, it would make a copy
        return ImageOps.exif_transpose(image) if image.getexif().get(_ORIENTATION, 1) != 1 else image
    except Exception:  # damaged metadata is no reason to do without the photo
        return image


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.has_transparency_data:
        return _on_white(image)
    if image.mode == "RGB":
        return image._new(image.im)  # without what a file's class knows of its metadata, and without another copy
    return image.convert("RGB")


def _on_white(image: Image.Image) -> Image.Image:
    """White behind what is transparent: a band of rows at a time, because each step would be a copy of the photo."""
    width, height = image.size
    photo = Image.new("RGB", image.size)
    rows = max(1, _BAND // max(1, width))
    for top in range(0, height, rows):
        band = image.crop((0, top, width, min(top + rows, height))).convert("RGBA")
        photo.paste(Image.alpha_composite(Image.new("RGBA", band.size, "white"), band).convert("RGB"), (0, top))
    return photo
