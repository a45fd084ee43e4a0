"""The Describable Textures Dataset."""

from fgvr.datasets.split_file import PARTS, ListedImage, spaced
from fgvr.datasets.standard import DatasetInfo, StandardDataset


class DtdDataset(StandardDataset):
    """Describable Textures (Cimpoi et al., 2014): 47 textures, 3,948 photos to learn from and 1,692 test photos.

    CoOp's split has 2,820, 1,128 and 1,692 photos. The first of the data set's ten official splits has 1,880 of each:
    figures on it cannot be compared with those of papers that use CoOp's. True names are the folder names.

    The folder has ``images/``, ``labels/`` and CoOp's ``split_zhou_DescribableTextures.json``; torchvision's, with
    ``dtd/`` in it, will do. The official lists are ``labels/train1.txt`` and the like.
    """

    info = DatasetInfo(
        title="DTD",
        image_folders=("images", "dtd/images"),
        images_from="The command `fgvr data download dtd --root FOLDER` gets them.",
        classes=47,
        split_file="split_zhou_DescribableTextures.json",
        split_link="https://drive.google.com/file/d/1u3_QfB467jqHgNXC00UIzbLZRQCg2S7x/view",
        counts={"train": 2_820, "val": 1_128, "test": 1_692},
        official={"train": 1_880, "val": 1_880, "test": 1_880},
    )

    def official_list(self) -> list[ListedImage]:
        """See the base class."""
        return [
            ListedImage(part, file, spaced(file.partition("/")[0]))
            for part in PARTS
            for file in self.own_lines(f"labels/{part}1.txt", f"dtd/labels/{part}1.txt")
        ]
