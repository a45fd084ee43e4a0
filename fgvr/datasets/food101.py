"""Food-101."""

import json

from fgvr.datasets.split_file import ListedImage, spaced
from fgvr.datasets.standard import DatasetInfo, StandardDataset
from fgvr.errors import FgvrError


class Food101Dataset(StandardDataset):
    """Food-101 (Bossard et al., 2014): 101 dishes, 70,700 photos to learn from and 30,300 test photos.

    CoOp's split has 50,500, 20,200 and 30,300 photos, drawn from all of them. The official lists have 75,750 training
    and 25,250 test photos: another split, so figures on it cannot be compared with those of papers that use CoOp's.
    True names are the folder names with spaces.

    The folder has ``images/``, ``meta/`` and CoOp's ``split_zhou_Food101.json``. The official lists are
    ``meta/train.json`` and ``meta/test.json``, which have no ``val``.
    """

    info = DatasetInfo(
        title="Food101",
        image_folders=("images",),
        images_from="The command `fgvr data download food101 --root FOLDER` gets them.",
        classes=101,
        split_file="split_zhou_Food101.json",
        split_link="https://drive.google.com/file/d/1QK0tGi096I0Ba6kggatX1ee6dJFIcEJl/view",
        counts={"train": 50_500, "val": 20_200, "test": 30_300},
        official={"train": 75_750, "test": 25_250},
    )

    def official_list(self) -> list[ListedImage]:
        """See the base class."""
        images = []
        for part in ("train", "test"):
            path = self.own_file(f"meta/{part}.json")
            try:
                files = json.loads(path.read_text(encoding="utf-8"))
                images += [
                    ListedImage(part, f"{file}.jpg", spaced(name)) for name, listed in files.items() for file in listed
                ]
            except (ValueError, AttributeError, TypeError) as error:
                raise FgvrError(
                    f"{path}: expected a JSON object of class names and their photos ({error}). {self.info.images_from}"
                ) from None
        return images
