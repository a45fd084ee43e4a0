"""Image features, computed once and read from the store ever after."""

import logging
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from fgvr.backbones.base import Backbone
from fgvr.data.augmentation import Augmentation, AugmentKind
from fgvr.data.feature_store import FeatureStore
from fgvr.errors import FgvrError
from fgvr.images import open_image
from fgvr.records import ImageRecord, Space

log = logging.getLogger(__name__)

_PHOTOS_A_PART = 8192


class StoredFeatures:
    """Features of some photos in some views, which stay on the disk until they are asked for.

    What comes out is float32 and is brought back to unit length, which rounding to float16 changes by up to 0.05 %.
    Every reader gets what is stored, also the one that has just computed it, so that a run does not depend on what ran
    before it.

    Args:
        vectors: float16, shape ``(rows, width)``: all of a store, mapped.
        rows: int64, shape ``(V, N)``: the row of each view of each photo.
        columns: First and last (excluded) of the D columns of a vector that are meant; all of them if not given.
    """

    def __init__(
        self, vectors: NDArray[np.float16], rows: NDArray[np.int64], columns: tuple[int, int] | None = None
    ) -> None:
        self._vectors = vectors
        self._rows = rows
        self._columns = columns or (0, vectors.shape[1])

    def __reduce__(self) -> tuple[Any, ...]:
        """A mapped file is mapped again by who unpickles, and not sent number by number."""
        if isinstance(self._vectors, np.memmap):
            file = (str(self._vectors.filename), self._vectors.dtype, self._vectors.shape)
            return _mapped, (*file, self._rows, self._columns)
        return StoredFeatures, (self._vectors, self._rows, self._columns)

    def __len__(self) -> int:
        return int(self._rows.shape[1])

    @property
    def views(self) -> int:
        """Views of each photo (V), at least 1."""
        return int(self._rows.shape[0])

    def gather(self, photos: NDArray[np.int64], views: NDArray[np.int64]) -> NDArray[np.float32]:
        """Features of ``photos`` (indices, shape ``(B,)``) in ``views`` (numbers, shape ``(W,)``): ``(W, B, D)``."""
        columns = slice(*self._columns)
        vectors = self._vectors[:, columns][self._rows[views[:, None], photos]].astype(np.float32)
        vectors /= np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), np.float32(1e-12))
        return vectors

    def select(self, photos: Sequence[int]) -> "StoredFeatures":
        """The features of these photos alone, in this order."""
        return StoredFeatures(self._vectors, self._rows[:, list(photos)], self._columns)

    def to_numpy(self) -> NDArray[np.float32]:
        """View 0 of all photos in memory, shape ``(N, D)``."""
        features = np.empty((len(self), self._columns[1] - self._columns[0]), dtype=np.float32)
        view = np.zeros(1, dtype=np.int64)
        # in parts, so that there is never a second array of this size
        for start in range(0, len(self), _PHOTOS_A_PART):
            photos = np.arange(start, min(start + _PHOTOS_A_PART, len(self)))
            features[photos] = self.gather(photos, view)[0]
        return features


def _mapped(
    path: str,
    dtype: np.dtype[np.float16],
    shape: tuple[int, ...],
    rows: NDArray[np.int64],
    columns: tuple[int, int],
) -> StoredFeatures:
    return StoredFeatures(np.memmap(path, dtype, mode="r", shape=shape), rows, columns)


