"""Drawn photos of made-up birds, for machines without a data set, a key, a hub or a GPU."""

import random
from pathlib import Path

from tqdm import tqdm

from fgvr.cache import default_cache_dir
from fgvr.datasets.base import ImageDataset
from fgvr.errors import FgvrError
from fgvr.fieldguide.drawing import DRAWING, Style, draw_image
from fgvr.fieldguide.image import DrawnImage, save_image
from fgvr.fieldguide.species import Part, Species, draw_guide
from fgvr.records import ImageRecord


class FieldguideDataset(ImageDataset):
    """Small drawn birds: species are combinations of attributes, and come in families that differ in one of them.

    Photos are drawn once, by the seed alone, and kept below ``root``; a set with more of them holds the smaller one's.
    The backbone weights ``fieldguide-clip`` were trained on plates of other species, so that the style ``field`` is a
    change of domain and every species is new.

    Args:
        root: Folder for the photos; ``fieldguide`` in the cache (``$FGVR_CACHE``) if not given.
        species: Classes.
        support: Support photos of each species; ``data.shots`` draws from them.
        test: Test photos of each species.
        style: ``field`` (clutter, blur, low contrast, changes of pose) or ``plate`` (clean).
        size: Side of a photo in pixels.
        seed: Another seed is another guide with other photos.
        part: ``benchmark`` for figures; choose settings on ``development``. The weights saw ``training``.

    Raises:
        FgvrError: A number is below 1, or ``test`` below 0.
    """

    def __init__(
        self,
        root: Path | None = None,
        species: int = 40,
        support: int = 10,
        test: int = 15,
        style: Style = "field",
        size: int = 64,
        seed: int = 0,
        part: Part = "benchmark",
    ) -> None:
        super().__init__(root or default_cache_dir() / "fieldguide")
        for name, number, least in (
            ("species", species, 1),
            ("support", support, 1),
            ("test", test, 0),
            ("size", size, 16),
        ):
            if number < least:
                raise FgvrError(f"data.dataset.{name} is {number}; expected {least} or more.")
        self.species = species
        self.support = support
        self.test = test
        self.style = style
        self.size = size
        self.seed = seed
        self.part = part

    def records(self) -> list[ImageRecord]:
        """All photos, drawing those that are not there yet.

        Raises:
            FgvrError: ``root`` cannot be written.
        """
        # the photos say which guide they are from, so guides of other sizes cannot share them
        folder = self.root / f"{self.part}-{self.seed}-{self.species}-{self.style}-{self.size}-v{DRAWING}"
        records: list[ImageRecord] = []
        missing: list[tuple[Species, ImageRecord]] = []
        for bird in draw_guide(self.species, self.seed, self.part):
            for split, count in (("support", self.support), ("test", self.test)):
                for number in range(count):
                    sample_id = f"{split}/{bird.name}/{number:03d}.png"
                    record = ImageRecord(sample_id=sample_id, path=folder / sample_id, split=split, true_name=bird.name)
                    records.append(record)
                    if not record.path.exists():
                        missing.append((bird, record))
        try:
            for bird, record in tqdm(missing, desc="Drawing photos", unit="photo", disable=not missing):
                self._draw(bird, record)
        except OSError as error:
            raise FgvrError(
                f"The photos cannot be drawn into {str(folder)!r} ({error}). Set data.dataset.root to another folder."
            ) from error
        return sorted(records, key=lambda record: record.sample_id)

    def _draw(self, bird: Species, record: ImageRecord) -> None:
        draw = random.Random(f"{self.seed}:{self.style}:{record.sample_id}")
        image = DrawnImage(bird, self.species, self.seed, self.part)
        record.path.parent.mkdir(parents=True, exist_ok=True)
        save_image(draw_image(bird, self.style, draw, self.size), image, record.path)
