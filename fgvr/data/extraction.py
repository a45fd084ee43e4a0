"""Image features that the store lacks: opened by loader processes, encoded without waiting, shared by all processes."""

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from itertools import groupby
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from fgvr.backbones.base import Backbone
from fgvr.data.augmentation import Augmentation, AugmentKind
from fgvr.data.feature_store import FeatureStore, View
from fgvr.data.features import StoredFeatures
from fgvr.data.loader_processes import LoaderProcesses, loader_processes
from fgvr.data.together import ALONE, Processes
from fgvr.errors import FgvrError
from fgvr.images import UnreadableImageError, open_image
from fgvr.records import ImageRecord, Space
from fgvr.registry import BACKBONES
from fgvr.text import counted

log = logging.getLogger(__name__)

Precision = Literal["auto", "float32", "float16"]
"""In which numbers a tower computes features; ``auto`` is float16 on a GPU and float32 elsewhere."""

Picture = tuple[ImageRecord, int]
"""A photo, and the number of its view."""


def extract_features(
    backbone: Backbone,
    records: Sequence[ImageRecord],
    folder: Path,
    device: torch.device | None = None,
    batch_size: int = 64,
    num_workers: LoaderProcesses = 0,
    progress: bool = True,
    views: int | None = None,
    augment: AugmentKind = "coop",
    precision: Precision = "auto",
    processes: Processes = ALONE,
) -> dict[Space, StoredFeatures]:
    """Features of ``records`` from the store, computing and storing those that are missing.

    One pass of the tower gives the features of both spaces, which are one entry of the store. The store is opened for
    writing only if something is missing. Batches are the same for any number of processes, which take turns, so that
    features are the same to the bit.

    Args:
        backbone: A loaded backbone with a tower of its own; it is moved to ``device`` if there is something to compute.
        records: Photos with digests; equal digests are computed once.
        folder: Folder of the feature stores.
        device: Where to compute; the backbone's own device if not given.
        batch_size: Pictures per forward pass. What is done is stored about once a second.
        num_workers: Loader processes; 0 opens photos in this process, and needs no main guard.
        progress: Whether to show a bar.
        views: How many augmented views of each photo, at least 1; the photo as it is in evaluation if not given. View v
            is the same whatever ``views`` is, so more of them later cost only the difference.
        augment: How views are drawn.
        precision: In which numbers the tower computes. float16 is within 2e-3 of float32, in half the time or less on a
            GPU; its features are entries of their own.
        processes: Those of the job, all of which must call: each computes its share.

    Returns:
        Space -> the features of each record, in the order of ``records``; the same ones for both spaces where the
        tower has one only.

    Raises:
        FgvrError: A photo has no digest, the store is damaged, something is missing and it cannot be written, a photo
            cannot be read any more, or the backbone gives a photo features that are not finite.
    """
    if without := next((record for record in records if not record.digest), None):
        raise FgvrError(
            f"{without.sample_id!r} has no digest, by which features are stored: take photos from the data module "
            "(data.support, data.images.splits), or what fgvr.datasets.scan.scan returns for those of a data set."
        )
    device = device or backbone.device
    augmentation = None if views is None else Augmentation(backbone.transform, augment)
    half = precision == "float16" or (precision == "auto" and device.type == "cuda")
    store = _store(backbone, folder, augmentation, half)
    digests = [record.digest for record in records]
    rows = store.rows(digests, views or 1)
    # what process 0 sees: meanwhile other jobs, too, may store features of these photos
    missing = [(records[image], view) for image, view in processes.agree(_missing(digests, rows))]
    what = "Image features" if views is None else f"Image features of {views} views"
    numbers = counted(len(records), "photo"), counted(len(missing), "picture")
    log.info("%s: %s, %s to compute, the others are stored", what, *numbers)
    if missing:
        backbone.to(device)
        batches = [missing[start : start + batch_size] for start in range(0, len(missing), batch_size)]
        share = batches[processes.rank :: processes.count]
        shown = progress and processes.rank == 0
        with tqdm(total=sum(map(len, share)), desc=what, disable=not shown) as bar, _Keeper(store, backbone) as keeper:
            for part, features in _encoded(share, backbone, augmentation, num_workers, half, processes.here):
                keeper.keep(part, features)
                bar.update(len(part))
        processes.wait()
    if missing or processes.count > 1:  # a process that looked before process 0 did has seen less
        rows = store.rows(digests, views or 1)
        if (rows < 0).any():
            raise FgvrError(
                f"{str(store.folder)!r} was deleted while it was written, or its index is damaged. Delete it if it is "
                "there, and start the same run again: what is in it can be computed again."
            )
    vectors, joint = store.read(), (0, backbone.embed_dim)
    visual = (backbone.embed_dim, store.width) if backbone.has_visual_space else joint
    return {"joint": StoredFeatures(vectors, rows, joint), "visual": StoredFeatures(vectors, rows, visual)}


def _store(backbone: Backbone, folder: Path, augmentation: Augmentation | None, half: bool) -> FeatureStore:
    key = backbone.fingerprint() if augmentation is None else f"{backbone.fingerprint()}\n{augmentation!r}"
    width = backbone.embed_dim
    if backbone.has_visual_space:
        key, width = f"{key}\njoint and visual space", width + backbone.visual_dim
    return FeatureStore(folder, f"{key}\nfloat16" if half else key, width)


