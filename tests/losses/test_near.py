import logging
import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from fgvr.candidates.base import NamedImages
from fgvr.candidates.single import own_names
from fgvr.candidates.union import UnionCandidates
from fgvr.losses.base import PartialLabels
from fgvr.losses.near import NearLoss, clean_probability
from fgvr.losses.proden import ProdenLoss
from fgvr.registry import CANDIDATES


def log_density(value, mass, mean, variance):
    return math.log(mass) - (value - mean) ** 2 / (2 * variance) - math.log(2 * math.pi * variance) / 2


def posterior(value, low, high):
    """Of the first of two components, each (mass, mean, variance)."""
    return 1 / (1 + math.exp(min(log_density(value, *high) - log_density(value, *low), 700)))


def mixture(losses):
    """Posterior of the lower of two normal distributions, one number at a time, until EM stands still."""
    mean = sum(losses) / len(losses)
    deviation = math.sqrt(sum((loss - mean) ** 2 for loss in losses) / len(losses))
    values = [(loss - mean) / deviation for loss in losses]
    shares = [1.0 if value <= 0 else 0.0 for value in values]
    for _ in range(1000):
        parts = []
        for weights in (shares, [1 - share for share in shares]):
            mass = sum(weights)
            center = sum(w * v for w, v in zip(weights, values, strict=True)) / mass
            variance = sum(w * (v - center) ** 2 for w, v in zip(weights, values, strict=True)) / mass + 0.01
            parts.append((mass, center, variance))
        shares = [posterior(value, *parts) for value in values]
    low, high = sorted(parts, key=lambda part: part[1])
    # made monotone by the extreme of a fine grid
    grid = np.linspace(-60, 60, 40_001).tolist()
    curve = [posterior(value, low, high) for value in grid]
    if low[2] < high[2]:
        best = grid[max(range(len(grid)), key=curve.__getitem__)]
        return [posterior(max(value, best), low, high) for value in values]
    worst = grid[min(range(len(grid)), key=curve.__getitem__)]
    return [posterior(min(value, worst), low, high) for value in values]


def reference(batches, sets, warmup, temperature):
    """-sum_k t_k log p_k of every step, one an epoch, one number at a time; and the last c."""
    sets, weights = sets
    own = [row.index(max(row)) for row in weights]
    steps, clean = [], [0.0] * 4
    for epoch, logits in enumerate(batches.tolist()):
        losses, against, sharp = [], [], []
        for i, candidates in enumerate(sets):
            p = [math.exp(z) / sum(math.exp(other) for other in logits[i]) for z in logits[i]]
            losses.append(-sum(w * math.log(p[c]) for w, c in zip(weights[i], candidates, strict=True)))
            against.append(-math.log(p[candidates[own[i]]]))
            inside = [p[c] ** (1 / temperature) for c in candidates]
            sharp.append([share / sum(inside) for share in inside])
            if epoch < warmup:
                weights[i] = [p[c] / sum(p[c] for c in candidates) for c in candidates]
        if epoch >= warmup - 1:
            clean = mixture(against)
            weights = [[c * (k == own[i]) + (1 - c) * q for k, q in enumerate(sharp[i])] for i, c in enumerate(clean)]
        steps.append(losses)
    return torch.tensor(steps), clean


@pytest.mark.parametrize(("warmup", "temperature"), [(1, 0.5), (1, 1.0), (2, 0.5), (3, 2.0), (9, 0.5)])
def test_losses_targets_and_split_are_the_formula(labels, sets, batches, warmup, temperature, train):
    loss = NearLoss(warmup, temperature)
    found = train(loss, labels, batches)
    expected, clean = reference(torch.stack(batches), sets, warmup, temperature)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(loss.state[:, -1], torch.tensor(clean), rtol=0, atol=1e-4)


def test_the_warm_up_is_proden(labels, batches, train):
    near, proden = NearLoss(warmup_epochs=4), ProdenLoss()
    assert torch.equal(train(near, labels, batches), train(proden, labels, batches))
    assert near.state[:, -1].any(), "the last epoch of the warm-up ends with a split"


