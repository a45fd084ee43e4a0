import numpy as np
import pytest
import torch
from relabelling.test_em import drawn

from fgvr.classifiers.closed_form.soft_names import SoftNames
from fgvr.errors import FgvrError
from fgvr.relabelling.propagation import PropagationRelabelling


def reference(features, given, k, alpha, gamma):
    """Zhou et al. 2004 on the graph of nearest photos, with dense matrices and an inverse."""
    count = len(features)
    edges = np.zeros((count, count))
    for image in range(count):
        cosines = features @ features[image]
        cosines[image] = -np.inf
        for other in np.argsort(-cosines, kind="stable")[:k]:
            edges[image, other] = max(cosines[other], 0) ** gamma
    edges += edges.T
    scale = np.diag([1 / np.sqrt(degree) if degree else 0 for degree in edges.sum(1)])
    solution = np.linalg.inv(np.eye(count) - alpha * scale @ edges @ scale) @ given
    return solution / np.maximum(solution.sum(1, keepdims=True), 1e-30)


@pytest.mark.parametrize(("k", "alpha", "gamma"), [(5, 0.2, 3.0), (3, 0.8, 1.0), (8, 0.95, 2.0)])
def test_it_is_the_definition(k, alpha, gamma):
    features, names, _, _ = drawn(60, 6, 5)
    said = PropagationRelabelling(k, alpha, gamma, m=6).relabel(features, names)
    expected = reference(features.double().numpy(), names.dense(torch.arange(60)).numpy(), k, alpha, gamma)
    expected = np.where(expected < 1e-3, 0, expected)
    expected /= np.maximum(expected.sum(1, keepdims=True), 1e-30)
    np.testing.assert_allclose(said.dense(torch.arange(60)).numpy(), expected, atol=1e-6)


def test_candidate_sets_travel_as_they_are_and_unasked_photos_are_named():
    features, names, true, own = drawn(300, 6, 24, named=0.3)
    said = PropagationRelabelling(alpha=0.9).relabel(features, names)
    unasked = own < 0
    assert (said.indices[:, 0].numpy() == true)[unasked].mean() > 0.6


def test_a_photo_that_no_name_reaches_stays_without():
    features = torch.tensor([[1.0, 0.0], [0.8, 0.6], [-1.0, 0.0], [-0.8, 0.6]])
    names = SoftNames(torch.zeros((4, 1), dtype=torch.int64), torch.tensor([[1.0], [0], [0], [0]]).double(), 1)
    assert PropagationRelabelling(k=1).relabel(features, names).weights.sum(1).tolist() == [1, 1, 0, 0]


@pytest.mark.parametrize(
    ("options", "message"), [({"k": 0}, "k is 0"), ({"alpha": 1.0}, "alpha"), ({"gamma": -1}, "gamma")]
)
def test_options_that_cannot_be(options, message):
    with pytest.raises(FgvrError, match=f"relabelling.{message}"):
        PropagationRelabelling(**options)
