"""The photos below a folder, and what was passed over on the way."""

import os
import re
from collections import Counter
from collections.abc import Iterator, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from fgvr.datasets.folder_names import held_out
from fgvr.errors import FgvrError
from fgvr.images import photo_endings, unread_advice
from fgvr.runs import RunFolder

Kind = Literal["folder", "file", "device", "nothing"]
# left by a Mac's zip, by a Synology's thumbnails, and by what was deleted
_NO_PHOTOS = frozenset(("__MACOSX", "@eaDir", "#recycle", "$RECYCLE.BIN"))
_TEXTS = frozenset(
    ("authors", "changelog", "citation", "copying", "licence", "license", "makefile", "notice", "readme")
)
_NO_ENDING = "without an ending"
_LONGER_ENDING = "with more than an ending"
_NOT_REGULAR = "that are pipes, devices or sockets"
_ADVICE = {
    _NO_ENDING: "give files without an ending the one of their format, such as .jpg",
    _LONGER_ENDING: "take off what follows the endings of photos",
    _NOT_REGULAR: "",
}
# "a.jpg_large", "a.jpg?w=300", "a.jpg.1" and "a.jpg~", as downloads and copies are called, but not exiftool's backups
_MORE_THAN_ENDING = re.compile(r"(\.[a-z0-9]+)(?!_original$)(?:[^a-z0-9.][^.]*|\.\d+)$")
_SHOWN = 3
_MOST_LINKS = 4  # one behind the other: two in each of many folders would lead to a photo by endless ways
_LIST_ENDINGS = frozenset((".csv", ".json", ".lst", ".mat", ".parquet", ".tsv", ".txt"))
_RUN = RunFolder(Path())
_CONFIG = _RUN.config.name
_LEFT_BY_RUNS = frozenset(
    path.name for path in (_RUN.labels, _RUN.vocabulary, _RUN.candidates, _RUN.predictions, _RUN.metrics, _RUN.report)
) | {_RUN.checkpoints.name}


@dataclass(slots=True)
class PhotoFolder:
    """A folder with photos of its own.

    Attributes:
        parts: Names of the folders on the way to it, from the root.
        names: The photos in it.
        path: Where it is, for the files of this folder.
        prefix: What stands before each name in the file's name: folders that an archive of Windows had, unpacked by a
            program that takes their backslashes for letters.
    """

    parts: tuple[str, ...]
    names: list[str]
    path: Path
    prefix: str = ""

    def paths(self) -> Iterator[Path]:
        """The photos' files, in the order of ``names``."""
        return (self.path / f"{self.prefix}{name}" for name in self.names)


@dataclass
class Walk:
    """What was found below a folder.

    Attributes:
        folders: All folders with photos of their own.
        passed_over: Kind of files that may be photos and are not read -> how many there are.
        examples: Kind -> the first few of them, as paths below the root.
        closed: Folders that cannot be looked into -> why.
        lists: Tables and lists at the root and in its folders that are called after test or validation photos.
    """

    folders: list[PhotoFolder] = field(default_factory=list)
    passed_over: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)
    closed: dict[str, str] = field(default_factory=dict)
    lists: list[str] = field(default_factory=list)

    def pass_over(self, kind: str, path: str) -> None:
        """Count a file."""
        self.passed_over[kind] += 1
        self.examples.setdefault(kind, []).append(path)

    def remark(self) -> str:
        """One line that counts and names what was passed over, and says what to do; ``""`` where that is nothing."""
        kinds = sorted(self.passed_over.items(), key=lambda kind: (-kind[1], kind[0]))
        if not kinds:
            return ""
        named = []
        for kind, count in kinds:
            examples = sorted(self.examples[kind])[:_SHOWN]
            named.append(f"{count:,} {kind} ({', '.join(examples)}{', ...' if count > _SHOWN else ''})")
        advice = dict.fromkeys(_ADVICE.get(kind) or unread_advice(kind.lower()) for kind, _ in kinds)
        advice.pop("", None)
        total = self.passed_over.total()
        text = f"{total:,} {'file that may be a photo was' if total == 1 else 'files that may be photos were'} not read"
        what_to_do = "; ".join(advice)
        return f"{text}: {', '.join(named)}." + (f" {what_to_do[0].upper()}{what_to_do[1:]}." if advice else "")


@dataclass(frozen=True, slots=True)
class _Folder:
    """A folder that waits to be looked into.

    Attributes:
        path: The folder.
        parts: Its names from the root.
        above: Device and inode of each folder on the way to it -> how many links were followed before it.
        links: The links on the way to it whose targets are below the root, and ``None`` for the others.
    """

    path: str
    parts: tuple[str, ...]
    above: dict[tuple[int, int], int]
    links: tuple[tuple[str, ...] | None, ...] = ()


def files_below(root: Path) -> list[Path]:
    """All files below a folder, whatever they are, where ``walk`` finds photos; sorted.

    Raises:
        FgvrError: The folder cannot be looked into.
    """
    found = walk(root, every_file=True)
    return sorted(path for folder in found.folders for path in folder.paths())


