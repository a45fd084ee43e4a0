import numpy as np
import pytest

from fgvr.candidates.base import NamedPhotos
from fgvr.candidates.features import features_of, unit
from fgvr.candidates.knn import KnnCandidates
from fgvr.errors import FgvrError

RUN = np.array([[1, 0], [0.8, 0.6], [0, 1]], dtype=np.float32)
OTHER = np.array([[1, 0], [0, 1], [0.8, 0.6]], dtype=np.float32)


class OtherBackbone:
    def load(self) -> None: ...

    def fingerprint(self) -> str:
        return "other"


def photos(features_in=None):
    return NamedPhotos(("a", "b", "c"), [(0,), (1,), (2,)], 3, RUN, features_in=features_in)


def test_features_are_taken_as_they_are_where_they_are_of_unit_length():
    assert features_of(photos()) is RUN
    off = RUN * np.float32(1.005)
    assert unit(off) is not off
    np.testing.assert_allclose(unit(off), RUN, atol=1e-6)
    assert unit(np.zeros((1, 2), dtype=np.float32)).tolist() == [[0, 0]]


def test_neighbours_can_be_searched_in_another_backbone():
    backbone, asked = OtherBackbone(), []
    given = photos(lambda which: asked.append(which) or OTHER)
    assert KnnCandidates(2).needs_features
    strategy = KnnCandidates(2, backbone=backbone)
    assert not strategy.needs_features
    assert strategy.build(given).indices[:2].tolist() == [0, 2]
    assert KnnCandidates(2).build(given).indices[:2].tolist() == [0, 1]
    assert asked == [backbone]


def test_another_backbone_without_a_way_to_its_features():
    with pytest.raises(FgvrError, match=r"candidates\.backbone is OtherBackbone.*features_in"):
        KnnCandidates(backbone=OtherBackbone()).build(photos())


def test_features_of_another_backbone_are_checked_too():
    with pytest.raises(FgvrError, match="L2-normalised"):
        features_of(photos(lambda which: OTHER[:2]), OtherBackbone())
