"""Oxford-IIIT Pets."""

from fgvr.datasets.split_file import ListedImage, spaced
from fgvr.datasets.standard import DatasetInfo, StandardDataset
from fgvr.errors import FgvrError


class OxfordPetsDataset(StandardDataset):
    """Oxford-IIIT Pets (Parkhi et al., 2012): 37 breeds, 3,680 photos to learn from and 3,669 test photos.

    CoOp's split has 2,944, 736 and 3,669 photos: the official ``trainval`` in two, and the official ``test``. So the
    official lists give the same support and test photos. True names are lower-case breeds ("american bulldog"), as
    CoOp writes them; the files have ``american_bulldog`` and, for cats, ``Russian_Blue``.

    The folder has ``images/``, ``annotations/`` and CoOp's ``split_zhou_OxfordPets.json``, as ``oxford-iiit-pet`` of
    torchvision has but for the last. The official lists are ``annotations/trainval.txt`` and ``annotations/test.txt``.
    """

    info = DatasetInfo(
        title="OxfordPets",
        image_folders=("images",),
        images_from="The command `fgvr data download oxford_pets --root FOLDER` gets them.",
        classes=37,
        split_file="split_zhou_OxfordPets.json",
        split_link="https://drive.google.com/file/d/1501r8Ber4nNKvmlFVQZ8SeUHTcdTTEqs/view",
        counts={"train": 2_944, "val": 736, "test": 3_669},
        official={"train": 3_680, "test": 3_669},
    )

    def official_list(self) -> list[ListedImage]:
        """See the base class."""
        return [
            ListedImage(part, f"{image}.jpg", _breed(image))
            for part, name in (("train", "trainval"), ("test", "test"))
            for image in (line.split()[0] for line in self.own_lines(f"annotations/{name}.txt"))
        ]


def _breed(image: str) -> str:
    """The breed in a file name such as ``american_bulldog_100``."""
    breed, _, number = image.rpartition("_")
    if not breed or not number:
        raise FgvrError(f"annotations: expected a breed and a number such as 'beagle_12', found {image[:80]!r}.")
    return spaced(breed).lower()
