"""What a step gets (``Batch``), and how batches are drawn: alike on any number of processes, and after any restart."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset, DistributedSampler

from fgvr.data.features import StoredFeatures
from fgvr.errors import FgvrError
from fgvr.images import UnreadableImageError, open_image
from fgvr.moved import OldAttribute
from fgvr.records import ImageRecord


@dataclass(eq=False)
class Batch:
    """What a method's step gets.

    Attributes:
        images: Image features of the joint space, shape ``(B, embed_dim)``, or pixels of shape ``(B, 3, H, W)``.
        rows: int64, shape ``(B,)``: the photos' rows in their split.
        views: Further augmented views of the same photos, image features of the joint space, shape
            ``(V, B, embed_dim)``, or pixels, shape ``(V, B, 3, H, W)``; ``None`` where each photo has one view.
        visual: Image features of the visual space, shape ``(B, visual_dim)``, where the method has asked for them.
        visual_views: ``views`` in the visual space, shape ``(V, B, visual_dim)``.
    """

    images: Tensor
    rows: Tensor
    views: Tensor | None = None
    visual: Tensor | None = None
    visual_views: Tensor | None = None

    def to(self, device: torch.device) -> "Batch":
        """The same on another device."""

        def moved(tensor: Tensor | None) -> Tensor | None:
            return None if tensor is None else tensor.to(device, non_blocking=True)

        return Batch(
            self.images.to(device, non_blocking=True),
            self.rows.to(device, non_blocking=True),
            moved(self.views),
            moved(self.visual),
            moved(self.visual_views),
        )

    sample_index = OldAttribute("rows")


@dataclass(frozen=True, slots=True)
class BatchKey:
    """Which photos a process loads next, and in which epoch (augmentation depends on it)."""

    epoch: int
    indices: tuple[int, ...]


class BatchSampler(DistributedSampler[BatchKey]):
    """Splits each global batch over the processes; nothing is repeated and nothing is left out.

    The order of an epoch depends on seed and epoch alone, so 1 and N processes see the same global batches, and a
    resumed run sees what the unbroken one would have seen. An epoch's batches have the same size to within one photo (a
    small last one could leave a process without work), and so have the processes' shares of a batch.
    It is a ``DistributedSampler`` so that Lightning takes it as it is and calls ``set_epoch``. Use it as the *sampler*
    of a ``DataLoader(batch_size=None)``: what it yields is a whole batch.

    Args:
        total: Photos in the split.
        batch_size: Photos per step over all processes, as nearly as equal batches allow.
        rank: This process.
        world_size: All processes.
        shuffle: Whether to draw a new order each epoch.
        seed: Of the order.
    """

    def __init__(
        self, total: int, batch_size: int, rank: int = 0, world_size: int = 1, shuffle: bool = True, seed: int = 0
    ) -> None:
        super().__init__(range(total), num_replicas=world_size, rank=rank, shuffle=shuffle, seed=seed)  # type: ignore[arg-type]
        self.total = total
        self.batches = max(round(total / batch_size), min(total, 1))

    def __len__(self) -> int:
        return self.batches

    def __iter__(self) -> Iterator[BatchKey]:
        order = torch.arange(self.total)
        if self.shuffle:
            generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
            order = torch.randperm(self.total, generator=generator)
        for batch in order.tensor_split(self.batches) if self.batches else ():
            yield BatchKey(self.epoch, tuple(batch[self.rank :: self.num_replicas].tolist()))


class FeatureBatches(Dataset[Batch]):
    """Batches of stored image features; only those of the batch are read.

    In epoch e each photo shows its view e mod V. That the whole batch shows views of one number means nothing: each
    photo's views are drawn on their own, so view 3 of one has nothing to do with view 3 of another.

    Args:
        features: Of all photos of the split, in V views: those of the joint space.
        further_views: Whether ``Batch.views`` shall hold the other V - 1 views, for a loss that looks at them.
        visual: The same photos and views in the visual space, for methods that read it.
    """

    def __init__(
        self, features: StoredFeatures, further_views: bool = False, visual: StoredFeatures | None = None
    ) -> None:
        self.features = features
        self.views = features.views if further_views else 1
        self.visual = visual

    def __len__(self) -> int:
        return len(self.features)

    def __getitem__(self, key: BatchKey) -> Batch:
        index = np.array(key.indices, dtype=np.int64)
        views = (key.epoch + np.arange(self.views)) % self.features.views
        features, further = self._gather(self.features, index, views)
        visual, visual_further = (None, None) if self.visual is None else self._gather(self.visual, index, views)
        return Batch(features, torch.from_numpy(index), further, visual, visual_further)

    def _gather(
        self, stored: StoredFeatures, index: NDArray[np.int64], views: NDArray[np.int64]
    ) -> tuple[Tensor, Tensor | None]:
        features = torch.from_numpy(stored.gather(index, views))
        return features[0], features[1:] if self.views > 1 else None


class PixelBatches(Dataset[Batch]):
    """Batches of photos read from disk.

    Args:
        records: The photos.
        transform: Photo -> pixels.
        seed: Of the transform's random draws: a photo's view depends on seed, epoch and row, not on who loads it.
        further_view: Whether ``Batch.views`` shall hold another view of each photo.
    """

    def __init__(
        self,
        records: Sequence[ImageRecord],
        transform: Callable[[Image.Image], Tensor],
        seed: int = 0,
        further_view: bool = False,
    ) -> None:
        self.paths = [record.path for record in records]
        self.transform = transform
        self.seed = seed
        self.further_view = further_view

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, key: BatchKey) -> Batch:
        views, further = [], []
        with torch.random.fork_rng(devices=[]):
            for index in key.indices:
                photo = _opened(self.paths[index])
                torch.manual_seed(hash((self.seed, key.epoch, index)))
                views.append(self.transform(photo))
                if self.further_view:
                    further.append(self.transform(photo))
            # a process has no photo of a batch of fewer photos than there are processes: pixels have a shape even so
            none = [] if views else [self.transform(Image.new("RGB", (64, 64)))]
        photos = len(views)
        return Batch(
            torch.stack(views or none)[:photos],
            torch.tensor(key.indices, dtype=torch.int64),
            torch.stack(further or none)[:photos].unsqueeze(0) if self.further_view else None,
        )


def _opened(path: Path) -> Image.Image:
    try:
        return open_image(path)
    except UnreadableImageError as error:
        raise FgvrError(f"{str(path)!r} cannot be read any more ({error}). Start the same run again.") from error
