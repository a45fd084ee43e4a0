import pytest
import torch
from drawn_pseudo_labels import drawn

from fgvr.errors import FgvrError
from fgvr.filters.base import PseudoLabels
from fgvr.filters.confidence import rank_in_class
from fgvr.filters.top_k import TopKFilter
from fgvr.methods.coft_labels import most_confident


@pytest.mark.parametrize("k", [1, 5, 1000])
def test_it_keeps_the_k_surest_of_each_class(k):
    said = drawn(2)
    kept = TopKFilter(k).keep(said)
    for labels, confidence, found in zip(said.labels.tolist(), said.confidence.tolist(), kept.tolist(), strict=True):
        expected = set()
        for label in set(labels):
            of_class = [photo for photo in range(len(labels)) if labels[photo] == label]
            expected |= set(sorted(of_class, key=lambda photo: (-confidence[photo], photo))[:k])
        assert {photo for photo, is_kept in enumerate(found) if is_kept} == expected


def test_it_keeps_what_the_first_phase_of_coft_trains_on():
    logits = torch.randn((300, 9), generator=torch.Generator().manual_seed(0)) * 40
    logits[:50] = logits[50:100]  # equal confidence
    logits[:, 3] = -1000  # a class that no photo is predicted as
    highest, labels = logits.max(dim=1)
    confidence = highest - logits.scatter(1, labels.unsqueeze(1), -torch.inf).logsumexp(dim=1)
    kept = TopKFilter(16).keep(PseudoLabels(labels.unsqueeze(0), confidence.unsqueeze(0)))[0]
    assert torch.equal(labels.masked_fill(~kept, -1), most_confident(labels, confidence, 16))


def test_of_equally_confident_photos_the_lower_row_comes_first():
    said = PseudoLabels(torch.zeros((1, 4), dtype=torch.int64), torch.ones((1, 4)))
    assert TopKFilter(2).keep(said)[0].tolist() == [True, True, False, False]


def test_a_vocabulary_of_one_class_is_infinitely_sure():
    said = PseudoLabels(torch.zeros((1, 3), dtype=torch.int64), torch.full((1, 3), torch.inf))
    assert TopKFilter(2).keep(said)[0].tolist() == [True, True, False]


def test_ranks_begin_anew_in_each_class_and_nan_comes_last():
    confidence = torch.tensor([torch.nan, 1.0, 3.0, 2.0, 9.0])
    assert rank_in_class(torch.tensor([1, 1, 1, 1, 0]), confidence).tolist() == [3, 2, 0, 1, 0]


def test_fewer_than_one_photo_of_a_class_is_refused():
    with pytest.raises(FgvrError, match=r"filter\.k is 0; expected 1 photo"):
        TopKFilter(0)
