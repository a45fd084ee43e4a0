import numpy as np
import pytest
import torch
from relabelling.test_em import drawn
from scipy.optimize import nnls

from fgvr.classifiers.closed_form.soft_names import SoftNames
from fgvr.errors import FgvrError
from fgvr.relabelling.partial_label_graph import PartialLabelGraphRelabelling, mixture_graph


def sets_of(count, classes, size=3, seed=0):
    generator = np.random.default_rng(seed)
    indices = np.stack([generator.permutation(classes)[:size] for _ in range(count)])
    weights = (np.arange(size) < generator.integers(1, size + 1, size=(count, 1))).astype(float)
    return SoftNames.from_shares(torch.from_numpy(indices), torch.from_numpy(weights), classes)


def reference(features, given, k, alpha, steps):
    """IPAL by loops over photos and classes, with scipy's least squares."""
    count, classes = given.shape
    mixture = np.zeros((count, count))
    for image in range(count):
        cosines = features @ features[image]
        cosines[image] = -np.inf
        near = np.argsort(-cosines, kind="stable")[:k]
        weights, _ = nnls(features[near].T, features[image])
        if weights.sum() > 0:
            mixture[image, near] = weights / weights.sum()
    soft = given.copy()
    for _ in range(steps):
        new = alpha * mixture @ soft + (1 - alpha) * given
        for image in range(count):
            new[image, given[image] == 0] = 0
            new[image] /= new[image].sum() if new[image].sum() > 0 else 1
        soft = new
    for c in range(classes):
        soft[:, c] *= given[:, c].sum() / max(soft[:, c].sum(), 1e-12)
    return soft / np.maximum(soft.sum(1, keepdims=True), 1e-30)


@pytest.mark.parametrize(("k", "alpha", "steps"), [(10, 0.95, 100), (4, 0.5, 7), (12, 0.9, 3)])
def test_it_is_the_definition(k, alpha, steps):
    features, names = drawn(30, 6, 12)[0], sets_of(30, 6)
    said = PartialLabelGraphRelabelling(k, alpha, steps, m=6).relabel(features, names)
    expected = reference(features.double().numpy(), names.dense(torch.arange(30)).numpy(), k, alpha, steps)
    expected = np.where(expected < 1e-3, 0, expected)
    np.testing.assert_allclose(
        said.dense(torch.arange(30)).numpy(), expected / expected.sum(1, keepdims=True), atol=1e-6
    )


def test_names_stay_within_their_sets_and_sets_of_one_name_stay():
    features, names = drawn(60, 6, 12)[0], sets_of(60, 6)
    everyone = torch.arange(60)
    said = PartialLabelGraphRelabelling().relabel(features, names).dense(everyone)
    given = names.dense(everyone)
    assert (said[given == 0] == 0).all()
    alone = (given > 0).sum(1) == 1
    assert torch.equal(said[alone], given[alone])


def test_without_propagation_only_the_sizes_of_classes_count():
    features, names = drawn(30, 6, 12)[0], sets_of(30, 6)
    said = PartialLabelGraphRelabelling(alpha=0.0, m=6).relabel(features, names)
    assert torch.allclose(said.dense(torch.arange(30)), names.dense(torch.arange(30)), atol=1e-9)


def test_a_photo_is_made_of_its_neighbours():
    features = np.eye(3, dtype=np.float32)
    features = np.vstack([features, [[0.6, 0.8, 0.0], [0.6, 0.8, 0.0]]]).astype(np.float32)
    graph = mixture_graph(features, 4, 100).toarray()
    assert graph[3].tolist() == pytest.approx([0, 0, 0, 0, 1])  # its copy
    assert graph.sum(1).tolist() == pytest.approx([1, 1, 0, 1, 1])  # nothing is like the third
    assert mixture_graph(features[:1], 4, 100).toarray().tolist() == [[0]]


def test_it_takes_the_candidate_that_neighbours_share():
    features, _, true, _ = drawn(300, 8, 24)
    generator = np.random.default_rng(0)
    wrong = (true[:, None] + generator.permuted(np.tile(np.arange(1, 8), (300, 1)), axis=1)[:, :2]) % 8
    names = SoftNames.from_shares(torch.from_numpy(np.hstack([wrong, true[:, None]])), torch.ones((300, 3)).double(), 8)
    said = PartialLabelGraphRelabelling().relabel(features, names)
    assert (said.indices[:, 0].numpy() == true).mean() > 0.8


@pytest.mark.parametrize(
    ("options", "message"), [({"k": 0}, "k is 0"), ({"alpha": 1.0}, "alpha is 1.0"), ({"steps": 0}, "steps is 0")]
)
def test_options_that_cannot_be(options, message):
    with pytest.raises(FgvrError, match=message):
        PartialLabelGraphRelabelling(**options)
