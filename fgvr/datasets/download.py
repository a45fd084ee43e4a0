"""Getting the photos of standard data sets: torchvision downloads and checks, this puts the files where they belong."""

import contextlib
import http.client
import shutil
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from fgvr.datasets.standard import StandardDataset
from fgvr.errors import FgvrError

_ARCHIVES = (".zip", ".gz", ".tgz")
_LOCK = "lock"
_FAILURES = (
    *(OSError, EOFError, RuntimeError, http.client.HTTPException),
    *(tarfile.TarError, zipfile.BadZipFile, zlib.error),
)


@dataclass(frozen=True)
class Source:
    """What torchvision downloads.

    Attributes:
        torchvision: Name of the class in ``torchvision.datasets``.
        folder: Where it puts the data set, below the folder that it is given.
        size: Bytes of the archives, as their servers stated it.
        checked: Whether torchvision knows a checksum of every archive.
    """

    torchvision: str
    folder: str
    size: int
    checked: bool = True


SOURCES = {
    "caltech101": Source("Caltech101", "caltech101", 137_414_764),
    "dtd": Source("DTD", "dtd/dtd", 625_239_812),
    "eurosat": Source("EuroSAT", "eurosat", 94_300_000),
    "fgvc_aircraft": Source("FGVCAircraft", "fgvc-aircraft-2013b/data", 2_753_340_328, checked=False),
    "flowers102": Source("Flowers102", "flowers-102", 344_862_509),
    "food101": Source("Food101", "food-101", 4_996_278_331),
    "oxford_pets": Source("OxfordIIITPet", "oxford-iiit-pet", 811_092_049),
}
"""Short name of a data set -> where its photos are from."""


def download(name: str, dataset: StandardDataset) -> None:
    """Download a data set's photos into its folder, unless they are there.

    Everything happens in ``.download`` in that folder, and what is complete is then renamed, the image folder last: a
    folder of photos that is there is whole. Stopped, it starts again; an archive that had arrived whole and has a
    checksum is not downloaded again.

    Args:
        name: Short name of the data set, one of ``SOURCES``.
        dataset: Its reader, for the folder into which the photos go.

    Raises:
        FgvrError: There is too little room, somebody else is at it, or a download failed.
    """
    source = SOURCES[name]
    root = dataset.root.resolve()
    work = root / ".download"  # on the same disk, whatever is mounted where
    needed = 2 * source.size  # the archive and what is in it
    try:
        work.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(root).free
        if free < needed:
            raise FgvrError(
                f"{str(root)!r} has {free / 1e9:.1f} GB of room, and {name} needs about {needed / 1e9:.1f} GB while it "
                "is unpacked. Set root to a folder on another disk."
            )
        with FileLock(work / _LOCK, timeout=0):
            _clear(work, keep_archives=source.checked)
            _fetch(source, work)
            _place(work / source.folder, root, dataset.info.image_folders[0])
            shutil.rmtree(work)
    except Timeout:
        raise FgvrError(f"Another process is downloading into {str(root)!r}; wait for it.") from None
    except _FAILURES as error:
        raise FgvrError(
            f"{name} could not be downloaded into {str(root)!r} ({type(error).__name__}: {error}). Download "
            f"again; what has arrived is in {str(work)!r} until then. Or get it by hand: section {dataset.info.title} "
            "of DATASETS.md in https://github.com/KaiyangZhou/CoOp."
        ) from error


def _clear(work: Path, keep_archives: bool) -> None:
    """Remove what an earlier attempt left: torchvision takes a half-unpacked folder for a whole one."""
    for path in sorted(work.rglob("*"), reverse=True):  # what is in a folder before the folder
        if path.is_dir() and not path.is_symlink():
            if not any(path.iterdir()):
                path.rmdir()
        elif path != work / _LOCK and not (keep_archives and _is_download(path.relative_to(work))):
            path.unlink()


def _is_download(path: Path) -> bool:
    """Whether torchvision has downloaded this file: archives further down come out of other ones."""
    return path.suffix in _ARCHIVES and len(path.parts) <= 2


def _fetch(source: Source, work: Path) -> None:
    from torchvision import datasets

    with _inside():
        getattr(datasets, source.torchvision)(work, download=True)


@contextlib.contextmanager
def _inside() -> Iterator[None]:
    """Refuse archives that would write outside the folder they are unpacked in; tarfile does so from Python 3.14 on.

    Raises:
        FgvrError: This Python cannot.
    """
    if not hasattr(tarfile, "data_filter"):
        raise FgvrError("This Python unpacks archives without a check. Use Python 3.11.4 or later.")
    before = vars(tarfile.TarFile)["extraction_filter"]
    tarfile.TarFile.extraction_filter = staticmethod(tarfile.data_filter)
    try:
        yield
    finally:
        tarfile.TarFile.extraction_filter = before


def _place(folder: Path, root: Path, last: str) -> None:
    entries = [entry for entry in folder.iterdir() if entry.suffix not in _ARCHIVES]
    for entry in sorted(entries, key=lambda entry: entry.name == last):
        target = root / entry.name
        # a folder from an attempt that was stopped between two renames, or the user's own
        if not target.is_dir():
            entry.rename(target)
