"""Image features of all training photos, which each process computes a share of."""

import copy
from collections.abc import Callable

import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader
from torchmetrics.utilities.distributed import gather_all_tensors

from fgvr.data.batches import Batch, BatchSampler, PixelBatches
from fgvr.methods.base import Method


def encode_images(
    images: PixelBatches,
    encode: Callable[[Tensor], Tensor],
    device: torch.device,
    batch_size: int,
    rank: int = 0,
    world_size: int = 1,
    num_workers: int = 0,
) -> Tensor:
    """What ``encode`` makes of each photo, on all processes and in the order of the photos.

    Args:
        images: Without random draws: a photo's view must be the same in every pass.
        encode: Pixels of shape ``(B, 3, H, W)`` -> any shape ``(B, ...)``; without gradients.
        device: Where to compute.
        batch_size: Photos of a batch over all processes.
        rank: This process.
        world_size: All processes; they must all call.
        num_workers: Loader processes.

    Returns:
        Shape ``(N, ...)``, on ``device``.
    """
    sampler = BatchSampler(len(images), batch_size, rank, world_size, shuffle=False)
    loader: DataLoader[Batch] = DataLoader(images, sampler=sampler, batch_size=None, num_workers=num_workers)
    indices, features = [], []
    with torch.no_grad():
        for batch in loader:
            batch = batch.to(device)
            indices.append(batch.rows)
            features.append(encode(batch.images))
    index, rows = torch.cat(indices), torch.cat(features)
    if world_size > 1:
        index, rows = (torch.cat(gather_all_tensors(part)) for part in (index, rows))
    return rows[index.argsort()]


def encode_training_photos(
    method: Method,
    encode: Callable[[Tensor], Tensor],
    transform: Callable[[Image.Image], Tensor] | None = None,
) -> Tensor:
    """What ``encode`` makes of each photo that the method's training loader is over; every process calls it.

    Args:
        method: In training, on photos.
        encode: See :func:`encode_images`.
        transform: Photo -> pixels; the backbone's, without random draws, if not given.

    Returns:
        Shape ``(N, ...)``, on the method's device, in the order of ``Batch.rows``.
    """
    trainer, loader = method.trainer, method.trainer.train_dataloader
    if loader is None or not isinstance(loader.dataset, PixelBatches):
        raise TypeError(f"{method.row} is trained on photos: its training loader has a PixelBatches.")
    photos = copy.copy(loader.dataset)
    photos.transform, photos.further_view = transform or method.backbone.transform, False
    workers = method.data.processes_for(photos, len(photos))
    place = (trainer.global_rank, trainer.world_size, workers)
    return encode_images(photos, encode, method.device, method.data.batch_size, *place)