def test_a_photo_with_one_candidate_keeps_it(labels, batches, train):
    loss = NearLoss(warmup_epochs=1)
    train(loss, labels, batches)
    assert loss.state[0, :3].tolist() == [1.0, 0.0, 0.0]


def test_a_wrong_name_is_left_for_a_candidate_and_a_right_one_is_kept(train):
    """Ten photos of two classes; the model is sure of all, and of the last two the name is the other class."""
    count = 10
    labels = PartialLabels(
        torch.arange(count),
        torch.tensor([[0, 1]]).repeat(count, 1),
        torch.ones(count, 2, dtype=torch.bool),
        torch.full((count, 2), 0.5),
    )
    logits = torch.tensor([[3.0 + number / 50, 0.0] for number in range(8)] + [[0.0, 3.0], [0.0, 3.1]])
    loss = NearLoss(warmup_epochs=1)
    train(loss, labels, [logits])
    assert (loss.state[:, -1] > 0.99).tolist() == [True] * 8 + [False] * 2
    assert (loss.state[:, :2].argmax(dim=1)).tolist() == [0] * 8 + [1] * 2
    logits = torch.zeros(count, 2, requires_grad=True)
    loss(logits, labels).sum().backward()
    assert (logits.grad[:, 0] < 0).tolist() == [True] * 8 + [False] * 2


def two_groups(low, high, seed=0):
    """Losses of two groups, each (count, mean, deviation)."""
    draw = np.random.default_rng(seed)
    return torch.from_numpy(np.concatenate([draw.normal(mean, sd, count) for count, mean, sd in (low, high)])).float()


@pytest.mark.parametrize(
    ("low", "high"),
    [
        ((300, 0.5, 0.2), (100, 3.0, 0.8)),
        ((100, 0.5, 0.6), (300, 2.0, 0.6)),
        ((200, 1.0, 1.0), (200, 4.0, 0.3)),
        ((50, 100.0, 30.0), (500, 900.0, 100.0)),
    ],
)
def test_the_mixture_is_scikit_learns(low, high):
    mixture_of = pytest.importorskip("sklearn.mixture").GaussianMixture
    losses = two_groups(low, high)
    values = losses.double().numpy()
    values = ((values - values.mean()) / values.std())[:, None]
    start = np.array([[values[values <= 0].mean()], [values[values > 0].mean()]])
    model = mixture_of(2, means_init=start, reg_covar=0.01, tol=1e-9, max_iter=2000).fit(values)
    expected = model.predict_proba(values)[:, model.means_.argmin()]
    found = clean_probability(losses).double().numpy()
    # apart from the far sides, where it is made monotone
    between = (values[:, 0] > model.means_.min()) & (values[:, 0] < model.means_.max())
    np.testing.assert_allclose(found[between], expected[between], atol=2e-4)
    assert between.mean() > 0.3


@pytest.mark.parametrize(
    ("low", "high"), [((300, 1.0, 2.0), (300, 3.0, 0.1)), ((300, 1.0, 0.1), (300, 3.0, 2.0)), ((9, 0, 1), (9, 1, 1))]
)
def test_the_probability_never_rises_with_the_loss(low, high):
    losses = two_groups(low, high).sort().values
    clean = clean_probability(losses)
    assert (clean.diff() <= 1e-7).all()
    assert 0 <= clean.min() < 0.5 < clean.max() <= 1


