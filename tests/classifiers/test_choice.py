import math

import pytest
import torch
import torch.nn.functional as F

from fgvr.backbones.base import ImageFeatures
from fgvr.classifiers.centred import CentredClassifier
from fgvr.classifiers.choice import WEIGHTS, Folds, choose_form, choose_fusion, fit_scale, hits, may_choose_form
from fgvr.classifiers.closed_form.class_means import ClassMeans
from fgvr.classifiers.closed_form.ridge import Ridge
from fgvr.classifiers.closed_form.soft_names import SoftNames
from fgvr.classifiers.cosine import CosineClassifier
from fgvr.classifiers.fused import FusedClassifier


def world(images_a_class=5, classes=6, dim=12, noise=0.5, wrong=0.0, seed=0):
    """Photos around class centres, the classes, and names of which a share is wrong."""
    generator = torch.Generator().manual_seed(seed)
    centres = F.normalize(torch.randn(classes, dim, generator=generator).double(), dim=1)
    truth = torch.arange(classes).repeat_interleave(images_a_class)
    x = F.normalize(centres[truth] + noise * torch.randn(len(truth), dim, generator=generator) / dim**0.5, dim=1)
    own = truth.clone()
    mistaken = torch.rand(len(truth), generator=generator) < wrong
    own[mistaken] = torch.randint(classes, (int(mistaken.sum()),), generator=generator)
    return x, centres, own


def named(own, classes):
    weights = (own >= 0).double()[:, None]
    return SoftNames(own.clamp(min=0)[:, None], weights, classes)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("kind", [ClassMeans, Ridge])
def test_agreement_never_exceeds_the_share_of_photos_whose_name_another_photo_has(kind, seed):
    """Also with strategies that spread names over neighbours, where the names of a fold are hidden."""
    x, _, _ = world(images_a_class=2, classes=20, seed=seed)
    generator = torch.Generator().manual_seed(100 + seed)
    own = torch.randint(-1, 25, (len(x),), generator=generator)
    counts = own[own >= 0].bincount(minlength=25)
    share = float((counts[own[own >= 0]] > 1).double().mean())
    found = hits(kind(x, named(own, 25)).leave_one_out, own)
    assert float(found.double().mean()) <= share

    def spread(hidden):
        """Every photo gets the names of its three nearest photos, but those of hidden ones."""
        kept = own.clone()
        kept[hidden] = -1
        near = (x @ x.T).topk(3, dim=1).indices
        indices = kept[near]
        weights = (indices >= 0).double()
        return SoftNames(indices.clamp(min=0), weights / weights.sum(1, keepdim=True).clamp(min=1), 25)

    folds = [(rows, spread(rows)) for rows in torch.arange(len(x)).chunk(10)]
    found = hits(Folds(lambda names: kind(x, names), x, folds, 25), own)
    assert float(found.double().mean()) <= share


def test_folds_score_each_photo_by_what_its_own_fold_did_not_see():
    x, _, own = world()
    names = named(own, 6)
    folds = [(rows, names) for rows in torch.arange(len(x)).chunk(len(x))]
    unseen = Folds(lambda soft: ClassMeans(x, soft), x, folds, 6)
    rows = torch.tensor([7, 0, 29])
    torch.testing.assert_close(unseen(rows), ClassMeans(x, names).leave_one_out(rows))


def test_clear_photos_and_useless_text_leave_the_photos_alone():
    x, _, own = world(images_a_class=12)
    text = torch.randn(len(x), 6, generator=torch.Generator().manual_seed(1)).double()
    fusion = choose_fusion(ClassMeans(x, named(own, 6)).leave_one_out, lambda rows: text[rows], own)
    assert fusion.agreement[0] == 1.0
    assert fusion.agreement[-1] < 0.5
    assert fusion.weight < 1
    assert len(fusion.agreement) == len(WEIGHTS)


def test_clear_text_and_useless_photos_leave_the_text_alone():
    x, centres, own = world(images_a_class=6)
    noise = F.normalize(torch.randn(x.shape, generator=torch.Generator().manual_seed(2)).double(), dim=1)
    fusion = choose_fusion(ClassMeans(noise, named(own, 6)).leave_one_out, lambda rows: (x @ centres.T)[rows], own)
    assert fusion.weight > 1
    assert fusion.agreement[-1] == 1.0


