"""Oxford 102 Flowers."""

import json

from fgvr.datasets.split_file import ListedImage, spaced
from fgvr.datasets.standard import DatasetInfo, StandardDataset
from fgvr.errors import FgvrError

_PARTS = {"train": "trnid", "val": "valid", "test": "tstid"}


class Flowers102Dataset(StandardDataset):
    """Oxford 102 Flowers (Nilsback and Zisserman, 2008), 5,726 photos to learn from and 2,463 test photos.

    CoOp's split has 4,093, 1,633 and 2,463 photos. The official one has 1,020, 1,020 and 6,149: another split, so
    figures on it cannot be compared with those of papers that use CoOp's. The data set itself has numbers for classes;
    true names are those of CoOp's ``cat_to_name.json``.

    The folder has ``jpg/``, ``imagelabels.mat`` and CoOp's ``split_zhou_OxfordFlowers.json``; torchvision's
    ``flowers-102`` will do. The official lists are ``setid.mat`` and ``imagelabels.mat``, with ``cat_to_name.json``.
    """

    info = DatasetInfo(
        title="Flowers102",
        image_folders=("jpg",),
        images_from="The command `fgvr data download flowers102 --root FOLDER` gets the photos and the .mat files; "
        "cat_to_name.json is at https://drive.google.com/file/d/1AkcxCXeK_RCGCEC_GvmWxjcjaNhu-at0/view.",
        classes=102,
        split_file="split_zhou_OxfordFlowers.json",
        split_link="https://drive.google.com/file/d/1Pp0sRXzZFZq15zVOzKjKBu4A9i01nozT/view",
        counts={"train": 4_093, "val": 1_633, "test": 2_463},
        official={"train": 1_020, "val": 1_020, "test": 6_149},
    )

    def official_list(self) -> list[ListedImage]:
        """See the base class."""
        names_file = self.own_file("cat_to_name.json")
        numbers = {part: self.own_matrix(key, "setid.mat") for part, key in _PARTS.items()}
        classes = self.own_matrix("labels", "imagelabels.mat")
        try:
            names = json.loads(names_file.read_text(encoding="utf-8"))
            return [
                ListedImage(part, f"image_{number:05d}.jpg", spaced(names[str(classes[number - 1])]))
                for part in _PARTS
                for number in numbers[part].tolist()
            ]
        except (ValueError, KeyError, IndexError, TypeError) as error:
            raise FgvrError(
                f"{names_file}, setid.mat or imagelabels.mat is not the data set's ({type(error).__name__}: {error}). "
                f"{self.info.images_from}"
            ) from None
