"""EuroSAT as CoOp splits it."""

from pathlib import Path
from typing import Any

from fgvr.datasets.split_file import ListedImage
from fgvr.datasets.standard import DatasetInfo, StandardDataset


class EurosatDataset(StandardDataset):
    """EuroSAT (Helber et al., 2019): satellite photos of 10 kinds of land, 18,900 to learn from and 8,100 test photos.

    The data set has no split of its own; CoOp's has 13,500, 5,400 and 8,100 photos. True names are CoOp's, which are
    longer than the folders': "Annual Crop Land" for ``AnnualCrop``, "Sea or Lake" for ``SeaLake``.

    Args:
        root: The folder with ``2750/`` and CoOp's ``split_zhou_EuroSAT.json``.
        **kwargs: Arguments of ``StandardDataset``, but for ``official``.
    """

    info = DatasetInfo(
        title="EuroSAT",
        image_folders=("2750",),
        images_from="The command `fgvr data download eurosat --root FOLDER` gets them.",
        classes=10,
        split_file="split_zhou_EuroSAT.json",
        split_link="https://drive.google.com/file/d/1Ip7yaCWFi0eaOFUGga0lUdVi_DDQth1o/view",
        counts={"train": 13_500, "val": 5_400, "test": 8_100},
        names=(
            "Annual Crop Land",
            "Forest",
            "Herbaceous Vegetation Land",
            "Highway or Road",
            "Industrial Buildings",
            "Pasture Land",
            "Permanent Crop Land",
            "Residential Buildings",
            "River",
            "Sea or Lake",
        ),
    )

    def __init__(self, root: Path, **kwargs: Any) -> None:
        super().__init__(root, official=False, **kwargs)

    def official_list(self) -> list[ListedImage]:
        """There is none."""
        return []