def test_it_does_not_depend_on_unit_offset_or_order():
    losses = two_groups((30, 0.5, 0.3), (10, 2.0, 0.5))
    expected = clean_probability(losses)
    torch.testing.assert_close(clean_probability(1000 * losses + 50), expected, rtol=0, atol=1e-3)
    order = torch.randperm(40, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(clean_probability(losses[order]), expected[order])


@pytest.mark.parametrize(
    "losses",
    [
        [],
        [1.0],
        [0.0, 0.0, 0.0],
        [7.0] * 5,
        [7.0, 7.0 + 1e-6, 7.0 - 1e-6],
        [math.inf, math.inf],
        [math.nan, 2.0],
    ],
    ids=str,
)
def test_without_two_groups_nothing_is_clean(losses):
    assert clean_probability(torch.tensor(losses)).tolist() == [0.0] * len(losses)


def test_losses_that_are_not_finite_are_noisy_and_left_out():
    losses = two_groups((30, 0.5, 0.3), (10, 2.0, 0.5))
    broken = torch.cat([losses, torch.tensor([math.nan, math.inf, -math.inf])])
    torch.testing.assert_close(clean_probability(broken)[:-3], clean_probability(losses))
    assert clean_probability(broken)[-3:].tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("losses", [[0.0, 1.0], [0.0, 0.0, 0.0, 1e30], [1e-30, 2e-30], [0.0] * 500 + [1.0]], ids=str)
def test_extreme_losses_give_probabilities(losses):
    clean = clean_probability(torch.tensor(losses))
    assert ((clean >= 0) & (clean <= 1)).all()
    assert clean[0] >= clean[-1]


def test_a_photo_that_no_epoch_saw_follows_its_predictions(labels, batches):
    loss = NearLoss(warmup_epochs=1)
    loss.setup(labels, key="")
    seen = labels[torch.tensor([0, 1, 3])]
    loss.write_state(seen.rows, loss.new_state(batches[0][seen.rows], seen))
    loss.end_epoch(labels)
    assert torch.equal(loss.state[2, :3], labels.weights[2])
    assert loss.state[2, -1] == 0


@pytest.mark.parametrize("name", [name for name in CANDIDATES if name != "label_propagation"])
def test_the_own_name_is_what_the_labeler_said_first(name):
    draw = np.random.default_rng(0)
    features = draw.normal(size=(30, 4)).astype(np.float32)
    images = NamedImages(
        sample_ids=tuple(f"{number}.jpg" for number in range(30)),
        labels=[tuple(draw.permutation(6)[: number % 3 + (number != 9)].tolist()) for number in range(30)],
        num_classes=6,
        features=features / np.linalg.norm(features, axis=1, keepdims=True),
    )
    own = own_names(images)
    if name == "union":
        strategy = UnionCandidates([CANDIDATES.load(part)() for part in ("mutual_knn", "mllm_direct", "knn")])
    else:
        strategy = CANDIDATES.load(name)()
    sets = strategy.build(images)
    labels = PartialLabels.from_sets(sets)
    loss = NearLoss()
    loss.setup(labels, key="")
    logits = torch.from_numpy(draw.normal(size=(len(sets), 6))).float()
    against = loss.new_state(logits, labels)[:, -2]
    said = torch.tensor([own[images.sample_ids.index(sample_id)] for sample_id in sets.sample_ids])
    named = said >= 0
    expected = torch.nn.functional.cross_entropy(logits[named], said[named], reduction="none")
    assert named.sum() == (own >= 0).sum()
    torch.testing.assert_close(against[named], expected)


def test_where_weights_differ_the_own_name_is_what_weighs_most(labels, batches):
    weights = torch.tensor([[1.0, 0.0, 0.0], [0.25, 0.75, 0.0], [0.3, 0.2, 0.5], [0.5, 0.5, 0.0]])
    loss = NearLoss()
    loss.setup(replace(labels, weights=weights), key="")
    against = loss.new_state(batches[0], replace(labels, weights=weights))[:, -2]
    own = torch.tensor([4, 1, 1, 1])
    torch.testing.assert_close(against, torch.nn.functional.cross_entropy(batches[0], own, reduction="none"))


def test_the_split_is_logged_once_an_epoch(labels, batches, caplog, train):
    with caplog.at_level(logging.INFO, logger="fgvr"):
        train(NearLoss(warmup_epochs=2), labels, batches)
    assert [record.getMessage().split(":")[0] for record in caplog.records] == [f"NeaR, epoch {n}" for n in (2, 3, 4)]


@pytest.mark.parametrize(("warmup", "warnings"), [(3, 0), (4, 1), (5, 1)])
def test_too_few_epochs_for_a_split_are_warned_of_once(labels, batches, caplog, warmup, warnings, train):
    with caplog.at_level(logging.WARNING, logger="fgvr"):
        train(NearLoss(warmup_epochs=warmup), labels, batches)
    assert len(caplog.messages) == warnings
    if warnings:
        assert f"loss.warmup_epochs is {warmup} and trainer.max_epochs 4" in caplog.text
