"""Caltech101 as CoOp splits it."""

from pathlib import Path
from typing import Any

from fgvr.datasets.split_file import ListedImage
from fgvr.datasets.standard import DatasetInfo, StandardDataset


class Caltech101Dataset(StandardDataset):
    """Caltech101 (Fei-Fei et al., 2004) in 100 classes, 5,777 photos to learn from and 2,465 test photos.

    The data set has no split of its own; CoOp's has 4,128, 1,649 and 2,465 photos, and leaves out the folders
    ``BACKGROUND_Google`` and ``Faces_easy``. True names are the folder names with spaces, but for CoOp's "airplane",
    "face", "leopard" and "motorbike", whose folders are ``airplanes``, ``Faces``, ``Leopards`` and ``Motorbikes``.

    Args:
        root: The folder with ``101_ObjectCategories/`` and CoOp's ``split_zhou_Caltech101.json``.
        **kwargs: Arguments of ``StandardDataset``, but for ``official``.
    """

    info = DatasetInfo(
        title="Caltech101",
        image_folders=("101_ObjectCategories",),
        images_from="The command `fgvr data download caltech101 --root FOLDER` gets them.",
        classes=100,
        split_file="split_zhou_Caltech101.json",
        split_link="https://drive.google.com/file/d/1hyarUivQE36mY6jSomru6Fjd-JzwcCzN/view",
        counts={"train": 4_128, "val": 1_649, "test": 2_465},
    )

    def __init__(self, root: Path, **kwargs: Any) -> None:
        super().__init__(root, official=False, **kwargs)

    def official_list(self) -> list[ListedImage]:
        """There is none."""
        return []
