"""Image features, computed once: a store on disk keyed by the photo's bytes and the backbone's fingerprint."""

import hashlib
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from fgvr.backbones.base import Backbone
from fgvr.data.cache import cache_database
from fgvr.images import open_image
from fgvr.records import ImageRecord

log = logging.getLogger(__name__)


class FeatureStore:
    """Feature vectors of one backbone: an SQLite file, safe for several processes and for being killed.

    Args:
        folder: Where the files are; made if it is not there.
        fingerprint: ``Backbone.fingerprint()``; each one has a file of its own.
    """

    def __init__(self, folder: Path, fingerprint: str) -> None:
        self.path = folder / f"{hashlib.sha256(fingerprint.encode()).hexdigest()[:24]}.sqlite"
        with cache_database(self.path) as database:
            database.execute("CREATE TABLE IF NOT EXISTS about (fingerprint TEXT PRIMARY KEY)")
            database.execute("INSERT OR IGNORE INTO about VALUES (?)", (fingerprint,))
            database.execute("CREATE TABLE IF NOT EXISTS features (digest TEXT PRIMARY KEY, vector BLOB) WITHOUT ROWID")

    def get(self, digests: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """The vectors that are stored, by digest."""
        found: dict[str, NDArray[np.float32]] = {}
        with cache_database(self.path) as database:
            for start in range(0, len(digests), 500):
                part = list(digests[start : start + 500])
                marks = ",".join("?" * len(part))
                query = f"SELECT digest, vector FROM features WHERE digest IN ({marks})"
                found.update((digest, np.frombuffer(blob, "<f4")) for digest, blob in database.execute(query, part))
        return found

    def put(self, digests: Sequence[str], vectors: NDArray[np.float32]) -> None:
        """Store float32 ``vectors`` of shape ``(len(digests), D)``."""
        rows = [(digest, vector.astype("<f4").tobytes()) for digest, vector in zip(digests, vectors, strict=True)]
        with cache_database(self.path) as database:
            database.executemany("INSERT OR REPLACE INTO features VALUES (?, ?)", rows)


class _Pixels(Dataset[Tensor]):
    def __init__(self, records: Sequence[ImageRecord], backbone: Backbone) -> None:
        self.paths = [record.path for record in records]
        self.transform = backbone.transform

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Tensor:
        return self.transform(open_image(self.paths[index]))


def extract_features(
    backbone: Backbone,
    records: Sequence[ImageRecord],
    folder: Path,
    device: torch.device | None = None,
    batch_size: int = 64,
    num_workers: int = 0,
    progress: bool = True,
) -> NDArray[np.float32]:
    """Features of ``records`` from the store, computing and storing those that are missing.

    Args:
        backbone: A loaded backbone; it is moved to ``device``.
        records: Photos with digests; equal digests are computed once.
        folder: Folder of the feature stores.
        device: Where to compute; the backbone's own device if not given.
        batch_size: Photos per forward pass. What is done is stored after each.
        num_workers: Loader processes.
        progress: Whether to show a bar.

    Returns:
        L2-normalised float32, shape ``(len(records), embed_dim)``.
    """
    store = FeatureStore(folder, backbone.fingerprint())
    vectors = store.get([record.digest for record in records])
    missing = list({record.digest: record for record in records if record.digest not in vectors}.values())
    log.info("Image features: %d photos, %d of them to compute, the others are stored", len(records), len(missing))
    if missing:
        backbone.to(device or backbone.device)
        bar = tqdm(
            total=len(records),
            initial=len(records) - len(missing),
            desc="Image features",
            unit="photo",
            disable=not progress,
        )
        with bar:
            for batch, features in _encode(backbone, missing, batch_size, num_workers):
                store.put([record.digest for record in batch], features)
                vectors.update(zip((record.digest for record in batch), features, strict=True))
                bar.update(len(batch))
    if not records:
        return np.zeros((0, backbone.embed_dim), dtype=np.float32)
    return np.stack([vectors[record.digest] for record in records])


def _encode(
    backbone: Backbone, records: Sequence[ImageRecord], batch_size: int, num_workers: int
) -> Iterator[tuple[Sequence[ImageRecord], NDArray[np.float32]]]:
    loader = DataLoader(_Pixels(records, backbone), batch_size=batch_size, num_workers=num_workers)
    start = 0
    with torch.inference_mode():
        for pixels in loader:
            features = backbone.encode_image(pixels.to(backbone.device))
            yield records[start : start + len(pixels)], features.float().cpu().numpy()
            start += len(pixels)
