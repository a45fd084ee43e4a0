"""Photos in folders."""

import os
import re
from pathlib import Path

from PIL import Image

from fgvr.datasets.base import ImageDataset, split_name
from fgvr.errors import FgvrError
from fgvr.images import photo_formats
from fgvr.records import ImageRecord

_NUMBER_PREFIX = re.compile(r"^\d+[._\- ]+(?=\D)")  # CUB's "001.Black_footed_Albatross"


class FolderDataset(ImageDataset):
    """Photos in a folder: flat, in class folders, or in split folders that hold either.

    ``root/*.jpg`` has no classes; in ``root/<class>/**/*.jpg`` the first folder is the true class, underscores read as
    spaces and a leading number dropped; with ``root/support`` and ``root/test`` (also ``train``, ``val``) the same
    holds below each of them. Without split folders every photo is a support photo. True names are used for evaluation
    and for drawing m shots per class, and nowhere else.

    Args:
        root: The folder.
        class_folders: Whether sub-folders are classes. Say false for folders that only sort the photos, by date say.
    """

    def __init__(self, root: Path, class_folders: bool = True) -> None:
        super().__init__(root)
        self.class_folders = class_folders

    def records(self) -> list[ImageRecord]:
        """All files below ``root`` with an image format's ending; hidden files and folders are left out."""
        self.require_root()
        formats = photo_formats()
        endings = {ending for ending, name in Image.registered_extensions().items() if name in formats}
        folders = [path.name for path in self.root.iterdir() if path.is_dir() and not path.name.startswith(".")]
        splits = [name for name in folders if split_name(name)]
        with_splits = bool(splits)
        if with_splits and len(splits) < len(folders):
            others = ", ".join(sorted(set(folders) - set(splits))[:3])
            raise FgvrError(
                f"{str(self.root)!r} has split folders ({', '.join(sorted(splits))}) and others ({others}). Move one "
                "kind away, or list the photos in a CSV and set data.dataset to manifest."
            )
        records = []
        for path in files_below(self.root):
            parts = path.relative_to(self.root).parts
            if path.suffix.lower() not in endings:
                continue
            split = (split_name(parts[0]) if with_splits and len(parts) > 1 else None) or "support"
            inner = parts[1:-1] if with_splits else parts[:-1]
            true_name = class_name(inner[0]) if inner and self.class_folders else None
            records.append(ImageRecord("/".join(parts), path, split, true_name=true_name))
        if not records:
            raise FgvrError(
                f"There is no photo in {str(self.root)!r} or below it (endings looked for: .jpg, .png, .webp and every "
                "other one that Pillow reads). Set data.dataset.root to the right folder."
            )
        return records


def files_below(root: Path) -> list[Path]:
    """All files below ``root`` in sorted order, through symbolic links, without hidden files and folders."""
    found = []
    for folder, folders, files in os.walk(root, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(folder, name) for name in files if not name.startswith(".")]
    return sorted(found)


def class_name(folder: str) -> str:
    """The class name that a folder's name stands for.

    Example:
        >>> class_name("001.Black_footed_Albatross")
        'Black footed Albatross'
    """
    return _NUMBER_PREFIX.sub("", folder).replace("_", " ").strip()
