import pytest

from fgvr.candidates.base import NamedImages
from fgvr.candidates.mllm_direct import MllmDirectCandidates
from fgvr.errors import FgvrError


def test_all_names_of_a_photo_once():
    sets = MllmDirectCandidates().build(NamedImages(("a", "b", "c"), [(2, 0, 2), (), (1,)], num_classes=3))
    assert sets.sample_ids == ("a", "c")
    assert [indices.tolist() for indices, _ in sets] == [[2, 0], [1]]
    assert [weights.tolist() for _, weights in sets] == [[0.5, 0.5], [1.0]]


def test_no_names_at_all():
    with pytest.raises(FgvrError, match="No support photo has a name"):
        MllmDirectCandidates().build(NamedImages(("a",), [()], num_classes=3))
