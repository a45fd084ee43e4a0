import math

import pytest
import torch
from tiny_run import COLOURS
from tower_run import labelled_birds, trainer

from fgvr.heads.linear import LinearHead
from fgvr.losses.crdpll import CrdpllLoss
from fgvr.losses.near import NearLoss
from fgvr.methods.coop import CoOpMethod
from fgvr.methods.linear import LinearMethod
from fgvr.registry import LOSSES
from fgvr.testing.tiny import TinyBackbone

pytestmark = pytest.mark.filterwarnings("ignore:.*LeafSpec", "ignore:Found .* eval mode", "ignore:.*many workers")


def run_of(method, epochs=4, **options):
    data = labelled_birds(**options)
    run = trainer("mine", max_epochs=epochs)
    run.fit(method, datamodule=data)
    run.test(method, datamodule=data, verbose=False)
    return method, data


def right(method, row):
    return sum(p.names[row] == p.true_name for p in method.predictions)


def test_rows_candidates_and_what_is_learned(tiny_run):
    method, data = run_of(LinearMethod(TinyBackbone()))
    assert list(method.predictions[0].names) == ["zero_shot", "linear", "linear_fused"]
    assert method.row == "linear_fused"
    strategy = data.strategy(method)
    assert (type(strategy).__name__, strategy.weights, strategy.space) == ("KnnCandidates", "similarity", "visual")
    assert right(method, "linear") == len(method.predictions)
    assert not torch.allclose(method.head.weight, method.head.start_weight)


def test_without_a_step_it_is_the_class_means_of_the_candidate_sets(tiny_run):
    method, data = run_of(LinearMethod(TinyBackbone(), lr=1e-12, warmup_epochs=0, fuse=False))
    assert list(method.predictions[0].names) == ["zero_shot", "linear"]
    images = torch.from_numpy(data.support_features("visual"))
    torch.testing.assert_close(method.head.centre, images.mean(0))
    torch.testing.assert_close(method.head.class_features(), method.head.start_weight)


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_every_partial_label_loss_trains_it(tiny_run, name):
    loss = LOSSES.load(name)()
    method, _ = run_of(LinearMethod(TinyBackbone(), loss=loss, fuse=False), epochs=2)
    assert method.head.weight.isfinite().all()


def test_a_loss_that_looks_at_views_sees_those_of_the_visual_space(tiny_run):
    method, _ = run_of(LinearMethod(TinyBackbone(), loss=CrdpllLoss(), fuse=False), augment=True, views=3)
    assert method.head.weight.isfinite().all()


def test_a_loss_that_looks_at_features_sees_those_of_the_visual_space(tiny_run):
    method, _ = run_of(LinearMethod(TinyBackbone(), loss=NearLoss(), fuse=False), epochs=2)
    assert method.loss.step.epochs == 2


def test_it_starts_from_texts_in_the_joint_space(tiny_run):
    method, _ = run_of(
        LinearMethod(TinyBackbone(), LinearHead(start="text", space="joint"), fuse=False, lr=1e-12, warmup_epochs=0)
    )
    assert method.head.weight.shape == (len(COLOURS), 16)
    assert right(method, "linear") == right(method, "zero_shot")


def test_learned_prompts_are_fused_with_class_means(tiny_run):
    method, data = run_of(CoOpMethod(TinyBackbone(), lr=0.1, fuse=True))
    assert list(method.predictions[0].names) == ["zero_shot", "coop", "coop_fused"]
    assert right(method, "coop_fused") >= right(method, "zero_shot")
    # class means of the labeler's own names, whatever the candidate sets are
    own = data.own_classes()
    images = torch.from_numpy(data.support_features("visual"))
    inside = torch.nn.functional.normalize(images - images.mean(0), dim=1)
    mean = torch.nn.functional.normalize(inside[own == 0].sum(0), dim=0)
    torch.testing.assert_close(method.visual.weight[0], mean, atol=1e-5, rtol=0)
    joint = torch.from_numpy(data.support_features("joint"))
    logits = method.head(joint)
    centred = logits - logits.mean(1, keepdim=True)
    assert float(method.fused.text_deviation) == pytest.approx(centred.square().mean().sqrt().item(), rel=1e-4)


def test_prompts_are_learned_alike_with_and_without_the_fused_row(tiny_run):
    alone, _ = run_of(CoOpMethod(TinyBackbone(), lr=0.1))
    fused, _ = run_of(CoOpMethod(TinyBackbone(), lr=0.1, fuse=True))
    assert torch.equal(alone.head.context, fused.head.context)
    assert [p.names["coop"] for p in alone.predictions] == [p.names["coop"] for p in fused.predictions]


@pytest.mark.parametrize("make", [lambda: LinearMethod(TinyBackbone()), lambda: CoOpMethod(TinyBackbone(), fuse=True)])
def test_a_checkpoint_has_what_the_fused_row_needs(tiny_run, make):
    method, data = run_of(make())
    other = make()
    other.trainer = method.trainer
    other.backbone.load()
    other.build(method.vocabulary, None)
    other.load_state_dict(method.state_dict())
    features = method.features(next(iter(data.test_dataloader())))
    logits = {row: classifier(features) for row, classifier in method.as_classifiers().items()}
    assert math.isfinite(float(logits[method.row].max()))
    for row, classifier in other.as_classifiers().items():
        torch.testing.assert_close(classifier(features), logits[row])
