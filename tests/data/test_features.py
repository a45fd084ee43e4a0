import numpy as np
import pytest
import torch

from fgvr.data.features import FeatureStore, extract_features
from fgvr.data.folder import FolderDataset
from fgvr.data.scan import scan
from fgvr.testing.tiny import TinyBackbone


@pytest.fixture
def photos(tmp_path, draw):
    for number, colour in enumerate(["red", "green", "blue", "red"]):
        draw(f"photos/{number}.png", colour)
    return scan(FolderDataset(tmp_path / "photos").records(), tmp_path).readable


class Counting(TinyBackbone):
    encoded = 0

    def encode_image(self, pixels):
        self.encoded += len(pixels)
        return super().encode_image(pixels)


@pytest.fixture
def backbone():
    backbone = Counting()
    backbone.load()
    return backbone


def test_each_photo_is_encoded_once_in_the_order_asked_for(photos, backbone, tmp_path):
    features = extract_features(backbone, photos, tmp_path / "features", batch_size=2, progress=False)
    assert features.shape == (4, backbone.embed_dim)
    assert features.dtype == np.float32
    assert backbone.encoded == 3, "two photos are the same bytes"
    np.testing.assert_array_equal(features[0], features[3])
    again = extract_features(backbone, photos[::-1], tmp_path / "features", progress=False)
    assert backbone.encoded == 3
    np.testing.assert_array_equal(again, features[::-1])


def test_an_interrupted_extraction_keeps_what_is_done(photos, backbone, tmp_path, monkeypatch):
    put = FeatureStore.put

    def put_once(self, digests, vectors):
        monkeypatch.setattr(FeatureStore, "put", lambda *args: (_ for _ in ()).throw(KeyboardInterrupt))
        put(self, digests, vectors)

    monkeypatch.setattr(FeatureStore, "put", put_once)
    with pytest.raises(KeyboardInterrupt):
        extract_features(backbone, photos, tmp_path / "features", batch_size=2, progress=False)
    monkeypatch.setattr(FeatureStore, "put", put)
    before = backbone.encoded
    extract_features(backbone, photos, tmp_path / "features", batch_size=2, progress=False)
    assert backbone.encoded == before + 1


def test_other_weights_have_other_features(photos, backbone, tmp_path):
    other = TinyBackbone(seed=1)
    other.load()
    first, second = (extract_features(b, photos, tmp_path / "features", progress=False) for b in (backbone, other))
    assert not np.allclose(first, second)


def test_no_photos(backbone, tmp_path):
    assert extract_features(backbone, [], tmp_path / "features", torch.device("cpu")).shape == (0, backbone.embed_dim)
