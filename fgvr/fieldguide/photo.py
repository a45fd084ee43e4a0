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
class DrawnPhoto:
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


def save_photo(image: Image.Image, photo: DrawnPhoto, path: Path) -> None:
    """Write a PNG, whole or not at all; the same one whichever process writes it first."""
    about = PngImagePlugin.PngInfo()
    about.add_itxt(_CHUNK, json.dumps(asdict(photo)))
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    image.save(temporary, "PNG", pnginfo=about)
    temporary.replace(path)


def read_photo(path: Path) -> DrawnPhoto | None:
    """What is on the photo; ``None`` for a file that is not one of the drawn world's."""
    try:
        with Image.open(path, formats=["PNG"]) as image:
            image.load()
            about = json.loads(image.info.get(_CHUNK, "null"))
        photo = DrawnPhoto(**{**about, "species": Species(**about["species"])})
        whole = type(photo.size) is int and type(photo.seed) is int
        return photo if whole and photo.species in photo.guide else None
    except (OSError, ValueError, TypeError, KeyError, FgvrError):
        return None
