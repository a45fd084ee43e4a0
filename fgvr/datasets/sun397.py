"""SUN397."""

from pathlib import PurePosixPath

from fgvr.datasets.split_file import ListedImage, spaced
from fgvr.datasets.standard import DatasetInfo, StandardDataset


class Sun397Dataset(StandardDataset):
    """SUN397 (Xiao et al., 2010): 397 scenes, 19,850 photos to learn from and 19,850 test photos.

    CoOp's split has 15,880, 3,970 and 19,850 photos: the first official training list in two, and the first official
    test list. So the official lists give the same support and test photos. The other photos of the archive are in
    neither. True names have what is after the last slash in front, as CoOp writes them: "outdoor apartment building"
    for ``/a/apartment_building/outdoor``.

    The folder has ``SUN397/`` and CoOp's ``split_zhou_SUN397.json``. The official lists are ``Training_01.txt`` and
    ``Testing_01.txt`` of ``Partitions.zip``.
    """

    info = DatasetInfo(
        title="SUN397",
        image_folders=("SUN397",),
        images_from="The links of their site lead nowhere (https://github.com/pytorch/vision/issues/9348). If you have "
        "SUN397.tar.gz (37 GB) and Partitions.zip, unpack both into the data set's folder.",
        classes=397,
        split_file="split_zhou_SUN397.json",
        split_link="https://drive.google.com/file/d/1y2RD81BYuiyvebdN-JymPfyWYcd8_MUq/view",
        counts={"train": 15_880, "val": 3_970, "test": 19_850},
        official={"train": 19_850, "test": 19_850},
    )

    def official_list(self) -> list[ListedImage]:
        """See the base class."""
        return [
            ListedImage(part, file, _scene(file))
            for part, name in (("train", "Training_01.txt"), ("test", "Testing_01.txt"))
            for file in (line.lstrip("/") for line in self.own_lines(name))
        ]


def _scene(file: str) -> str:
    """The scene in a path such as ``a/apartment_building/outdoor/sun_aaa.jpg``: its words from the end."""
    return spaced(" ".join(reversed(PurePosixPath(file).parts[1:-1])))
