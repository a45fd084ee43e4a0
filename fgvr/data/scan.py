"""Read every photo once: its digest, and whether it can be opened at all."""

import hashlib
import os
import sqlite3
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from tqdm import tqdm

from fgvr.data.images import UnreadableImageError, open_image
from fgvr.errors import FgvrError
from fgvr.records import ImageRecord


@dataclass(frozen=True)
class Scan:
    """What a scan found.

    Attributes:
        readable: Photos that can be opened, with their digests, in the order given.
        unreadable: Sample id -> reason, of the others.
    """

    readable: tuple[ImageRecord, ...]
    unreadable: dict[str, str]


@dataclass(frozen=True, slots=True)
class _Finding:
    digest: str
    problem: str


def scan(records: Sequence[ImageRecord], cache_dir: Path, progress: bool = True) -> Scan:
    """Open and hash every photo; a file that has not changed since an earlier scan is not read again.

    Args:
        records: The photos, without digests.
        cache_dir: Folder that remembers earlier scans.
        progress: Whether to show a bar.

    Raises:
        FgvrError: Not one photo can be opened.
    """
    cache_dir.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(cache_dir / "photos.sqlite", timeout=60)) as database:
        with database:
            database.execute("PRAGMA journal_mode=WAL")
            database.execute("CREATE TABLE IF NOT EXISTS photos (stamp TEXT PRIMARY KEY, digest TEXT, problem TEXT)")
        stamps = {record.sample_id: _stamp(record.path) for record in records}
        known = _known(database, [stamp for stamp in stamps.values() if stamp])
        new = [record for record in records if stamps[record.sample_id] not in known]
        # Pillow and hashlib release the interpreter lock, so threads are enough
        with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
            examined = pool.map(_examine, (record.path for record in new))
            bar = tqdm(examined, total=len(new), desc="Reading photos", unit="photo", disable=not progress or not new)
            findings = {record.sample_id: finding for record, finding in zip(new, bar, strict=True)}
        rows = [(stamps[key], finding.digest, finding.problem) for key, finding in findings.items() if stamps[key]]
        with database:
            database.executemany("INSERT OR REPLACE INTO photos VALUES (?, ?, ?)", rows)
    findings |= {key: known[stamp] for key, stamp in stamps.items() if stamp in known}
    readable = tuple(
        replace(record, digest=findings[record.sample_id].digest)
        for record in records
        if not findings[record.sample_id].problem
    )
    unreadable = {key: finding.problem for key, finding in sorted(findings.items()) if finding.problem}
    if not readable:
        name, problem = next(iter(unreadable.items()))
        raise FgvrError(f"None of the {len(records)} photos can be opened; the first is {name!r}: {problem}.")
    return Scan(readable, unreadable)


def _stamp(path: Path) -> str:
    """What changes when the file does; ``""`` where there is no file."""
    try:
        status = path.stat()
    except OSError:
        return ""
    return f"{path.resolve()}|{status.st_size}|{status.st_mtime_ns}"


def _known(database: sqlite3.Connection, stamps: Sequence[str]) -> dict[str, _Finding]:
    found: dict[str, _Finding] = {}
    for start in range(0, len(stamps), 500):
        part = stamps[start : start + 500]
        query = f"SELECT stamp, digest, problem FROM photos WHERE stamp IN ({','.join('?' * len(part))})"
        found.update((stamp, _Finding(digest, problem)) for stamp, digest, problem in database.execute(query, part))
    return found


def _examine(path: Path) -> _Finding:
    try:
        open_image(path)
        return _Finding(hashlib.sha256(path.read_bytes()).hexdigest(), "")
    except (UnreadableImageError, OSError) as error:
        return _Finding("", str(error))
