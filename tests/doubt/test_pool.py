import math

import pytest
import torch

from fgvr.doubt.pool import asked_of, pseudo_labels
from fgvr.records import LabelRecord


def test_the_confidence_is_the_log_odds_of_the_likeliest_class():
    logits = torch.randn((20, 5), generator=torch.Generator().manual_seed(0)) * 3
    said = pseudo_labels(logits)
    for number, row in enumerate(logits.double().tolist()):
        total = sum(map(math.exp, row))
        p = max(map(math.exp, row)) / total
        assert said.labels[0, number] == row.index(max(row))
        assert said.confidence[0, number].item() == pytest.approx(math.log(p / (1 - p)), abs=1e-5)


def test_a_probability_that_rounds_to_one_keeps_its_order():
    said = pseudo_labels(torch.tensor([[100.0, 0.0], [200.0, 0.0]]))
    assert said.confidence[0].tolist() == [100.0, 200.0]


def test_a_class_that_no_other_is_beside_is_infinitely_sure():
    assert pseudo_labels(torch.tensor([[3.0], [4.0]])).confidence[0].tolist() == [math.inf, math.inf]
    assert pseudo_labels(torch.tensor([[3.0, -math.inf]])).confidence[0].tolist() == [math.inf]


@pytest.mark.parametrize(
    ("label", "asked"),
    [
        (None, "unasked"),
        (LabelRecord("a", (), flag="unasked"), "unasked"),
        (LabelRecord("a", (), flag="refusal", raw="I cannot."), "nameless"),
        (LabelRecord("a", (), flag="failed"), "nameless"),
        (LabelRecord("a", ("Pug",), raw="A pug."), "named"),
        (LabelRecord("a", ("Pug",), raw="A dog.", corrected=True), "given"),
        (LabelRecord("a", ("Pug",)), "given"),
    ],
)
def test_what_was_known_of_a_photo(label, asked):
    assert asked_of(label) == asked