def test_of_equal_weights_the_middle_is_taken_and_of_two_the_one_nearer_to_the_text():
    own = torch.arange(4).repeat(5)
    always = F.one_hot(own, 4).double()
    fusion = choose_fusion(lambda rows: always[rows], lambda rows: always[rows], own)
    assert fusion.agreement == (1.0,) * len(WEIGHTS)
    assert fusion.weight == WEIGHTS[len(WEIGHTS) // 2]


def test_the_weight_is_one_of_those_within_the_noise():
    """Agreement 0.5 at both ends and less between, where the two sides are wrong together."""
    own = torch.zeros(100, dtype=torch.int64)
    half = torch.arange(100) < 50
    # right photos win alone, right texts win alone, and class 1 wins where they meet
    visual = torch.where(half[:, None], torch.tensor([3.0, 2.0, -5.0]), torch.tensor([-5.0, 2.0, 3.0])).double()
    text = torch.where(half[:, None], torch.tensor([-5.0, 2.0, 3.0]), torch.tensor([3.0, 2.0, -5.0])).double()
    fusion = choose_fusion(lambda rows: visual[rows], lambda rows: text[rows], own)
    assert fusion.agreement[WEIGHTS.index(1)] == 0
    assert fusion.agreement[WEIGHTS.index(fusion.weight)] == max(fusion.agreement) == 0.5


def test_folds_of_nothing_say_nothing():
    x, _, _ = world()
    assert Folds(lambda soft: ClassMeans(x, soft), x, [], 6)(torch.arange(3)).isinf().all()


def test_where_no_two_photos_share_a_name_both_sides_count_alike():
    x, _, _ = world()
    own = torch.arange(len(x))
    text = torch.randn(len(x), len(x), generator=torch.Generator().manual_seed(3)).double()
    fusion = choose_fusion(ClassMeans(x, named(own, len(x))).leave_one_out, lambda rows: text[rows], own)
    assert fusion.weight == 1
    assert fusion.agreement[0] == 0


def test_one_class_and_no_named_photo():
    x, _, own = world()
    one = torch.zeros_like(own)
    fusion = choose_fusion(
        ClassMeans(x, named(one, 1)).leave_one_out, lambda rows: torch.ones(len(rows), 1).double(), one
    )
    assert fusion.agreement == (1.0,) * len(WEIGHTS)
    assert math.isfinite(fusion.scale)
    nobody = torch.full_like(own, -1)
    fusion = choose_fusion(lambda rows: x[rows], lambda rows: x[rows], nobody)
    assert fusion.images == 0
    assert fusion.weight == 1


def test_another_kind_must_be_better_beyond_the_noise_and_have_enough_photos():
    first = torch.arange(200) % 2 == 0
    slightly = first.clone()
    slightly[1] = True
    much = torch.arange(200) % 4 != 1
    assert choose_form({"class_means": first, "ridge": slightly}) == "class_means"
    assert choose_form({"class_means": first, "ridge": much, "gaussian": slightly}) == "ridge"
    assert may_choose_form(torch.arange(20).repeat(4))
    assert not may_choose_form(torch.arange(20).repeat(3))
    assert not may_choose_form(torch.full((9,), -1))


def test_the_fused_classifier_is_what_was_chosen():
    x, centres, own = world(images_a_class=8, noise=1.5, wrong=0.2)
    means = ClassMeans(x, named(own, 6))
    text = CosineClassifier(centres.float(), scale=20.0)
    joint = x.float()
    fusion = choose_fusion(means.leave_one_out, lambda rows: text(ImageFeatures(joint[rows])).double(), own)
    fused = FusedClassifier(
        means.classifier(torch.zeros(12), 1.0, "visual"),
        text,
        fusion.weight,
        fusion.visual_deviation,
        fusion.text_deviation,
        fusion.scale,
    )
    logits = fused(ImageFeatures(joint, x.float()))
    visual, said = means.scores(x) / fusion.visual_deviation, text(ImageFeatures(joint)) / fusion.text_deviation
    expected = fusion.scale * (visual + fusion.weight * said)
    torch.testing.assert_close(logits.double(), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("weight", [0.0, 0.5, float("inf")])
def test_a_class_without_photos_is_left_to_the_text(weight):
    visual = CentredClassifier(
        torch.zeros(2), torch.eye(2).repeat(2, 1)[:3], missing=torch.tensor([False, False, True])
    )
    text = CosineClassifier(F.normalize(torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.7, 0.7]]), dim=1), scale=1.0)
    fused = FusedClassifier(visual, text, weight)
    features = ImageFeatures(torch.tensor([[0.6, 0.8]]), torch.tensor([[1.0, 0.0]]))
    logits = fused(features)[0]
    said = text(features)[0]
    if weight == 0:
        assert logits[2] == -torch.inf
    elif math.isinf(weight):
        torch.testing.assert_close(logits, said)
    else:
        # the mean of what is said of the others, 1 and 0
        torch.testing.assert_close(logits, torch.tensor([1.0, 0.0, 0.5]) + weight * said)


def test_the_scale_fits_how_often_scores_are_right():
    generator = torch.Generator().manual_seed(4)
    logits = torch.randn(4000, 5, generator=generator).double()
    own = (logits * 4).softmax(1).multinomial(1, generator=generator).squeeze(1)
    assert fit_scale(lambda rows: logits[rows], own) == pytest.approx(4, rel=0.3)
    wrong = torch.rand(4000, generator=generator) < 0.4
    own[wrong] = torch.randint(5, (int(wrong.sum()),), generator=generator)
    assert fit_scale(lambda rows: logits[rows], own) == pytest.approx(4, rel=0.5)
