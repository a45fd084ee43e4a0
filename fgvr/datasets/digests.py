"""Digests and perceptual hashes of photos that were read before, in the cache; what was damaged counts as not known."""

import zlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from fgvr.cache import cache_database
from fgvr.errors import FgvrError

_STAMPS_A_QUERY = 500


def known_digests(cache: Path, stamps: Sequence[str]) -> dict[str, str]:
    """Stamp of a file -> its digest, of the files whose stamp is known.

    A digest with a flipped bit would have a photo asked about, and paid for, again. So each has a checksum of stamp and
    digest; those of before there were any get theirs once.

    Args:
        cache: The SQLite file.
        stamps: What changes when a file does.

    Raises:
        FgvrError: The cache cannot be read.
    """
    if not _has_table(cache, "digests"):
        # what can only be read goes on without checksums
        with suppress(FgvrError):
            _make(cache)
    checked = _has_table(cache, "digests")
    if not checked and not _has_table(cache, "photos"):
        _make(cache)  # says why it cannot be made
    table, column = ("digests", "checksum") if checked else ("photos", "NULL")
    found: dict[str, str] = {}
    with cache_database(cache) as database:
        for start in range(0, len(stamps), _STAMPS_A_QUERY):
            part = stamps[start : start + _STAMPS_A_QUERY]
            query = f"SELECT stamp, digest, {column} FROM {table} WHERE stamp IN ({','.join('?' * len(part))})"
            for stamp, digest, checksum in database.execute(query, part):
                if not checked or checksum == _checksum(stamp, digest):
                    found[stamp] = digest
    return found


def remember_digests(cache: Path, digests: Mapping[str, str]) -> None:
    """Note the digests of files, by their stamps.

    Raises:
        FgvrError: The cache cannot be written.
    """
    entries = [(stamp, digest, _checksum(stamp, digest)) for stamp, digest in digests.items()]
    with cache_database(cache) as database:
        database.executemany("INSERT OR REPLACE INTO digests VALUES (?, ?, ?)", entries)


def known_hashes(cache: Path, digests: Sequence[str]) -> dict[str, int]:
    """Digest of a photo -> its perceptual hash, of the photos whose hash is known.

    Args:
        cache: The SQLite file.
        digests: SHA-256 of the files.

    Raises:
        FgvrError: The cache cannot be read.
    """
    found: dict[str, int] = {}
    if not _has_table(cache, "dhashes"):
        return found
    with cache_database(cache) as database:
        for start in range(0, len(digests), _STAMPS_A_QUERY):
            part = digests[start : start + _STAMPS_A_QUERY]
            query = f"SELECT digest, hash, checksum FROM dhashes WHERE digest IN ({','.join('?' * len(part))})"
            for digest, text, checksum in database.execute(query, part):
                if checksum == _checksum(digest, text):
                    found[digest] = int(text, 16)
    return found


def remember_hashes(cache: Path, hashes: Mapping[str, int]) -> None:
    """Note the perceptual hashes of photos, by their digests.

    Raises:
        FgvrError: The cache cannot be written.
    """
    entries = [(digest, f"{value:016x}") for digest, value in hashes.items()]
    with cache_database(cache, writing=True) as database:
        database.execute("CREATE TABLE IF NOT EXISTS dhashes (digest TEXT PRIMARY KEY, hash TEXT, checksum INTEGER)")
        database.executemany(
            "INSERT OR REPLACE INTO dhashes VALUES (?, ?, ?)",
            [(digest, text, _checksum(digest, text)) for digest, text in entries],
        )


def _make(cache: Path) -> None:
    with cache_database(cache, writing=True) as database:
        database.execute(
            "CREATE TABLE IF NOT EXISTS digests (stamp TEXT PRIMARY KEY, digest TEXT NOT NULL, checksum INTEGER)"
        )
        if database.execute("SELECT 1 FROM sqlite_master WHERE name = 'photos'").fetchone():
            database.create_function("checksum_of", 2, _checksum)
            database.execute(
                "INSERT OR IGNORE INTO digests SELECT stamp, digest, checksum_of(stamp, digest) FROM photos"
            )
            database.execute("DROP TABLE photos")


def _has_table(cache: Path, name: str) -> bool:
    if not cache.is_file():
        return False
    with cache_database(cache) as database:
        return database.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (name,)).fetchone() is not None


def _checksum(stamp: str, digest: str) -> int:
    return zlib.crc32(f"{stamp}\n{digest}".encode())
