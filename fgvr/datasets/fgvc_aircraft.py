"""FGVC-Aircraft."""

from pathlib import Path
from typing import Any

from fgvr.datasets.split_file import PARTS, ListedImage
from fgvr.datasets.standard import DatasetInfo, StandardDataset
from fgvr.errors import FgvrError


class FgvcAircraftDataset(StandardDataset):
    """FGVC-Aircraft (Maji et al., 2013): 100 variants of aircraft, 6,667 photos to learn from and 3,333 test photos.

    The official lists have 3,334, 3,333 and 3,333 photos, and CoOp reads these too, so there is no split file. True
    names are the variants as listed ("737-200"), without the manufacturer.

    Args:
        root: The folder with ``images/`` and ``images_variant_train.txt``: the archive's ``data``. The folder above it
            will do.
        **kwargs: Arguments of ``StandardDataset``, but for those of the lists.
    """

    info = DatasetInfo(
        title="FGVCAircraft",
        image_folders=("images", "data/images", "fgvc-aircraft-2013b/data/images"),
        images_from="The command `fgvr data download fgvc_aircraft --root FOLDER` gets them.",
        classes=100,
        counts={"train": 3_334, "val": 3_333, "test": 3_333},
        official={"train": 3_334, "val": 3_333, "test": 3_333},
    )

    def __init__(self, root: Path, **kwargs: Any) -> None:
        super().__init__(root, split_file=None, official=True, **kwargs)

    def official_list(self) -> list[ListedImage]:
        """See the base class."""
        images = []
        for part in PARTS:
            name = f"images_variant_{part}.txt"
            for line in self.own_lines(name, f"data/{name}", f"fgvc-aircraft-2013b/data/{name}"):
                number, _, variant = line.partition(" ")
                if not variant.strip():
                    raise FgvrError(f"{name}: expected an image number and a variant, found {line[:80]!r}.")
                images.append(ListedImage(part, f"{number}.jpg", variant.strip()))
        return images
