"""Stanford Cars."""

from fgvr.datasets.split_file import ListedImage
from fgvr.datasets.standard import DatasetInfo, StandardDataset
from fgvr.errors import FgvrError

_LISTS = {
    "train": ("cars_train", "devkit/cars_train_annos.mat"),
    "test": ("cars_test", "cars_test_annos_withlabels.mat"),
}


class StanfordCarsDataset(StandardDataset):
    """Stanford Cars (Krause et al., 2013): 196 models, 8,144 photos to learn from and 8,041 test photos.

    CoOp's split has 6,509, 1,635 and 8,041 photos: the official training photos in two, and the official test photos.
    So the official lists give the same support and test photos. True names have the year in front, as CoOp writes
    them: "2012 Acura TL Sedan" for the data set's "Acura TL Sedan 2012".

    The folder has ``cars_train/``, ``cars_test/``, ``devkit/`` and CoOp's ``split_zhou_StanfordCars.json``. The
    official lists are ``devkit/*.mat`` and ``cars_test_annos_withlabels.mat``.
    """

    info = DatasetInfo(
        title="StanfordCars",
        image_folders=("",),
        images_from="Their site has been gone since 2023, and torchvision downloads them no more. Copies are named in "
        "https://github.com/pytorch/vision/issues/7545; in the data set's folder, the photos go into "
        "'cars_train' and 'cars_test', the devkit into 'devkit', and cars_test_annos_withlabels.mat beside them.",
        classes=196,
        split_file="split_zhou_StanfordCars.json",
        split_link="https://drive.google.com/file/d/1ObCFbaAgVu0I-k_Au-gIUcefirdAuizT/view",
        counts={"train": 6_509, "val": 1_635, "test": 8_041},
        official={"train": 8_144, "test": 8_041},
    )

    def official_list(self) -> list[ListedImage]:
        """See the base class."""
        names = [_year_first(str(name)) for name in self.own_matrix("class_names", "devkit/cars_meta.mat")]
        listed = []
        for part, (folder, file) in _LISTS.items():
            for row in self.own_matrix("annotations", file):
                number = int(row["class"])
                if not 1 <= number <= len(names):
                    raise FgvrError(
                        f"{self.own_file(file)}: the class of {str(row['fname'])!r} is {number}; expected 1 to "
                        f"{len(names)}, as in devkit/cars_meta.mat. {self.info.images_from}"
                    )
                listed.append(ListedImage(part, f"{folder}/{row['fname']}", names[number - 1]))
        return listed


def _year_first(name: str) -> str:
    model, _, year = name.rpartition(" ")
    return f"{year} {model}".strip()
