"""Batches: drawn the same way on any number of processes, and after any restart."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset, DistributedSampler

from fgvr.images import open_image
from fgvr.records import ImageRecord


@dataclass(eq=False)
class Batch:
    """What a method's step gets.

    Attributes:
        images: Image features of shape ``(B, embed_dim)``, or pixels of shape ``(B, 3, H, W)``.
        sample_index: int64, shape ``(B,)``: the photo's row in its split.
    """

    images: Tensor
    sample_index: Tensor

    def to(self, device: torch.device) -> "Batch":
        """The same on another device."""
        return Batch(self.images.to(device, non_blocking=True), self.sample_index.to(device, non_blocking=True))


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
    """Batches of image features that are at hand.

    Args:
        features: Shape ``(N, embed_dim)``.
    """

    def __init__(self, features: Tensor) -> None:
        self.features = features

    def __len__(self) -> int:
        return len(self.features)

    def __getitem__(self, key: BatchKey) -> Batch:
        index = torch.tensor(key.indices, dtype=torch.int64)
        return Batch(self.features[index], index)


class PixelBatches(Dataset[Batch]):
    """Batches of photos read from disk.

    Args:
        records: The photos.
        transform: Photo -> pixels.
        seed: Of the transform's random draws: a photo's view depends on seed, epoch and row, not on who loads it.
    """

    def __init__(
        self, records: Sequence[ImageRecord], transform: Callable[[Image.Image], Tensor], seed: int = 0
    ) -> None:
        self.paths = [record.path for record in records]
        self.transform = transform
        self.seed = seed

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, key: BatchKey) -> Batch:
        views = []
        with torch.random.fork_rng(devices=[]):
            for index in key.indices:
                torch.manual_seed(hash((self.seed, key.epoch, index)))
                views.append(self.transform(open_image(self.paths[index])))
        return Batch(torch.stack(views), torch.tensor(key.indices, dtype=torch.int64))
