import pytest
import torch
import torch.nn.functional as F

from fgvr.errors import FgvrError
from fgvr.heads.prototype import PrototypeHead
from fgvr.testing.backbones import check_features

NAMES = ["cat", "Great_Pyrenees", "oat milk"]


def drawn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def started(classes=4, **options):
    head = PrototypeHead(**options)
    head.start(F.normalize(drawn(classes, 6), dim=-1), logit_scale=20.0)
    return head


def slow_update(prototypes, classes, features, momentum, normalize):
    """The paper's momentum update, class by class: mean over the batch, then (1 - mu) mean + mu p."""
    moved = [list(prototype) for prototype in prototypes]
    for c, old in enumerate(prototypes):
        mine = [feature for label, feature in zip(classes, features, strict=True) if label == c]
        if mine:
            mean = [sum(column) / len(mine) for column in zip(*mine, strict=True)]
            moved[c] = [(1 - momentum) * m + momentum * o for m, o in zip(mean, old, strict=True)]
            if normalize:
                length = sum(value**2 for value in moved[c]) ** 0.5
                moved[c] = [value / length for value in moved[c]]
    return moved


def test_built_from_the_class_names(backbone):
    head = PrototypeHead()
    head.build(backbone, NAMES)
    with torch.no_grad():
        check_features(head.class_features(), (3, backbone.embed_dim), "class_features")
    assert torch.equal(head.prototypes, backbone.encode_text(["cat", "Great Pyrenees", "oat milk"]))
    images = F.normalize(drawn(5, 16), dim=1)
    logits = backbone.logit_scale * images @ backbone.encode_text(["cat", "Great Pyrenees", "oat milk"]).T
    torch.testing.assert_close(head(images), logits)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(head(images, head.class_features()), logits)


def test_only_prototypes_and_counts_are_state(backbone):
    head = PrototypeHead()
    head.build(backbone, NAMES)
    assert not list(head.parameters())
    assert set(head.state_dict()) == {"prototypes", "counts"}
    head.update(torch.tensor([0, 2]), drawn(2, 16))
    other = PrototypeHead()
    other.build(backbone, NAMES)
    other.load_state_dict(head.state_dict())
    assert torch.equal(other.prototypes, head.prototypes)
    assert other.counts.tolist() == [1, 0, 1]


@pytest.mark.parametrize("momentum", [0.0, 0.9, 0.99])
@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("rows", [1, 20])
def test_update_is_the_papers(momentum, normalize, rows):
    head = started(momentum=momentum, normalize=normalize)
    classes, features = torch.arange(rows) ** 2 % 4, drawn(rows, 6, seed=1)  # classes 0 and 1 only
    expected = head.prototypes.tolist()
    for _ in range(3):
        expected = slow_update(expected, classes.tolist(), features.tolist(), momentum, normalize)
        head.update(classes, features)
    torch.testing.assert_close(head.prototypes, torch.tensor(expected), rtol=0, atol=1e-6)
    assert head.counts.tolist() == [3 * count for count in torch.bincount(classes, minlength=4).tolist()]


def test_classes_without_photos_keep_their_prototypes():
    head = started()
    before = head.prototypes.clone()
    head.update(torch.tensor([2]), drawn(1, 6, seed=1))
    assert torch.equal(head.prototypes[[0, 1, 3]], before[[0, 1, 3]])
    assert not torch.equal(head.prototypes[2], before[2])


def test_the_order_of_photos_makes_no_difference():
    first, second = started(momentum=0.5), started(momentum=0.5)
    classes, features = torch.arange(300) % 3, drawn(300, 6, seed=1)
    order = torch.randperm(300, generator=torch.Generator().manual_seed(2))
    first.update(classes, features)
    second.update(classes[order], features[order])
    assert torch.equal(first.prototypes, second.prototypes)


def test_half_precision_features_and_modules():
    head, other = started(momentum=0.99), started(momentum=0.99)
    kept = head.prototypes
    head.to(torch.bfloat16)
    assert head.prototypes is kept
    assert head.counts.dtype == torch.int64
    classes, features = torch.tensor([0, 1, 1]), drawn(3, 6, seed=1).half()
    head.update(classes, features)
    other.update(classes, features.float())
    assert torch.equal(head.prototypes, other.prototypes)


def test_small_steps_are_not_lost():
    """The paper's step is 1e-4 of the way: momentum of 0.99 on a mix of which 0.99 are the prototype."""
    head = started(classes=2, momentum=0.99)
    p, goal = head.prototypes[0].clone(), F.normalize(drawn(6, seed=5), dim=0)
    for _ in range(1000):
        head.update(torch.tensor([0]), (0.01 * goal + 0.99 * head.prototypes[0]).unsqueeze(0))
    torch.testing.assert_close(head.prototypes[0], goal + (1 - 1e-4) ** 1000 * (p - goal), rtol=0, atol=2e-5)


def test_copies_are_no_views_of_what_they_start_from():
    features = F.normalize(drawn(4, 6), dim=-1)
    head = PrototypeHead(momentum=0.0)
    head.start(features, 20.0)
    head.update(torch.tensor([0]), torch.ones(1, 6))
    assert torch.equal(features, F.normalize(drawn(4, 6), dim=-1))


@pytest.mark.parametrize("momentum", [-0.1, 1.0, float("nan")])
def test_momentum_has_a_range(momentum):
    with pytest.raises(FgvrError, match=r"momentum is .* from 0 to below 1"):
        PrototypeHead(momentum=momentum)


def updated(rank, world_size, dtype):
    head = started(classes=5, momentum=0.9)
    for step, images in enumerate((7, 2, 9, 1)):
        classes, features = torch.arange(images) % 4, drawn(images, 6, seed=step).to(dtype)
        head.update(classes[rank::world_size], features[rank::world_size])
    return head.prototypes, head.counts


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_two_processes_have_the_prototypes_of_one(ddp_pool, dtype):
    prototypes, counts = updated(0, 1, dtype)
    for its_prototypes, its_counts in ddp_pool.run(updated, dtype):
        assert torch.equal(its_prototypes, prototypes)
        assert torch.equal(its_counts, counts)
