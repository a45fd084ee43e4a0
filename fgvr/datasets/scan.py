"""Read every photo once: its digest, and whether it can be opened at all."""

import hashlib
import math
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from stat import S_ISLNK

from tqdm import tqdm

from fgvr.datasets.digests import known_digests, remember_digests, remember_hashes
from fgvr.datasets.near_duplicates import perceptual_hash
from fgvr.errors import FgvrError
from fgvr.images import UnreadableImageError, open_image
from fgvr.pixels import give_memory_back
from fgvr.records import ImageRecord
from fgvr.text import none_of

_IMAGES_A_COMMIT = 500
_MOST_THREADS = 32  # each keeps the memory of a photo that it has freed


@dataclass(frozen=True)
class Scan:
    """What a scan found.

    Attributes:
        readable: Photos that can be opened, with their digests, in the order given.
        unreadable: Sample id -> reason, of the others.
    """

    readable: tuple[ImageRecord, ...]
    unreadable: dict[str, str]


def scan(records: Sequence[ImageRecord], cache_dir: Path, progress: bool = True) -> Scan:
    """Open and hash every photo; a readable file that has not changed since an earlier scan is not read again.

    Args:
        records: The photos, without digests.
        cache_dir: Folder that remembers earlier scans.
        progress: Whether to show a bar.

    Raises:
        FgvrError: Not one photo can be opened.
    """
    cache = cache_dir / "photos.sqlite"
    folders: dict[str, str] = {}
    stamps = {record.sample_id: _stamp(str(record.path), folders) for record in records}
    known = known_digests(cache, [stamp for stamp in stamps.values() if stamp])
    digests = {key: known[stamp] for key, stamp in stamps.items() if stamp in known}
    new = [record for record in records if record.sample_id not in digests]
    unreadable: dict[str, str] = {}
    # Pillow and hashlib release the interpreter lock, so threads are enough; fgvr/pixels.py bounds what they decode
    with (
        ThreadPoolExecutor(min(_MOST_THREADS, os.cpu_count() or 1)) as pool,
        tqdm(total=len(new), desc="Reading photos", unit="photo", disable=not progress or not new) as bar,
    ):
        for start in range(0, len(new), _IMAGES_A_COMMIT):
            part = new[start : start + _IMAGES_A_COMMIT]
            found: dict[str, str] = {}
            hashes: dict[str, int] = {}
            for record, (digest, problem, look) in zip(part, pool.map(_examine, (r.path for r in part)), strict=True):
                if problem:
                    unreadable[record.sample_id] = problem
                else:
                    found[record.sample_id] = digest
                    hashes[digest] = look
                bar.update()
            # only what was readable: a file's rights, its disk or Pillow's plugins may be fixed without changing it
            remember_digests(cache, {stamps[key]: digest for key, digest in found.items()})
            remember_hashes(cache, hashes)
            digests |= found
    if not digests:
        name, problem = next(iter(unreadable.items()))
        raise FgvrError(f"{none_of(len(records), 'photo')} can be opened; the first is {name!r}: {problem}.")
    readable = [record for record in records if record.sample_id in digests]
    return Scan(tuple(replace(record, digest=digests[record.sample_id]) for record in readable), unreadable)


def _stamp(path: str, folders: dict[str, str]) -> str:
    """What changes when the file does; ``""`` where there is no file of a usable name.

    Args:
        path: The file.
        folders: Folders that photos are in -> where they really are: found once, and not for each photo in them.
    """
    try:
        path.encode()
        status = os.lstat(path)
        if S_ISLNK(status.st_mode):
            real, status = os.path.realpath(path), os.stat(path)  # noqa: PTH116
        else:
            folder, name = os.path.split(path)
            if folder not in folders:
                folders[folder] = os.path.realpath(folder)
            real = os.path.join(folders[folder], name)  # noqa: PTH118
    except (OSError, UnicodeEncodeError):
        return ""
    return f"{real}|{status.st_size}|{status.st_mtime_ns}"


def _examine(path: Path) -> tuple[str, str, int]:
    """Digest, ``""`` and perceptual hash; or ``""``, why the photo cannot be used, and 0."""
    try:
        str(path).encode()
        photo = open_image(path)
        look, pixels = perceptual_hash(photo), math.prod(photo.size)
        del photo
        give_memory_back(pixels)
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest(), "", look
    except UnicodeEncodeError:
        return "", "its name is not UTF-8; rename the file", 0
    except (UnreadableImageError, OSError) as error:
        return "", str(error), 0
