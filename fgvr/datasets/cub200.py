"""Caltech-UCSD Birds-200-2011 as it is distributed."""

from pathlib import Path

from fgvr.datasets.base import ImageDataset
from fgvr.datasets.folder_names import class_name
from fgvr.errors import FgvrError
from fgvr.records import ImageRecord


class Cub200Dataset(ImageDataset):
    """Caltech-UCSD Birds-200-2011 (Wah et al., 2011): 200 birds, 5,994 training and 5,794 test photos.

    The official training photos are the support split, so that no test photo is learned from. (FineR's published
    support set was drawn from the test photos; list it in a manifest to repeat that.) True names are the folder names
    with spaces: the data set writes "Black footed Albatross" without its hyphen.

    The folder is ``CUB_200_2011``, with ``images.txt``, ``train_test_split.txt`` and ``images/``.
    """

    def records(self) -> list[ImageRecord]:
        """The photos of ``images.txt``, in sorted order."""
        self.require_root()
        files, training = self._table("images.txt"), self._table("train_test_split.txt")
        records = []
        for number, file in files.items():
            if training.get(number) not in ("0", "1"):
                raise FgvrError(
                    f"{self.root / 'train_test_split.txt'}: image {number} ({file}) has no 0 or 1; "
                    "unpack CUB_200_2011.tgz again."
                )
            path = Path("images") / file
            split = "support" if training[number] == "1" else "test"
            true_name = class_name(file.partition("/")[0])
            records.append(
                ImageRecord(sample_id=path.as_posix(), path=self.root / path, split=split, true_name=true_name)
            )
        return sorted(records, key=lambda record: record.sample_id)

    def _table(self, name: str) -> dict[str, str]:
        path = self.root / name
        if not path.is_file():
            raise FgvrError(
                f"There is no {str(path)!r}: data.dataset.root must be the folder CUB_200_2011 of CUB_200_2011.tgz."
            )
        lines = path.read_text(encoding="utf-8").splitlines()
        return {number: value for number, _, value in (line.strip().partition(" ") for line in lines if line.strip())}
