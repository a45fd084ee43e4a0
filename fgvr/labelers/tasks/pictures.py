"""Photos as they leave the machine: decoded, made smaller, and written anew without their metadata."""

import io
from dataclasses import dataclass
from typing import Any

from PIL import Image

from fgvr.errors import FgvrError
from fgvr.images import UnreadableImageError, open_image
from fgvr.labelers.tasks.base import Task
from fgvr.records import LabelRequest


@dataclass(frozen=True)
class PictureOptions:
    """How photos are re-encoded before a model sees them.

    A smaller picture costs fewer tokens; location, camera and thumbnail are never sent.

    Args:
        max_side: Longest side in pixels; smaller photos keep their size.
        quality: JPEG quality, from 1 to 95.

    Raises:
        FgvrError: A value is out of range.
    """

    max_side: int = 1024
    quality: int = 90

    def __post_init__(self) -> None:
        if self.max_side < 16:
            raise FgvrError(f"pictures.max_side is {self.max_side}; expected 16 or more pixels.")
        if not 1 <= self.quality <= 95:
            raise FgvrError(f"pictures.quality is {self.quality}; expected 1 to 95.")

    def identity(self) -> dict[str, Any]:
        """For the key of the label store: another picture is another question."""
        return {"max_side": self.max_side, "quality": self.quality}


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture as it is sent.

    Attributes:
        data: The JPEG file's bytes.
        width: In pixels.
        height: In pixels.
    """

    data: bytes
    width: int
    height: int


def open_pictures(request: LabelRequest, task: Task, options: PictureOptions) -> list[Image.Image]:
    """The pictures that ``task`` shows for ``request``: upright, RGB, at most ``options.max_side`` pixels long.

    Transparent parts are white, 16-bit grey is scaled to 8 bits, and there is no metadata. A task about a text shows
    none, and no photo is opened for it.

    Raises:
        OSError: A photo cannot be read, or is larger than what Pillow takes for a photo (179 million pixels).
    """
    if not task.shows_photos:
        return []
    pictures = task.compose([open_image(image.path, options.max_side) for image in request.images])
    for picture in pictures:
        picture.thumbnail((options.max_side, options.max_side), Image.Resampling.LANCZOS)
    return pictures


def encode_pictures(request: LabelRequest, task: Task, options: PictureOptions) -> tuple[Picture, ...]:
    """The same pictures as JPEG files.

    Raises:
        OSError: A photo cannot be read, or is too large.
    """
    encoded = []
    for picture in open_pictures(request, task, options):
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=options.quality)
        encoded.append(Picture(file.getvalue(), picture.width, picture.height))
    return tuple(encoded)


def why_unreadable(error: Exception) -> str:
    """What a reply says of a photo that cannot be shown."""
    kind = "" if isinstance(error, UnreadableImageError) else f"{type(error).__name__}: "
    return f"the photo cannot be read: {kind}{str(error)[:300]}"
