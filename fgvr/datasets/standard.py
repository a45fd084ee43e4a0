"""What the data sets have in common on which CLIP is usually adapted."""

from abc import abstractmethod
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from fgvr.datasets.base import ImageDataset
from fgvr.datasets.split_file import PARTS, ListedImage, read_split_file
from fgvr.errors import FgvrError
from fgvr.records import ImageRecord
from fgvr.tables import decode_text
from fgvr.text import counted


@dataclass(frozen=True)
class DatasetInfo:
    """What is known of a data set before it is read.

    Attributes:
        title: Its heading in CoOp's DATASETS.md, which has links to all files.
        image_folders: Folders below the root in which the photos may be: CoOp's first, then torchvision's.
        images_from: Where the photos are from, and what to put where.
        classes: Number of classes.
        split_file: Usual name of CoOp's split file; ``""`` if there is none.
        split_link: Where CoOp's page leads for it.
        counts: ``train``, ``val`` and ``test`` -> photos in CoOp's split.
        official: The same for the data set's own lists, where they differ; a part that is not there has no key.
        names: The class names, where they are few enough to be written down.
    """

    title: str
    image_folders: tuple[str, ...]
    images_from: str
    classes: int
    counts: Mapping[str, int]
    split_file: str = ""
    split_link: str = ""
    official: Mapping[str, int] = field(default_factory=dict)
    names: tuple[str, ...] = ()


class StandardDataset(ImageDataset):
    """Photos of a fixed list, in the folders that CoOp's DATASETS.md describes.

    Args:
        root: The data set's folder; what is in it is said by ``fgvr show datasets NAME``.
        split_file: CoOp's split; the file of its usual name in ``root`` if not given.
        train_and_val: Whether the parts ``train`` and ``val`` are support photos together, as in the LatteCLIP paper.
            Say false to keep ``val`` as the split ``val``.
        official: Read the data set's own lists instead of the split file.

    Raises:
        FgvrError: Validation photos are asked for, and the official lists have none; or both lists are asked for.
    """

    info: ClassVar[DatasetInfo]

    def __init__(
        self, root: Path, split_file: Path | None = None, train_and_val: bool = True, official: bool = False
    ) -> None:
        super().__init__(root)
        if official and split_file is not None:
            raise FgvrError("Give data.dataset.split_file or data.dataset.official, not both.")
        if official and not train_and_val and "val" not in self.info.official:
            raise FgvrError(
                f"The official lists of {self.info.title} have no validation photos, so "
                "data.dataset.train_and_val=false needs the split file: leave out data.dataset.official."
            )
        self.split_file = Path(split_file) if split_file is not None else None
        self.train_and_val = train_and_val
        self.official = official

    def listed(self) -> list[ListedImage]:
        """The photos of all parts, read from the lists.

        Raises:
            FgvrError: A list is missing or damaged.
        """
        return self.official_list() if self.official else self.split_list()

    @abstractmethod
    def official_list(self) -> list[ListedImage]:
        """The photos of the data set's own lists, where it has such lists."""

    def records(self) -> list[ImageRecord]:
        """The listed photos, sorted by sample id. A photo that is not there is found by the scan.

        Raises:
            FgvrError: A list or the image folder is missing, a list is damaged, names a photo twice, or names what is
                no path below the image folder.
        """
        self.require_root()
        listed = self.listed()
        for image in listed:
            if image.problem:
                raise FgvrError(
                    f"The lists of {str(self.root)!r} name {image.file!r} in {image.part}, which {image.problem}. "
                    "Download the lists again."
                )
        counts = Counter(image.file for image in listed)
        twice = [image for image in listed if counts[image.file] > 1]
        if twice:
            file = twice[0].file
            parts = " and ".join(image.part for image in twice if image.file == file)
            raise FgvrError(
                f"The lists of {str(self.root)!r} name {counted(len({image.file for image in twice}), 'photo')} "
                f"more than once; the first is {file!r}, in {parts}. Download the lists again, or delete one of the "
                "entries."
            )
        folder = self.image_folder()
        # the same ids in every layout, so that stored labels and drawn support sets do not depend on it
        prefix = self.info.image_folders[0]
        records = [
            ImageRecord(
                sample_id=f"{prefix}/{image.file}" if prefix else image.file,
                path=folder / image.file,
                split=self._split(image.part),
                true_name=image.class_name,
            )
            for image in listed
        ]
        return sorted(records, key=lambda record: record.sample_id)

    def image_folder(self) -> Path:
        """The folder to which the lists' paths are relative.

        Raises:
            FgvrError: It is not there.
        """
        for name in self.info.image_folders:
            if (self.root / name).is_dir():
                return self.root / name
        raise FgvrError(
            f"There are no photos of {self.info.title} in {str(self.root)!r}: expected the folder "
            f"{self.info.image_folders[0]!r} in it. {self.info.images_from} If they are elsewhere, "
            "set data.dataset.root to that folder."
        )

    def expected(self) -> dict[str, int]:
        """Split -> how many photos the published lists have in it."""
        counts: Counter[str] = Counter()
        for part, count in (self.info.official if self.official else self.info.counts).items():
            counts[self._split(part)] += count
        return dict(counts)

    def split_list(self) -> list[ListedImage]:
        """The photos of CoOp's split file.

        Raises:
            FgvrError: There is no such file, or it is damaged.
        """
        path = self.split_path()
        if not path.is_file():
            name = type(self).__module__.rpartition(".")[2]
            own = (
                " Or read the data set's own lists: set data.dataset.official to true (the command "
                f"`fgvr show datasets {name}` says what differs)."
                if self.info.official
                else ""
            )
            raise FgvrError(
                f"There is no {str(path)!r}, the split of {self.info.title} that papers since CoOp have used. Get it "
                f"from {self.info.split_link} (linked from DATASETS.md of https://github.com/KaiyangZhou/CoOp), and "
                f"put it there or set data.dataset.split_file to it.{own}"
            )
        return read_split_file(path)

    def split_path(self) -> Path:
        """Where the split file is looked for."""
        return self.split_file if self.split_file is not None else self.root / self.info.split_file

    def own_file(self, *names: str) -> Path:
        """A file of the data set's own lists: the first of these below ``root`` that is there.

        Raises:
            FgvrError: None is there.
        """
        for name in names:
            if (self.root / name).is_file():
                return self.root / name
        raise FgvrError(
            f"There is no {str(self.root / names[0])!r}, a list of {self.info.title}. {self.info.images_from}"
        )

    def own_lines(self, *names: str) -> list[str]:
        """The lines of such a file that are not blank, without the spaces around them."""
        path = self.own_file(*names)
        lines = decode_text(path.read_bytes(), path).splitlines()
        return [line.strip() for line in lines if line.strip()]

    def own_matrix(self, key: str, *names: str) -> Any:
        """What a MATLAB file of such a list has under a key; see ``own_file``.

        Raises:
            FgvrError: There is no such file, or it has no such key, or it is cut off or something else.
        """
        from scipy.io import loadmat

        path = self.own_file(*names)
        try:
            return loadmat(path, squeeze_me=True)[key]
        except Exception as error:  # what scipy raises for a damaged file is whatever its reader happens to run into
            raise FgvrError(
                f"{path}: expected a MATLAB file with {key!r} ({type(error).__name__}: {error}). Download it again. "
                f"{self.info.images_from}"
            ) from None

    def _split(self, part: str) -> str:
        if part not in PARTS:
            raise ValueError(f"{part!r} is not one of {PARTS}")
        return "support" if part == "train" or (part == "val" and self.train_and_val) else part
