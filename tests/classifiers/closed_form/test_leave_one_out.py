"""Each closed form against a refit without the photo, one photo at a time, in numpy, written from the formulas."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from fgvr.backbones.base import ImageFeatures
from fgvr.classifiers.closed_form.class_means import ClassMeans
from fgvr.classifiers.closed_form.gaussian import Gaussian
from fgvr.classifiers.closed_form.ridge import Ridge
from fgvr.classifiers.closed_form.soft_names import SoftNames
from fgvr.records import CandidateSets

IMAGES, DIM, CLASSES = 40, 7, 9
EMPTY, SINGLE = 8, 7


def features(seed=0):
    generator = torch.Generator().manual_seed(seed)
    return F.normalize(torch.randn(IMAGES, DIM, generator=generator, dtype=torch.float64), dim=1)


def hard_names():
    """One class a photo; class 8 has none, class 7 one photo, and photos 3 and 11 have no name."""
    generator = np.random.default_rng(0)
    sets = [[int(generator.integers(0, SINGLE))] for _ in range(IMAGES)]
    sets[5] = [SINGLE]
    return candidate_sets(sets, [[1.0]] * IMAGES)


def soft_names():
    """One to four candidates with weights; class 8 has none, class 7 is a candidate of one photo alone."""
    generator = np.random.default_rng(1)
    sets = [generator.permutation(SINGLE)[: 1 + image % 4].tolist() for image in range(IMAGES)]
    sets[5] = [2, SINGLE]
    weights = [generator.dirichlet(np.ones(len(row))).tolist() for row in sets]
    return candidate_sets(sets, weights)


def candidate_sets(sets, weights):
    left_out = {3, 11}
    ids = [f"{image:02}.jpg" for image in range(IMAGES)]
    kept = [image for image in range(IMAGES) if image not in left_out]
    chosen = CandidateSets.from_lists(
        [ids[image] for image in kept], [sets[image] for image in kept], [weights[image] for image in kept]
    )
    return SoftNames.from_sets(chosen, ids, CLASSES)


def without(names, image):
    """Weights of all photos and classes, shape ``(N, C)``, with nothing of ``image``."""
    dense = names.dense(slice(None)).numpy().copy()
    dense[image] = 0
    return dense


def means_scores(x, dense, image, texts=None, anchor=0.0):
    scores = np.full(CLASSES, -np.inf)
    for c in range(CLASSES):
        total = sum(dense[i, c] * x[i] for i in range(IMAGES))
        if texts is not None:
            total = total + anchor * texts[c]
        elif dense[:, c].sum() < 1e-9:
            continue
        scores[c] = image @ total / np.linalg.norm(total)
    return scores


def ridge_scores(x, dense, image, penalty):
    learned = dense.sum(1) > 0
    gram = x[learned].T @ x[learned] + penalty * np.eye(DIM)
    scores = np.linalg.solve(gram, x[learned].T @ dense[learned]).T @ image
    scores[dense.sum(0) < 1e-9] = -np.inf
    return scores


def scatter_of(x, dense):
    counts = dense.sum(0)
    scatter = np.zeros((DIM, DIM))
    for c in np.flatnonzero(counts > 1e-9):
        mean = dense[:, c] @ x / counts[c]
        for i in range(IMAGES):
            scatter += dense[i, c] * np.outer(x[i] - mean, x[i] - mean)
    return scatter


def gaussian_scores(x, dense, image, ridge):
    precision = np.linalg.inv(scatter_of(x, dense) + ridge * np.eye(DIM))
    scores = np.full(CLASSES, -np.inf)
    for c in np.flatnonzero(dense.sum(0) > 1e-9):
        mean = dense[:, c] @ x / dense[:, c].sum()
        scores[c] = image @ precision @ mean - 0.5 * mean @ precision @ mean
    return scores


def reference(kind, x, names, options):
    """What the kind says of each photo, refitted without it, and of each photo as it is."""
    x = x.numpy()
    whole = names.dense(slice(None)).numpy()
    if kind is Gaussian:
        shrinkage = options.get("shrinkage", 1.0)
        ridge = shrinkage * np.trace(scatter_of(x, whole)) / (whole.sum() - 1)
        fit = lambda dense, image: gaussian_scores(x, dense, image, ridge)  # noqa: E731
    elif kind is Ridge:
        fit = lambda dense, image: ridge_scores(x, dense, image, options.get("penalty", 1.0))  # noqa: E731
    else:
        texts = options["texts"].numpy() if "texts" in options else None
        fit = lambda dense, image: means_scores(x, dense, image, texts, options.get("anchor", 0.0))  # noqa: E731
    left_out = np.stack([fit(without(names, i), x[i]) for i in range(IMAGES)])
    return left_out, np.stack([fit(whole, x[i]) for i in range(IMAGES)])


TEXTS = F.normalize(torch.randn(CLASSES, DIM, generator=torch.Generator().manual_seed(9), dtype=torch.float64), dim=1)
KINDS = [
    (ClassMeans, {}),
    (ClassMeans, {"texts": TEXTS, "anchor": 0.7}),
    (Ridge, {"penalty": 1.0}),
    (Ridge, {"penalty": 0.01}),
    (Gaussian, {"shrinkage": 1.0}),
    (Gaussian, {"shrinkage": 10.0}),
]


def shown(part):
    return part.__name__ if isinstance(part, type) else "-".join(f"{key}{part[key]}" for key in part if key != "texts")


@pytest.mark.parametrize("make_names", [hard_names, soft_names])
@pytest.mark.parametrize(("kind", "options"), KINDS, ids=shown)
def test_equals_a_refit_without_the_photo(kind, options, make_names):
    x, names = features(), make_names()
    fitted = kind(x, names, **options)
    left_out, as_it_is = reference(kind, x, names, options)
    np.testing.assert_allclose(fitted.leave_one_out(torch.arange(IMAGES)).numpy(), left_out, atol=1e-8, rtol=0)
    np.testing.assert_allclose(fitted.scores(x).numpy(), as_it_is, atol=1e-8, rtol=0)


@pytest.mark.parametrize(("kind", "options"), KINDS[:1] + KINDS[2:], ids=shown)
def test_a_class_of_one_photo_and_an_empty_one(kind, options):
    x, names = features(), hard_names()
    fitted = kind(x, names, **options)
    left_out = fitted.leave_one_out(torch.arange(IMAGES))
    assert left_out[5, SINGLE] == -torch.inf
    assert left_out[4, SINGLE].isfinite()
    assert (left_out[:, EMPTY] == -torch.inf).all()
    assert fitted.missing.tolist() == [False] * EMPTY + [True]
    assert (fitted.scores(x)[:, EMPTY] == -torch.inf).all()


@pytest.mark.parametrize(("kind", "options"), KINDS, ids=shown)
@pytest.mark.parametrize("rows", [[0], [5, 3], list(range(IMAGES))])
def test_rows_do_not_depend_on_each_other(kind, options, rows):
    fitted = kind(features(), soft_names(), **options)
    together = fitted.leave_one_out(torch.arange(IMAGES))
    torch.testing.assert_close(fitted.leave_one_out(torch.tensor(rows)), together[rows], atol=1e-12, rtol=0)


@pytest.mark.parametrize(("kind", "options"), KINDS[:1] + KINDS[2:], ids=shown)
def test_one_photo_a_class_one_class_and_copies_are_finite(kind, options):
    x = features()
    single = SoftNames(torch.arange(IMAGES)[:, None], torch.ones((IMAGES, 1)).double(), IMAGES)
    one_class = SoftNames(torch.zeros((IMAGES, 1), dtype=torch.int64), torch.ones((IMAGES, 1)).double(), 1)
    alone = kind(x, single, **options)
    assert alone.scores(x).isfinite().all()
    assert (alone.leave_one_out(torch.arange(IMAGES)).diagonal() == -torch.inf).all()
    for case in (one_class, hard_names()):
        for images in (x, x[:1].expand(IMAGES, -1)):
            fitted = kind(images, case, **options)
            assert not fitted.scores(images).isnan().any()
            assert not fitted.leave_one_out(torch.arange(IMAGES)).isnan().any()


def test_the_order_of_photos_and_classes_makes_no_difference():
    x, names = features(), soft_names()
    order = torch.randperm(IMAGES, generator=torch.Generator().manual_seed(3))
    other = SoftNames(names.indices[order], names.weights[order], CLASSES)
    for kind, options in KINDS[:1] + KINDS[2:]:
        first, second = kind(x, names, **options), kind(x[order], other, **options)
        torch.testing.assert_close(first.weight, second.weight, atol=1e-10, rtol=0)
        left_out = first.leave_one_out(torch.arange(IMAGES))
        torch.testing.assert_close(second.leave_one_out(torch.arange(IMAGES)), left_out[order], atol=1e-10, rtol=0)


def test_the_classifier_is_that_of_the_scores():
    x, names = features(), soft_names()
    for kind, options in KINDS:
        fitted = kind(x, names, **options)
        classifier = fitted.classifier(torch.zeros(DIM), scale=3.0, space="visual")
        logits = classifier(ImageFeatures(torch.zeros(IMAGES, 2), x.float()))
        assert logits.dtype == torch.float32
        torch.testing.assert_close(logits.double(), 3 * fitted.scores(x), atol=1e-3, rtol=1e-4)
