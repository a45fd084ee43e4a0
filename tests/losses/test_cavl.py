import math

import torch

from fgvr.losses.base import PartialLabels
from fgvr.losses.cavl import CavlLoss


def reference(batches, sets):
    """Losses of every step: -log p of the candidate with the largest |1 - z| z at the step before."""
    sets, weights = sets
    steps = []
    for logits in batches.tolist():
        losses = []
        for i, candidates in enumerate(sets):
            z = logits[i]
            total = sum(math.exp(value) for value in z)
            losses.append(
                -sum(w * math.log(math.exp(z[c]) / total) for w, c in zip(weights[i], candidates, strict=True))
            )
            mean = sum(z) / len(z)
            value = {c: abs(1 - (z[c] - mean)) * (z[c] - mean) for c in candidates}
            best = max(candidates, key=value.get)
            weights[i] = [float(c == best) for c in candidates]
        steps.append(losses)
    return torch.tensor(steps)


def test_losses_and_choices_are_the_formula(labels, sets, batches, train):
    torch.testing.assert_close(train(CavlLoss(), labels, batches), reference(torch.stack(batches), sets))


def one_image():
    return PartialLabels(torch.tensor([0]), torch.tensor([[0, 1]]), torch.tensor([[True, True]]), torch.ones(1, 2) / 2)


def test_the_value_is_not_the_probability():
    # centred: 0.5 and 0.9, whose values are 0.25 and 0.09
    loss = CavlLoss()
    loss.setup(one_image(), key="")
    assert loss.new_state(torch.tensor([[0.5, 0.9, -1.4]]), one_image()).tolist() == [[1.0, 0.0]]


def test_a_candidate_is_chosen_where_all_values_are_negative():
    loss = CavlLoss()
    loss.setup(one_image(), key="")
    assert loss.new_state(torch.tensor([[-3.0, -2.0, 9.0]]), one_image()).tolist() == [[0.0, 1.0]]


def test_an_offset_of_all_logits_changes_nothing(labels, batches):
    loss = CavlLoss()
    loss.setup(labels, key="")
    assert torch.equal(loss.new_state(batches[0] + 20, labels), loss.new_state(batches[0], labels))
