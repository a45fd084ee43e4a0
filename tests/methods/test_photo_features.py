import torch
from PIL import Image
from tiny.images import noisy, save_images

from fgvr.backbones.base import Backbone
from fgvr.data.batches import PixelBatches
from fgvr.methods.photo_features import encode_images
from fgvr.methods.reclip_propagation import projection, propagate
from fgvr.testing.tiny import TinyBackbone


def features_and_labels(rank, world_size, records):
    backbone: Backbone = TinyBackbone()
    backbone.load()
    images = PixelBatches(records, backbone.transform)
    cpu = torch.device("cpu")
    features = encode_images(images, backbone.encode_image, cpu, 5, rank, world_size)
    texts = backbone.encode_text(["house finch", "blue jay", "monk parakeet"]).numpy()
    return features, propagate(texts, features.numpy(), projection(texts), k=4)


def test_two_processes_have_the_features_and_labels_of_one(ddp_pool, tmp_path):
    records = save_images(tmp_path, noisy([(8, 8)] * 23, grain=1))
    features, labels = features_and_labels(0, 1, records)
    assert features.shape == (23, 16)
    backbone = TinyBackbone()
    backbone.load()
    pixels = torch.stack([backbone.transform(Image.open(record.path)) for record in records])
    torch.testing.assert_close(features, backbone.encode_image(pixels))
    assert set(labels.tolist()) <= {0, 1, 2}
    for its_features, its_labels in ddp_pool.run(features_and_labels, records):
        torch.testing.assert_close(its_features, features)
        assert its_labels.tolist() == labels.tolist()
