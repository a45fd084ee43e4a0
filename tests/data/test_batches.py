import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from torch.utils.data import DataLoader
from torchvision.transforms import v2

from fgvr.data.batches import BatchKey, BatchSampler, FeatureBatches, PixelBatches
from fgvr.data.features import StoredFeatures
from fgvr.records import ImageRecord


@pytest.mark.parametrize(
    ("total", "batch", "world"), [(10, 4, 1), (10, 4, 2), (9, 4, 2), (9, 4, 4), (3, 8, 2), (12, 6, 3), (47, 32, 4)]
)
def test_each_photo_once_an_epoch_over_all_processes(total, batch, world):
    shares = [list(BatchSampler(total, batch, rank, world)) for rank in range(world)]
    assert len({len(share) for share in shares}) == 1
    assert all(len(key.indices) > 0 for share in shares for key in share)
    assert sorted(i for share in shares for key in share for i in key.indices) == list(range(total))


@pytest.mark.parametrize("world", [2, 3])
def test_global_batches_do_not_depend_on_the_number_of_processes(world):
    alone = [set(key.indices) for key in BatchSampler(30, 8)]
    shares = [list(BatchSampler(30, 8, rank, world)) for rank in range(world)]
    assert [set().union(*(key.indices for key in step)) for step in zip(*shares, strict=True)] == alone


def test_the_order_is_a_function_of_seed_and_epoch():
    first, second = BatchSampler(30, 8, seed=1), BatchSampler(30, 8, seed=1)
    second.set_epoch(3)
    assert list(first) == list(BatchSampler(30, 8, seed=1))
    assert list(first) != list(second)
    first.set_epoch(3)
    assert list(first) == list(second)
    assert list(BatchSampler(30, 8, seed=2)) != list(BatchSampler(30, 8, seed=1))


def unit_features(views, images):
    """Stored features of unit length, and the same in float32, shape (V, N, 2)."""
    angles = torch.arange(float(views * images)).view(views, images)
    features = torch.stack([angles.cos(), angles.sin()], dim=-1).half()
    rows = np.arange(views * images).reshape(views, images)
    return StoredFeatures(features.flatten(0, 1).numpy(), rows), F.normalize(features.float(), dim=-1)


def test_feature_batches_come_whole_from_a_loader():
    stored, features = unit_features(1, 10)
    loader = DataLoader(FeatureBatches(stored, further_views=True), sampler=BatchSampler(10, 4), batch_size=None)
    batches = list(loader)
    assert [len(batch.images) for batch in batches] == [5, 5]
    for batch in batches:
        torch.testing.assert_close(batch.images, features[0, batch.rows])
        torch.testing.assert_close(batch.images.norm(dim=1), torch.ones(5))
        assert batch.views is None, "there is one view"


@pytest.mark.parametrize("further", [False, True])
@pytest.mark.parametrize("epoch", [0, 1, 2, 7])
def test_each_epoch_shows_the_next_view_and_the_others_where_they_are_looked_at(epoch, further):
    stored, features = unit_features(3, 10)
    batch = FeatureBatches(stored, further)[BatchKey(epoch, (4, 0, 9))]
    torch.testing.assert_close(batch.images, features[epoch % 3, [4, 0, 9]])
    if further:
        others = [(epoch + 1) % 3, (epoch + 2) % 3]
        torch.testing.assert_close(batch.views, features[others][:, [4, 0, 9]])
        assert batch.to(torch.device("cpu")).views.dtype == torch.float32
    else:
        assert batch.views is None


@pytest.mark.parametrize("workers", [0, 2])
def test_a_random_view_depends_on_epoch_and_photo_and_not_on_who_loads_it(tmp_path, workers):
    records = []
    for i in range(6):
        Image.effect_noise((16, 16), 80).save(tmp_path / f"{i}.png")
        records.append(ImageRecord(sample_id=f"{i}.png", path=tmp_path / f"{i}.png", split="support"))
    transform = v2.Compose([v2.RandomCrop(8), v2.ToImage(), v2.ToDtype(torch.float32, scale=True)])
    dataset = PixelBatches(records, transform, seed=5)

    def views(epoch, workers):
        sampler = BatchSampler(6, 4)
        sampler.set_epoch(epoch)
        batches = list(DataLoader(dataset, sampler=sampler, batch_size=None, num_workers=workers))
        order = torch.cat([batch.rows for batch in batches]).argsort()
        return torch.cat([batch.images for batch in batches])[order]

    torch.testing.assert_close(views(0, workers), views(0, 0), rtol=0, atol=0)
    assert not torch.equal(views(0, 0), views(1, 0))


def test_pixels_of_no_photo_have_the_shape_of_a_photos():
    dataset = PixelBatches([], lambda photo: torch.zeros(3, 8, 8), further_view=True)
    batch = dataset[BatchKey(0, ())]
    assert batch.images.shape == (0, 3, 8, 8)
    assert batch.rows.tolist() == []
    assert batch.views.shape == (1, 0, 3, 8, 8)
