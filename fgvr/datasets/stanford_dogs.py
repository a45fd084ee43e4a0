"""Stanford Dogs."""

from pathlib import Path
from typing import Any

import numpy as np

from fgvr.datasets.folder_names import wordnet_class_name
from fgvr.datasets.split_file import ListedImage
from fgvr.datasets.standard import DatasetInfo, StandardDataset
from fgvr.errors import FgvrError


class StanfordDogsDataset(StandardDataset):
    """Stanford Dogs (Khosla et al., 2011): 120 breeds, 12,000 photos to learn from and 8,580 test photos.

    The official lists have 100 training photos of each breed, and CoOp has no split of them, so there is no split file.
    The photos are from ImageNet, which backbones may have seen with their names. True names are the folder names
    without WordNet ids and with spaces: "Afghan hound" for ``n02088094-Afghan_hound``.

    Args:
        root: The folder with ``Images/``, ``train_list.mat`` and ``test_list.mat``. The lists may be in ``lists/``.
        **kwargs: Arguments of ``StandardDataset``, but for those of the lists.
    """

    info = DatasetInfo(
        title="Stanford Dogs",
        image_folders=("Images", "images/Images", "images", "Images/Images"),
        images_from="images.tar and lists.tar are on http://vision.stanford.edu/aditya86/ImageNetDogs/; unpack both "
        "into the data set's folder, so that it has 'Images', train_list.mat and test_list.mat.",
        classes=120,
        counts={"train": 12_000, "val": 0, "test": 8_580},
        official={"train": 12_000, "test": 8_580},
    )

    def __init__(self, root: Path, **kwargs: Any) -> None:
        super().__init__(root, split_file=None, official=True, **kwargs)

    def official_list(self) -> list[ListedImage]:
        """See the base class."""
        images = []
        for part in ("train", "test"):
            name = f"{part}_list.mat"
            path = self.own_file(name, f"lists/{name}")
            files = np.atleast_1d(self.own_matrix("file_list", name, f"lists/{name}")).ravel()
            for file in map(str, files):
                folder, _, rest = file.partition("/")
                if not rest:
                    raise FgvrError(
                        f"{path}: expected a folder and a photo, found {file[:80]!r}. {self.info.images_from}"
                    )
                images.append(ListedImage(part, file, wordnet_class_name(folder)))
        return images

    def image_folder(self) -> Path:
        """See the base class. A folder is the right one if the breeds' folders are in it."""
        for name in self.info.image_folders:
            if next((self.root / name).glob("n*-*"), None) is not None:
                return self.root / name
        return super().image_folder()
