import numpy as np
import pytest
import torch

from fgvr.backbones.paired import PairedBackbone
from fgvr.data import text_features
from fgvr.data.feature_store import FeatureStore
from fgvr.data.text_features import stored_text_features
from fgvr.errors import FgvrError
from fgvr.testing.tiny import TinyBackbone

TEXTS = ["house finch", "a much longer text about a finch", "auk", "house finch", "é"]


class Counting(TinyBackbone):
    """Counts texts, and may fail at one."""

    def __init__(self, failing="", **kwargs):
        super().__init__(**kwargs)
        self.failing = failing
        self.encoded = []
        self.load()

    def encode_text(self, texts, truncate=False):
        if self.failing in texts:
            raise KeyboardInterrupt
        self.encoded += texts
        return super().encode_text(texts, truncate)


def test_features_are_computed_once(tmp_path):
    backbone = Counting()
    found = stored_text_features(backbone, TEXTS, tmp_path, progress=False)
    assert (found.shape, found.dtype) == ((5, 16), torch.float32)
    torch.testing.assert_close(found, TinyBackbone.encode_text(backbone, TEXTS), atol=1e-3, rtol=0)
    assert sorted(backbone.encoded) == sorted(set(TEXTS)), "equal texts once"
    again = Counting()
    assert torch.equal(stored_text_features(again, [*TEXTS[::-1], "new"], tmp_path, progress=False)[4], found[0])
    assert again.encoded == ["new"]


@pytest.mark.parametrize("other", [{"seed": 1}, {"embed_dim": 8}])
def test_another_text_tower_has_its_own(tmp_path, other):
    stored_text_features(Counting(), TEXTS, tmp_path, progress=False)
    backbone = Counting(**other)
    stored_text_features(backbone, TEXTS, tmp_path, progress=False)
    assert len(backbone.encoded) == 4


def test_a_text_tower_of_the_same_image_tower_has_its_own(tmp_path):
    stored_text_features(Counting(), TEXTS, tmp_path, progress=False)
    backbone = Counting()
    backbone.text_projection.data *= -1
    found = stored_text_features(backbone, TEXTS, tmp_path, progress=False)
    torch.testing.assert_close(found, TinyBackbone.encode_text(backbone, TEXTS), atol=1e-3, rtol=0)


def test_a_pair_shares_those_of_its_joint_backbone(tmp_path):
    stored_text_features(Counting(), TEXTS, tmp_path, progress=False)
    joint = Counting()
    pair = PairedBackbone(joint, TinyBackbone(seed=3))
    pair.load()
    stored_text_features(pair, TEXTS, tmp_path, progress=False)
    assert joint.encoded == []


def test_what_was_computed_is_kept_when_it_is_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(text_features, "_TEXTS_A_PASS", 1)
    with pytest.raises(KeyboardInterrupt):
        stored_text_features(Counting(failing=TEXTS[1]), TEXTS, tmp_path, progress=False)
    backbone = Counting()
    stored_text_features(backbone, TEXTS, tmp_path, progress=False)
    assert backbone.encoded == [TEXTS[1]], "the longest was the last"


def test_features_that_are_not_finite_are_not_stored(tmp_path):
    backbone = Counting()
    backbone.text_projection.data[:] = np.inf
    with pytest.raises(FgvrError, match=r"gives the text 'auk' features that are not finite|gives the text"):
        stored_text_features(backbone, ["auk"], tmp_path, progress=False)


def test_a_store_that_vanishes(tmp_path, monkeypatch):
    monkeypatch.setattr(FeatureStore, "put", lambda self, vectors: None)
    with pytest.raises(FgvrError, match="was deleted while it was written"):
        stored_text_features(Counting(), TEXTS, tmp_path, progress=False)
