"""Photos in folders."""

from collections.abc import Mapping
from pathlib import Path

from fgvr.datasets.base import ImageDataset, split_name
from fgvr.datasets.folder_names import class_names, doubtful_classes, is_wordnet_id
from fgvr.datasets.layouts import AmbiguousLayoutError, Layout, Place, found_layout, given_layout, layout_levels
from fgvr.datasets.walk import Walk, walk
from fgvr.errors import FgvrError
from fgvr.records import ImageRecord
from fgvr.text import counted

_SHOWN = 3


class FolderDataset(ImageDataset):
    """Photos in a folder: flat, in class folders, in split folders, or in both, one inside the other.

    ``root/*.jpg`` has no classes; in ``root/<class>/**/*.jpg`` the first folder is the true class; with split folders
    (``train``, ``Testing``, ``val_images``, ``cars_test``, ...) the same holds below each of them. Class folders that
    hold split folders, and folders around everything, are understood. Where folders can be read in two ways, ``layout``
    decides. Without split folders every photo is a support photo.

    Underscores in names of classes read as spaces. A leading number or WordNet id is dropped if every class folder has
    one and names differ without it. True names are used for evaluation and for drawing m shots per class, and nowhere
    else.

    Args:
        root: The folder.
        class_folders: Whether sub-folders are classes. Say false for folders that only sort the photos, by date say.
        layout: What folders are, from the root on: ``split/class``, ``class/split``, ``class``, ``split``, or with
            ``any`` for folders that are neither, ``any/split/class``. Found by names if not given.
        splits: Folder name -> split (support, val or test), where names do not say it. No other folder is a split then.

    Raises:
        FgvrError: The layout or a split is none.
    """

    def __init__(
        self,
        root: Path,
        class_folders: bool = True,
        layout: str | None = None,
        splits: dict[str, str] | None = None,
    ) -> None:
        super().__init__(root)
        self.class_folders = class_folders
        self.layout = layout
        self.splits = splits
        self._levels = None if layout is None else layout_levels(layout)
        self._given = None if splits is None else _given_splits(splits)

    def records(self) -> list[ImageRecord]:
        """All files below ``root`` with an image format's ending, sorted by sample id.

        Hidden files and folders are left out, and so are run folders of fgvr. ``remarks`` says what else was.

        Raises:
            FgvrError: The folder is missing, has no photos, or can be read in two ways.
        """
        self.require_root()
        found = walk(self.root)
        layout = self._read(found)
        folders = {place.class_folder for place in layout.places.values() if place}
        names = class_names([name for name in folders if name is not None]) if self.class_folders else {}
        doubts = [f"In {str(self.root)!r}: {doubt}" for doubt in doubtful_classes(names)[:_SHOWN]]
        self.remarks = (*self._remarked(found, layout), *doubts)
        records = []
        for folder in found.folders:
            place = layout.places[folder.parts]
            if place is None:
                continue
            start, true_name = "".join(f"{name}/" for name in folder.parts), names.get(place.class_folder or "")
            records += [
                ImageRecord(sample_id=f"{start}{name}", path=path, split=place.split, true_name=true_name)
                for name, path in zip(folder.names, folder.paths(), strict=True)
            ]
        if not records:
            raise FgvrError(
                f"There is no photo in {str(self.root)!r} or below it (endings looked for: .jpg, .png, .webp and every "
                "other one that Pillow reads). "
                + " ".join([*self.remarks, "Set data.dataset.root to the right folder."])
            )
        return sorted(records, key=lambda record: record.sample_id)

    def _read(self, found: Walk) -> Layout:
        folders = [folder.parts for folder in found.folders]
        if self._given is not None:
            there = {name for parts in folders for name in parts}
            unknown = sorted(set(self._given) - there)
            if unknown:
                raise FgvrError(
                    f"data.dataset.splits names {unknown[0]!r}, but no folder with photos in {str(self.root)!r} is "
                    "called so. Correct the name, or leave it out."
                )
        try:
            if self._levels is not None:
                return given_layout(folders, self._levels, self._given)
            return found_layout(folders, self._given)
        except AmbiguousLayoutError as error:
            raise FgvrError(f"{str(self.root)!r} can be read in two ways: {error}") from None

    def _remarked(self, found: Walk, layout: Layout) -> list[str]:
        """What a person should know: no photo is passed over without a word."""
        remarks = []
        if text := found.remark():
            remarks.append(f"In {str(self.root)!r}, {text}")
        if found.closed:
            shown = ", ".join(f"{folder} ({why})" for folder, why in sorted(found.closed.items())[:_SHOWN])
            remarks.append(
                f"In {str(self.root)!r}, {counted(len(found.closed), 'folder')} cannot be looked into: {shown}. Change "
                "their permissions if there are photos in them."
            )
        sizes = {folder.parts: len(folder.names) for folder in found.folders}
        if layout.left_out:
            shown = ", ".join("/".join(parts) for parts in layout.left_out[:_SHOWN])
            count = sum(sizes[parts] for parts, place in layout.places.items() if place is None)
            remarks.append(
                f"{counted(count, 'photo is', 'photos are')} left out, in folders of {str(self.root)!r} that are "
                f"neither splits nor classes: {shown}{', ...' if len(layout.left_out) > _SHOWN else ''}. If they "
                "belong to a split, say so with data.dataset.splits."
            )
        if layout.loose:
            count = sum(sizes[parts] for parts in layout.loose)
            remarks.append(
                f"{counted(count, 'photo is', 'photos are')} in {str(self.root)!r} beside the split folders and in "
                "none of them, and taken for support. Move what should not be."
            )
        if layout.wrapper and self.class_folders:
            levels = "any/" * (len(layout.wrapper) - 1) + "class"
            remarks.append(
                f"{'/'.join(layout.wrapper)!r} in {str(self.root)!r} holds all photos and is not read as a class, "
                f"but the folders in it. If it is one, set data.dataset.layout to {levels}."
            )
        ids = [place.class_folder or "" for place in layout.places.values() if place]
        if self.class_folders and any(ids) and all(is_wordnet_id(name) for name in ids if name):
            remarks.append(
                f"All class folders of {str(self.root)!r} are called by WordNet ids alone, such as {max(ids)!r}, and "
                "so are the true names. Add names to them (n02085620-Chihuahua), or list the photos in a manifest."
            )
        if found.lists and _all_support(layout.places):
            remarks.append(
                f"{found.lists[0]!r} in {str(self.root)!r} may list test photos, and is not read: all photos are "
                "support photos. For splits from a list, set data.dataset to the data set's own reader or to manifest."
            )
        return remarks


def _all_support(places: Mapping[tuple[str, ...], Place | None]) -> bool:
    return all(place is None or place.split == "support" for place in places.values())


def _given_splits(splits: Mapping[str, str]) -> dict[str, str]:
    given = {}
    for name, text in splits.items():
        split = split_name(text) if isinstance(text, str) else None
        if split is None:
            raise FgvrError(f"data.dataset.splits.{name} is {text!r}; expected support, val or test.")
        given[name] = split
    return given