def extract_features(
    backbone: Backbone,
    records: Sequence[ImageRecord],
    folder: Path,
    device: torch.device | None = None,
    batch_size: int = 64,
    num_workers: int = 0,
    progress: bool = True,
    views: int | None = None,
    augment: AugmentKind = "coop",
) -> dict[Space, StoredFeatures]:
    """Features of ``records`` from the store, computing and storing those that are missing.

    One pass of the tower gives the features of both spaces, which are one entry of the store. The store is opened for
    writing only if something is missing.

    Args:
        backbone: A loaded backbone with a tower of its own; it is moved to ``device`` if there is something to compute.
        records: Photos with digests; equal digests are computed once.
        folder: Folder of the feature stores.
        device: Where to compute; the backbone's own device if not given.
        batch_size: Pictures per forward pass. What is done is stored after each.
        num_workers: Loader processes.
        progress: Whether to show a bar.
        views: How many augmented views of each photo, at least 1; the photo as it is in evaluation if not given. View v
            is the same whatever ``views`` is, so more of them later cost only the difference.
        augment: How views are drawn.

    Returns:
        Space -> the features of each record, in the order of ``records``; the same ones for both spaces where the
        tower has one only.

    Raises:
        FgvrError: The store is damaged, something is missing and it cannot be written, or the backbone gives a photo
            features that are not finite.
    """
    augmentation = None if views is None else Augmentation(backbone.transform, augment)
    key = backbone.fingerprint() if augmentation is None else f"{backbone.fingerprint()}\n{augmentation!r}"
    width = backbone.embed_dim
    if backbone.has_visual_space:
        key, width = f"{key}\njoint and visual space", width + backbone.visual_dim
    store = FeatureStore(folder, key, width)
    digests = [record.digest for record in records]
    rows = store.rows(digests, views or 1)
    missing = _missing(records, rows)
    what = "Image features" if views is None else f"Image features of {views} views"
    log.info("%s: %d photos, %d pictures to compute, the others are stored", what, len(records), len(missing))
    if missing:
        backbone.to(device or backbone.device)
        loader = DataLoader(
            _Pictures(missing, backbone, augmentation),
            sampler=[range(start, start + batch_size) for start in range(0, len(missing), batch_size)],
            batch_size=None,
            num_workers=num_workers,
        )
        with (
            tqdm(total=rows.size, initial=rows.size - len(missing), desc=what, disable=not progress) as bar,
            torch.inference_mode(),
        ):
            for number, pixels in enumerate(loader):
                part = missing[number * batch_size : (number + 1) * batch_size]
                features = _encode(backbone, pixels.to(backbone.device))
                _require_finite(features, part, backbone)
                store.put({(record.digest, view): row for (record, view), row in zip(part, features, strict=True)})
                bar.update(len(part))
        rows = store.rows(digests, views or 1)
        if (rows < 0).any():
            raise FgvrError(f"{str(store.folder)!r} was deleted while it was written. Start the same command again.")
    vectors, joint = store.read(), (0, backbone.embed_dim)
    visual = (backbone.embed_dim, width) if backbone.has_visual_space else joint
    return {"joint": StoredFeatures(vectors, rows, joint), "visual": StoredFeatures(vectors, rows, visual)}


def _encode(backbone: Backbone, pixels: Tensor) -> NDArray[np.float32]:
    """Features of both spaces side by side, of the joint one alone where there is no other."""
    if not backbone.has_visual_space:
        return _array(backbone.encode_image(pixels))
    spaces = backbone.encode_spaces(pixels)
    return np.concatenate([_array(spaces.joint), _array(spaces.of("visual"))], axis=1)


def _array(features: Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = features.float().cpu().numpy()
    return array


def _require_finite(features: NDArray[np.float32], part: Sequence[tuple[ImageRecord, int]], backbone: Backbone) -> None:
    broken = np.flatnonzero(~np.isfinite(features).all(axis=1))
    if len(broken):
        raise FgvrError(
            f"{type(backbone).__name__} gives {str(part[broken[0]][0].path)!r} features that are not finite; they "
            "are not stored. Look at the photo, and at the backbone's weights and precision."
        )


def _missing(records: Sequence[ImageRecord], rows: NDArray[np.int64]) -> list[tuple[ImageRecord, int]]:
    """Photo and number of each view that has no row, equal photos once, the views of a photo one after the other."""
    first: dict[str, int] = {}
    for number, record in enumerate(records):
        first.setdefault(record.digest, number)
    distinct = list(first.values())
    photos, views = np.nonzero(rows[:, distinct].T < 0)
    return [(records[distinct[photo]], view) for photo, view in zip(photos.tolist(), views.tolist(), strict=True)]


class _Pictures(Dataset[Tensor]):
    """Pixels of a range of pictures; a photo is opened once for all its views in the range."""

    def __init__(
        self, pictures: Sequence[tuple[ImageRecord, int]], backbone: Backbone, augmentation: Augmentation | None
    ) -> None:
        self.pictures = [(record.path, record.digest, view) for record, view in pictures]
        self.transform = backbone.transform
        self.augmentation = augmentation

    def __getitem__(self, numbers: range) -> Tensor:
        pixels = []
        for path, views in groupby(self.pictures[numbers.start : numbers.stop], key=lambda picture: picture[0]):
            photo = open_image(path)
            if self.augmentation is None:
                pixels.append(self.transform(photo))
            else:
                pixels += [self.augmentation.view(photo, digest, view) for _, digest, view in views]
        return torch.stack(pixels)
