"""What a drawn photo says of itself: a chunk of the PNG, which the simulated labeler reads instead of looking."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from PIL import Image, PngImagePlugin

from fgvr.errors import FgvrError
from fgvr.fieldguide.species import Part, Species, draw_guide

_CHUNK = "fgvr-fieldguide"


@dataclass(frozen=True, slots=True)
class DrawnImage:
    """What is on a drawn photo.

    Attributes:
        species: The bird.
        size: Species of the guide that it was drawn for.
        seed: Seed of that guide.
        part: Part of the world that the guide is about.
    """

    species: Species
    size: int
    seed: int
    part: Part

    @property
    def guide(self) -> tuple[Species, ...]:
        """The species that could have been meant."""
        return draw_guide(self.size, self.seed, self.part)


def save_image(picture: Image.Image, image: DrawnImage, path: Path) -> None:
    """Write a PNG, whole or not at all; the same one whichever process writes it first."""
    about = PngImagePlugin.PngInfo()
    about.add_itxt(_CHUNK, json.dumps(asdict(image)))
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    picture.save(temporary, "PNG", pnginfo=about)
    temporary.replace(path)


def read_image(path: Path) -> DrawnImage | None:
    """What is on the photo; ``None`` for a file that is not one of the drawn world's."""
    try:
        with Image.open(path, formats=["PNG"]) as picture:
            picture.load()
            about = json.loads(picture.info.get(_CHUNK, "null"))
        image = DrawnImage(**{**about, "species": Species(**about["species"])})
        whole = type(image.size) is int and type(image.seed) is int
        return image if whole and image.species in image.guide else None
    except (OSError, ValueError, TypeError, KeyError, FgvrError):
        return None
