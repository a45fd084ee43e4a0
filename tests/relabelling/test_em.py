import numpy as np
import pytest
import torch

from fgvr.classifiers.closed_form.soft_names import SoftNames
from fgvr.errors import FgvrError
from fgvr.relabelling.em import EmRelabelling


def drawn(count, classes, dim, named=0.9, seed=0):
    """Photos around class centres, some of their names wrong, some without."""
    generator = np.random.default_rng(seed)
    true = generator.integers(classes, size=count)
    features = generator.normal(size=(classes, dim))[true] + generator.normal(size=(count, dim))
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    own = np.where(generator.random(count) < 0.7, true, generator.integers(classes, size=count))
    own[generator.random(count) > named] = -1
    names = SoftNames(
        torch.from_numpy(np.maximum(own, 0))[:, None], torch.from_numpy((own >= 0).astype(float))[:, None], classes
    )
    return torch.from_numpy(features).float(), names, true, own


def reference(features, given, name_weight, temperature, steps):
    """EM as the docstring says it, photo by photo and class by class, in float64."""
    count, classes = given.shape
    present = [c for c in range(classes) if given[:, c].sum() > 0]
    soft = given.copy()
    for _ in range(steps):
        new = np.zeros_like(soft)
        for image in range(count):
            evidence = {}
            for c in present:
                others = sum(soft[other, c] * features[other] for other in range(count) if other != image)
                held = sum(soft[other, c] for other in range(count) if other != image)
                if held > 1e-6 and any(given[other, c] > 0 for other in range(count) if other != image):
                    evidence[c] = features[image] @ others / np.linalg.norm(others) / temperature
            average = np.log(np.mean([np.exp(value) for value in evidence.values()])) if evidence else 0.0
            for c in present:
                trust = name_weight if given[image].sum() > 0 else 0.0
                prior = trust * given[image, c] + (1 - trust) / len(present)
                new[image, c] = prior * np.exp(evidence.get(c, average))
        soft = new / new.sum(1, keepdims=True)
    return soft


@pytest.mark.parametrize("name_weight", [0.0, 0.5, 0.8])
def test_it_is_the_definition(name_weight, monkeypatch):
    features, names, _, _ = drawn(30, 6, 5)
    names.indices[0], names.weights[0] = 5, 1.0  # a name that only one photo has
    names.indices[1:][names.indices[1:] == 5] = 4
    given = names.dense(torch.arange(30)).numpy()
    expected = reference(features.double().numpy(), given, name_weight, 0.2, 4)
    for block in (2**23, 40):
        monkeypatch.setattr("fgvr.classifiers.closed_form.base._BLOCK_VALUES", block)
        said = EmRelabelling(name_weight, temperature=0.2, steps=4, m=6).relabel(features, names)
        # shares below 0.1 % are left out
        shares = np.where(expected < 1e-3, 0, expected)
        np.testing.assert_allclose(
            said.dense(torch.arange(30)).numpy(), shares / shares.sum(1, keepdims=True), atol=1e-6
        )


def test_two_photos_by_hand():
    features = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    names = SoftNames(torch.tensor([[0], [1]]), torch.ones((2, 1)).double(), 2)
    # looks say nothing of a class that has no other photo: it counts as the average of the others, here the other one
    said = EmRelabelling(name_weight=0.8, steps=1).relabel(features, names)
    assert torch.allclose(said.dense(torch.arange(2)), torch.tensor([[0.9, 0.1], [0.1, 0.9]]).double())


def test_a_name_that_one_photo_has_is_not_confirmed_by_photos_that_look_alike():
    features, names, _, _ = drawn(120, 20, 32, named=1.0)
    rare = torch.arange(0, 120, 6)
    indices = names.indices.clone()
    indices[rare, 0] = 20 + torch.arange(20)
    said = EmRelabelling(m=40).relabel(features, SoftNames(indices, names.weights, 40))
    own = said.dense(rare)[torch.arange(20), 20 + torch.arange(20)]
    assert ((own > 0.75) & (own < 0.85)).all()


def test_a_low_temperature_is_the_definition_too():
    features, names, _, _ = drawn(30, 6, 5)
    given = names.dense(torch.arange(30)).numpy()
    expected = reference(features.double().numpy(), given, 0.8, 0.01, 3)
    said = EmRelabelling(temperature=0.01, steps=3, m=6).relabel(features, names).dense(torch.arange(30)).numpy()
    assert (said.argmax(1) == expected.argmax(1)).all()
    np.testing.assert_allclose(said, np.where(expected < 1e-3, 0, expected), atol=1e-3)


def test_names_that_are_trusted_stay():
    features, names, _, own = drawn(40, 5, 6, named=1.0)
    said = EmRelabelling(name_weight=1 - 1e-12, m=1).relabel(features, names)
    assert said.indices[:, 0].tolist() == own.tolist()


def test_wrong_names_are_mended_and_photos_without_a_name_are_given_one():
    features, names, true, own = drawn(400, 8, 24, named=0.8)
    said = EmRelabelling().relabel(features, names)
    assert (said.weights.sum(1) > 0).all()
    assert (said.indices[:, 0].numpy() == true).mean() > (own == true).mean() + 0.2
    unnamed = own < 0
    assert (said.indices[:, 0].numpy() == true)[unnamed].mean() > 0.8


def test_the_order_of_classes_makes_no_difference():
    features, names, _, _ = drawn(30, 6, 5)
    order = torch.tensor([3, 0, 5, 1, 2, 4])
    moved = SoftNames(order[names.indices], names.weights, 6)
    everyone = torch.arange(30)
    plain = EmRelabelling().relabel(features, names).dense(everyone)
    assert torch.allclose(EmRelabelling().relabel(features, moved).dense(everyone)[:, order], plain, atol=1e-6)


def test_copies_of_a_photo_share_their_names():
    features, names, _, _ = drawn(30, 6, 5, named=1.0)
    twice = SoftNames(names.indices.repeat(2, 1), names.weights.repeat(2, 1), 6)
    said = EmRelabelling().relabel(features.repeat(2, 1), twice)
    assert torch.allclose(said.dense(torch.arange(30)), said.dense(torch.arange(30, 60)), atol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name_weight": 1.0}, "name_weight is 1.0"),
        ({"name_weight": -0.1}, "name_weight is -0.1"),
        ({"temperature": 0.0}, "temperature is 0.0"),
        ({"temperature": float("inf")}, "temperature is inf"),
        ({"steps": 0}, "steps is 0"),
    ],
)
def test_options_that_cannot_be(options, message):
    with pytest.raises(FgvrError, match=message):
        EmRelabelling(**options)
