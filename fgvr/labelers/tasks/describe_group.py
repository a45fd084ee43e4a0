"""A short description of what several photos have in common, as LatteCLIP asks for it."""

import math
from collections.abc import Sequence
from typing import ClassVar

from PIL import Image

from fgvr.errors import FgvrError
from fgvr.labelers.tasks.base import Task
from fgvr.labelers.tasks.reading import read_description
from fgvr.labelers.tasks.wording import phrase
from fgvr.reading.replies import ParsedReply
from fgvr.text import counted

_MAX = 16
_CANVAS = 672
_GAP = 20


class DescribeGroupTask(Task):
    """Asks what up to 16 photos have in common, shown in one collage: LatteCLIP's group-description (its section 3.1).

    LatteCLIP shows 4 photos of one pseudo-label at a time.

    Args:
        domain: What all photos show, such as ``flower`` or ``car``.

    Raises:
        FgvrError: ``domain`` is blank.
    """

    registry_name: ClassVar[str] = "describe_group"
    names_classes: ClassVar[bool] = False
    of_groups: ClassVar[bool] = True

    def __init__(self, domain: str = "object") -> None:
        self.domain = phrase(domain, "domain")

    def prompt(self, hint: str | None = None) -> str:
        """LatteCLIP's prompt; a hint is not said."""
        return (
            f"Describe the common visual attributes of the {self.domain} in all the photos concisely, "
            "in fewer than 20 words."
        )

    def compose(self, images: Sequence[Image.Image]) -> list[Image.Image]:
        """One collage, as LatteCLIP's released code makes it.

        A black canvas of 672 x 672 pixels; as many rows as columns, at least two, 20 pixels apart; each photo as large
        as its cell admits, and in the middle of it.

        Args:
            images: 1 to 16 photos, in the order of the request.

        Raises:
            FgvrError: There are more.
        """
        if not 1 <= len(images) <= _MAX:
            raise FgvrError(f"A collage of {counted(len(images), 'photo')}: the task describe_group shows 1 to {_MAX}.")
        side = max(2, math.isqrt(len(images) - 1) + 1)
        cell = (_CANVAS - _GAP * (side - 1)) // side
        collage = Image.new("RGB", (_CANVAS, _CANVAS))
        for number, image in enumerate(images):
            scale = cell / max(image.size)
            width, height = (max(1, int(length * scale)) for length in image.size)
            row, column = divmod(number, side)
            left = column * (cell + _GAP) + (cell - width) // 2
            top = row * (cell + _GAP) + (cell - height) // 2
            collage.paste(image.resize((width, height), Image.Resampling.LANCZOS), (left, top))
        return [collage]

    def read(self, raw: str) -> ParsedReply:
        """The description, in one line, as the only name."""
        return read_description(raw)
