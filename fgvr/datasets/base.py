"""The contract of a data set reader: the only file that the author of one must read."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

from fgvr.errors import FgvrError
from fgvr.records import ImageRecord

SPLITS = ("support", "val", "test")
SPLIT_ALIASES = {"train": "support", "training": "support", "valid": "val", "validation": "val"}


class ImageDataset(ABC):
    """Lists photos. Nothing is opened here: reading, checking and hashing the files is the scan's work.

    Args:
        root: Folder below which all photos are.

    Attributes:
        remarks: What a person should know of what ``records`` made of the files, in sentences: set by it where there
            is anything, and shown as warnings.
    """

    remarks: Sequence[str] = ()

    def __init__(self, root: Path) -> None:
        self.root = Path(root)

    @abstractmethod
    def records(self) -> list[ImageRecord]:
        """All photos, sorted by sample id, with ``true_name`` where the data set states it and an empty ``digest``.

        Raises:
            FgvrError: The folder, a file or a column is missing, or two photos have one id.
        """

    def require_root(self) -> None:
        """Raise ``FgvrError`` unless ``root`` is a folder."""
        if not self.root.is_dir():
            raise FgvrError(
                f"There is no folder {str(self.root)!r} to read photos from. Set data.dataset.root to the right one."
            )


def split_name(text: str) -> str | None:
    """``"support"``, ``"val"`` or ``"test"`` for a split's name or one of its usual other names; ``None`` otherwise."""
    name = text.strip().lower()
    name = SPLIT_ALIASES.get(name, name)
    return name if name in SPLITS else None
