import pytest
import torch
import torch.nn.functional as F

from fgvr.classifiers.centred import centred
from fgvr.classifiers.closed_form.soft_names import SoftNames
from fgvr.errors import FgvrError
from fgvr.heads.linear import LinearHead
from fgvr.testing.heads import check_head

CLASSES, IMAGES = 4, 30


def support(dim, seed=0):
    generator = torch.Generator().manual_seed(seed)
    images = F.normalize(torch.randn(IMAGES, dim, generator=generator) + 1, dim=1)
    indices = torch.stack([torch.randperm(CLASSES - 1, generator=generator)[:2] for _ in range(IMAGES)])
    weights = torch.rand(IMAGES, 2, generator=generator).double()
    weights[::5] = 0  # photos without a name
    sums = weights.sum(1, keepdim=True)
    texts = F.normalize(torch.randn(CLASSES, dim, generator=generator), dim=1)
    return images, SoftNames(indices, weights / sums.masked_fill(sums == 0, 1), CLASSES), texts


def built(backbone, **options):
    torch.manual_seed(0)
    head = LinearHead(**options)
    head.build(backbone, [f"class {number}" for number in range(CLASSES)])
    return head


@pytest.mark.parametrize("space", ["visual", "joint"])
def test_contract(backbone, space):
    check_head(LinearHead(space=space, pull=0), backbone)


def test_it_starts_as_the_class_means_of_the_candidate_sets(backbone):
    head = built(backbone)
    images, names, texts = support(24)
    before = head.weight.detach().clone()
    head.start_from(images, names, texts)
    inside = centred(images, images.mean(0))
    for c in range(CLASSES - 1):
        mean = sum(names.dense(slice(None))[i, c] * inside[i].double() for i in range(IMAGES))
        torch.testing.assert_close(head.weight[c].double(), F.normalize(mean, dim=0), atol=1e-5, rtol=0)
    assert torch.equal(head.weight[-1], before[-1]), "a class that no photo has keeps its direction"
    expected = float(head.scale) * inside @ head.class_features().T
    torch.testing.assert_close(head(images), expected, atol=1e-4, rtol=1e-4)


def test_it_starts_as_the_texts_in_the_joint_space(backbone):
    head = built(backbone, start="text", space="joint")
    images, names, texts = support(16)
    head.start_from(images, names, texts)
    torch.testing.assert_close(head.weight.detach(), centred(texts, texts.mean(0)))
    assert float(head.scale) == backbone.logit_scale


def test_a_random_start_stays_and_a_given_scale_counts(backbone):
    head = built(backbone, start="random", scale=5.0)
    before = head.weight.detach().clone()
    head.start_from(*support(24))
    assert torch.equal(head.weight, before)
    assert float(head.scale) == 5.0
    means = built(backbone, scale=5.0)
    means.start_from(*support(24))
    assert float(means.scale) == 5.0


def test_the_penalty_is_claps_with_soft_names(backbone):
    head = built(backbone, pull=2.0)
    images, names, texts = support(24)
    head.start_from(images, names, texts)
    assert head.penalty().item() == pytest.approx(0, abs=1e-10)
    start = head.weight.detach().clone()
    inside, dense = centred(images, images.mean(0)), names.dense(slice(None))
    with torch.no_grad():
        head.weight.add_(torch.randn(head.weight.shape, generator=torch.Generator().manual_seed(5)) * 0.3)
    expected = 0.0
    for c in range(CLASSES):
        sureness = 0.0
        for i in range(IMAGES):
            chances = (float(head.scale) * inside[i] @ start.T).softmax(0)
            sureness += float(dense[i, c] * chances[c])
        sureness /= max(float(dense[:, c].sum()), 1e-9)
        distance = F.normalize(head.weight[c].detach(), dim=0) - start[c]
        expected += sureness * float(distance.square().sum())
    assert head.penalty().item() == pytest.approx(2.0 * expected / CLASSES, rel=1e-4)
    assert built(backbone, pull=0).penalty() is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"start": "mean"}, "head.start is 'mean'"),
        ({"start": "text"}, "head.space joint"),
        ({"pull": -1}, "head.pull is -1"),
        ({"scale": 0}, "head.scale is 0"),
        ({"space": "text"}, "head.space is 'text'"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(FgvrError, match=message):
        LinearHead(**options)
