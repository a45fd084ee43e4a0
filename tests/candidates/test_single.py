import pytest

from fgvr.candidates.base import NamedImages
from fgvr.candidates.single import SingleCandidates
from fgvr.errors import FgvrError


def test_the_first_name_alone():
    images = NamedImages(("a.jpg", "b.jpg", "c.jpg"), labels=[(4, 2), (), (1,)], num_classes=5)
    sets = SingleCandidates().build(images)
    assert sets.sample_ids == ("a.jpg", "c.jpg")
    assert [(indices.tolist(), weights.tolist()) for indices, weights in sets] == [([4], [1.0]), ([1], [1.0])]


def test_without_any_name_the_message_says_what_to_do():
    images = NamedImages(("a.jpg", "b.jpg"), labels=[(), ()], num_classes=5)
    with pytest.raises(FgvrError, match=r"None of the 2 support photos has a name.*labels\.parquet"):
        SingleCandidates().build(images)
