import numpy as np
import pytest

from fgvr.candidates.base import NamedImages
from fgvr.candidates.features import features_of, unit
from fgvr.candidates.knn import KnnCandidates
from fgvr.candidates.label_propagation import LabelPropagationCandidates
from fgvr.candidates.mutual_knn import MutualKnnCandidates
from fgvr.candidates.random import RandomCandidates
from fgvr.candidates.union import UnionCandidates
from fgvr.errors import FgvrError

RUN = np.array([[1, 0], [0.8, 0.6], [0, 1]], dtype=np.float32)
OTHER = np.array([[1, 0], [0, 1], [0.8, 0.6]], dtype=np.float32)


class OtherBackbone:
    def load(self) -> None: ...

    def fingerprint(self) -> str:
        return "other"


def images(features_in=None, space=None):
    return NamedImages(("a", "b", "c"), [(0,), (1,), (2,)], 3, RUN, features_in=features_in, space=space)


def test_features_are_taken_as_they_are_where_they_are_of_unit_length():
    assert features_of(images()) is RUN
    off = RUN * np.float32(1.005)
    assert unit(off) is not off
    np.testing.assert_allclose(unit(off), RUN, atol=1e-6)
    assert unit(np.zeros((1, 2), dtype=np.float32)).tolist() == [[0, 0]]


def test_neighbours_can_be_searched_in_another_backbone():
    backbone, asked = OtherBackbone(), []
    given = images(lambda which, space: asked.append((which, space)) or OTHER)
    assert KnnCandidates(2).needs_features
    strategy = KnnCandidates(2, backbone=backbone)
    assert not strategy.needs_features
    assert strategy.build(given).indices[:2].tolist() == [0, 2]
    assert KnnCandidates(2).build(given).indices[:2].tolist() == [0, 1]
    assert asked == [(backbone, "visual")]


def test_neighbours_are_searched_in_the_space_that_is_asked_for():
    joint = images(lambda which, space: {(None, "visual"): OTHER}[which, space], space="joint")
    assert features_of(joint, space="joint") is RUN
    assert features_of(joint) is OTHER
    for strategy in (KnnCandidates, MutualKnnCandidates, LabelPropagationCandidates, RandomCandidates):
        assert strategy().space == "visual"
        assert strategy(space="joint").space == "joint"
    assert KnnCandidates(2, space="joint").build(joint).indices[:2].tolist() == [0, 1]
    assert KnnCandidates(2).build(joint).indices[:2].tolist() == [0, 2]
    both = UnionCandidates([KnnCandidates(2, space="joint"), KnnCandidates(2)])
    assert both.space == "joint"
    assert both.build(joint).indices[:3].tolist() == [0, 1, 2]
    with pytest.raises(FgvrError, match=r"candidates\.space is 'text'"):
        KnnCandidates(space="text")


def test_another_backbone_without_a_way_to_its_features():
    with pytest.raises(FgvrError, match=r"features of OtherBackbone in its visual space.*features_in"):
        KnnCandidates(backbone=OtherBackbone()).build(images())


def test_features_of_another_backbone_are_checked_too():
    with pytest.raises(FgvrError, match="L2-normalised"):
        features_of(images(lambda which, space: OTHER[:2]), OtherBackbone())