def walk(root: Path, every_file: bool = False) -> Walk:
    """Find all photos below a folder, through links.

    Hidden files and folders are left out, and so are fgvr's own: run folders and caches. A link to a folder above it
    is not followed, nor are links that lead round in a circle where their targets are found without them. The files
    themselves are not looked at.

    Args:
        root: The folder.
        every_file: Find files with other endings, too.

    Raises:
        FgvrError: It cannot be looked into.
    """
    found, endings = Walk(), photo_endings()
    real_root = os.path.realpath(root)
    waiting = [_Folder(str(root), (), {})]
    reached: list[tuple[PhotoFolder, _Folder]] = []
    circles: set[tuple[str, ...]] = set()
    while waiting:
        folder = waiting.pop()
        try:
            status = Path(folder.path).stat()
            with os.scandir(folder.path) as entries:
                inside = [entry for entry in entries if not entry.name.startswith(".")]
        except OSError as error:
            if not folder.parts:
                raise FgvrError(
                    f"The folder {str(root)!r} cannot be looked into ({error.strerror}). Change its permissions."
                ) from error
            found.closed["/".join(folder.parts)] = error.strerror or type(error).__name__
            continue
        identity = (status.st_dev, status.st_ino)
        if identity in folder.above:
            circles.update(link for link in folder.links[folder.above[identity] :] if link is not None)
            continue
        if len(folder.links) > _MOST_LINKS:
            found.closed["/".join(folder.parts)] = "links behind links"
            continue
        if folder.parts and _is_own({entry.name for entry in inside}, folder.path):
            continue
        above = {**folder.above, identity: len(folder.links)}
        photos = []
        for entry in inside:
            kind = _kind(entry)
            if kind == "folder":
                if entry.name not in _NO_PHOTOS:
                    waiting += _inner(entry, folder, above, real_root)
            elif (every_file and kind == "file") or _is_photo(entry.name, kind, endings, found, folder.parts):
                photos.append(entry.name)
        reached += [(each, folder) for each in _folders(photos, folder)]
    found.folders = [photos for photos, folder in reached if not circles.intersection(folder.links)]
    return found


def _folders(photos: list[str], folder: _Folder) -> Iterator[PhotoFolder]:
    """The folder with its photos, and those whose names stand in the names of its files."""
    by_prefix: dict[str, list[str]] = {}
    for photo in photos:
        prefix, slash, name = photo.rpartition("\\")
        if not name.startswith("."):
            by_prefix.setdefault(prefix + slash, []).append(name)
    for prefix, names in by_prefix.items():
        inner = prefix.split("\\")[:-1]
        if not any(not part or part.startswith(".") or part in _NO_PHOTOS for part in inner):
            yield PhotoFolder((*folder.parts, *inner), names, Path(folder.path), prefix)


def _inner(
    entry: "os.DirEntry[str]", folder: _Folder, above: dict[tuple[int, int], int], real_root: str
) -> Iterator[_Folder]:
    parts, links = (*folder.parts, entry.name), folder.links
    if entry.is_symlink():
        target = os.path.realpath(entry.path)
        if _holds(target, os.path.realpath(folder.path)):
            return
        links = (*links, parts if _holds(real_root, target) else None)
    yield _Folder(entry.path, parts, above, links)


def _holds(folder: str, path: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)


def _kind(entry: "os.DirEntry[str]") -> Kind:
    """What a name stands for, behind all links; only a link's target is looked at, the folder itself says the rest."""
    try:
        if entry.is_dir():
            return "folder"
        if entry.is_file():
            return "file"
        entry.stat()
    except OSError:
        return "nothing"
    return "device"


def _is_photo(name: str, kind: Kind, endings: Set[str], found: Walk, parts: tuple[str, ...]) -> bool:
    """Whether the file has a photo's ending; counts it where it may be a photo nevertheless."""
    dot = name.rfind(".")
    ending = name[dot:].lower() if 0 < dot < len(name) - 1 else ""
    counted = ""
    if ending in endings:
        if kind != "device":
            return True  # a link that leads nowhere, too: it is named among the photos that cannot be read
        counted = _NOT_REGULAR
    elif kind == "file" and (longer := _MORE_THAN_ENDING.search(name.lower())) and longer[1] in endings:
        counted = _LONGER_ENDING
    elif kind == "file" and ending and not _is_part_of_name(ending):
        counted = ending.upper() if unread_advice(ending) else ""
        if ending in _LIST_ENDINGS and len(parts) < 2 and held_out(name[:dot]):
            found.lists.append("/".join((*parts, name)))
    elif kind == "file" and name.rstrip("\r.").lower() not in _TEXTS:
        counted = _NO_ENDING
    if counted:
        found.pass_over(counted, "/".join((*parts, name)))
    return False


def _is_part_of_name(ending: str) -> bool:
    """Whether what follows the last dot is no ending: ``Heron no. 5``, ``photo 1.2``."""
    return " " in ending or ending[1:].isdigit()


def _is_own(names: Set[str], path: str) -> bool:
    """Whether fgvr, or W&B for it, has written a folder: it is not its name that says so."""
    if any(name.endswith(".wandb") for name in names):
        return True
    if "photos.sqlite" in names:
        return b"CREATE TABLE photos (stamp" in _start(path, "photos.sqlite")
    if _CONFIG not in names or names.isdisjoint(_LEFT_BY_RUNS):
        return False
    return b"class_path: fgvr." in _start(path, _CONFIG)


def _start(folder: str, name: str) -> bytes:
    path = Path(folder, name)
    try:
        if not path.is_file():
            return b""
        with path.open("rb") as stream:
            return stream.read(1 << 16)
    except OSError:
        return b""