def _missing(digests: Sequence[str], rows: NDArray[np.int64]) -> list[tuple[int, int]]:
    """Photo and view of each view that has no row, equal photos once, the views of a photo one after the other."""
    first: dict[str, int] = {}
    for number, digest in enumerate(digests):
        first.setdefault(digest, number)
    distinct = list(first.values())
    images, views = np.nonzero(rows[:, distinct].T < 0)
    return [(distinct[image], view) for image, view in zip(images.tolist(), views.tolist(), strict=True)]


@torch.inference_mode()
def _encoded(
    batches: Sequence[Sequence[Picture]],
    backbone: Backbone,
    augmentation: Augmentation | None,
    num_workers: LoaderProcesses,
    half: bool,
    processes: int,
) -> Iterator[tuple[Sequence[Picture], Tensor]]:
    """Each batch with its features, float32, which a GPU may still be computing."""
    if not batches:
        return
    device = backbone.device
    loader: DataLoader[Tensor | FgvrError] = DataLoader(
        _Pictures(batches, backbone, augmentation),
        batch_size=None,
        generator=torch.Generator(),  # a run must draw the same numbers whether its features are stored already or not
        num_workers=loader_processes(
            num_workers, sum(map(len, batches)), len(batches[0]), backbone.transform, device, processes
        ),
        pin_memory=device.type == "cuda",
    )
    for part, pixels in zip(batches, loader, strict=True):
        if isinstance(pixels, FgvrError):
            raise pixels
        with torch.autocast(device.type, torch.float16) if half else nullcontext():
            features = _both_spaces(backbone, pixels.to(device, non_blocking=device.type == "cuda"))
        yield part, features


def _both_spaces(backbone: Backbone, pixels: Tensor) -> Tensor:
    """Features of both spaces side by side, of the joint one alone where there is no other."""
    if not backbone.has_visual_space:
        return backbone.encode_image(pixels).float()
    spaces = backbone.encode_spaces(pixels)
    return torch.cat([spaces.joint.float(), spaces.of("visual").float()], dim=1)


_SECONDS_KEPT = 1.0
"""So much work a process that is killed may lose; to wait for the disk after each batch would take longer than a GPU
does."""


class _Keeper:
    """Stores features once in a while, and behind a GPU, which computes while the disk is written.

    What was computed is stored whatever ends the block.
    """

    def __init__(self, store: FeatureStore, backbone: Backbone) -> None:
        self._store = store
        self._backbone = backbone
        self._waiting: tuple[Sequence[Picture], Tensor, torch.cuda.Event | None] | None = None
        self._kept: dict[View, NDArray[np.float32]] = {}
        self._stored_at = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            self._take()
        finally:
            self._put()

    def keep(self, pictures: Sequence[Picture], features: Tensor) -> None:
        """Store them in time.

        Raises:
            FgvrError: Features are not finite, these or those of the batch before; the photo is named.
        """
        if features.is_cuda:
            there = torch.empty(features.shape, dtype=features.dtype, pin_memory=True)
            there.copy_(features, non_blocking=True)
            copied = torch.cuda.Event()
            copied.record(torch.cuda.current_stream(features.device))
            self._take()
            self._waiting = pictures, there, copied
        else:
            self._waiting = pictures, features.cpu(), None
            self._take()
        if time.monotonic() - self._stored_at >= _SECONDS_KEPT:
            self._put()

    def _take(self) -> None:
        """Wait for the features of the batch that was computed last."""
        if self._waiting is None:
            return
        (pictures, features, copied), self._waiting = self._waiting, None
        if copied is not None:
            copied.synchronize()
        array: NDArray[np.float32] = features.numpy()
        finite = np.isfinite(array).all(axis=1)
        if not finite.all():
            path = pictures[int(finite.argmin())][0].path
            raise FgvrError(
                f"{BACKBONES.short_name(type(self._backbone))} gives {str(path)!r} features that are not finite; "
                "they are not stored. Look at the photo, and at the backbone's weights and precision "
                "(data.feature_precision)."
            )
        self._kept |= {(record.digest, view): row for (record, view), row in zip(pictures, array, strict=True)}

    def _put(self) -> None:
        kept, self._kept = self._kept, {}
        if kept:
            self._store.put(kept)
        self._stored_at = time.monotonic()


class _Pictures(Dataset[Tensor | FgvrError]):
    """Pixels of batches of pictures; a photo is opened once for all its views in a batch.

    A photo that cannot be read is an item, too: an error that a loader process raises would arrive as a page.
    """

    def __init__(
        self, batches: Sequence[Sequence[Picture]], backbone: Backbone, augmentation: Augmentation | None
    ) -> None:
        self._batches = [[(record.path, record.digest, view) for record, view in batch] for batch in batches]
        self._transform = backbone.transform
        self._augmentation = augmentation

    def __len__(self) -> int:
        return len(self._batches)

    def __getitem__(self, number: int) -> Tensor | FgvrError:
        pixels = []
        for path, views in groupby(self._batches[number], key=lambda picture: picture[0]):
            try:
                image = open_image(path)
            except UnreadableImageError as error:
                return FgvrError(f"{str(path)!r} cannot be read any more ({error}). Start the same run again.")
            if self._augmentation is None:
                pixels.append(self._transform(image))
            else:
                pixels += [self._augmentation.view(image, digest, view) for _, digest, view in views]
        return torch.stack(pixels)
