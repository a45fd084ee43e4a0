"""The middle frames of UCF101's videos."""

import re
from pathlib import PurePosixPath

from fgvr.datasets.split_file import ListedImage, spaced
from fgvr.datasets.standard import DatasetInfo, StandardDataset


class Ucf101Dataset(StandardDataset):
    """UCF101 (Soomro et al., 2012), the middle frame of each video: 101 actions, 9,537 and 3,783 frames.

    CoOp's split has 7,639, 1,898 and 3,783 frames: the first official training list in two, and the first official
    test list. So the official lists give the same support and test frames. True names are CoOp's, with spaces between
    the words: "Apply Eye Makeup" for ``ApplyEyeMakeup``.

    The folder has ``UCF-101-midframes/`` and CoOp's ``split_zhou_UCF101.json``. The official lists are
    ``trainlist01.txt`` and ``testlist01.txt`` in ``ucfTrainTestlist/``, which are in
    https://www.crcv.ucf.edu/data/UCF101/UCF101TrainTestSplits-RecognitionTask.zip.
    """

    info = DatasetInfo(
        title="UCF101",
        image_folders=("UCF-101-midframes",),
        images_from="Get UCF-101-midframes.zip from "
        "https://drive.google.com/file/d/10Jqome3vtUA2keJkNanAiFpgbyC9Hc2O/view and unpack it into the data "
        "set's folder; torchvision has the videos only.",
        classes=101,
        split_file="split_zhou_UCF101.json",
        split_link="https://drive.google.com/file/d/1I0S0q91hJfsV9Gf4xDIjgDq4AqBNJb1y/view",
        counts={"train": 7_639, "val": 1_898, "test": 3_783},
        official={"train": 9_537, "test": 3_783},
    )

    def official_list(self) -> list[ListedImage]:
        """See the base class."""
        return [
            _frame(part, PurePosixPath(line.split()[0]))
            for part, name in (("train", "trainlist01.txt"), ("test", "testlist01.txt"))
            for line in self.own_lines(f"ucfTrainTestlist/{name}")
        ]


def _frame(part: str, video: PurePosixPath) -> ListedImage:
    """The frame of ``ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi``, in the folder that CoOp's archive has for it."""
    action = "_".join(re.findall("[A-Z][^A-Z]*", video.parent.name))
    return ListedImage(part, f"{action}/{video.stem}.jpg", spaced(action))
