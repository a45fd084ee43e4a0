import logging

import numpy as np
import pytest
import torch
from tower_run import labelled_birds, trainer

from fgvr.backbones.paired import PairedBackbone
from fgvr.data.augmentation import Augmentation
from fgvr.data.batches import BatchKey, FeatureBatches, PixelBatches
from fgvr.data.split_features import TRAINING, SplitFeatures
from fgvr.datasets.folder import FolderDataset
from fgvr.datasets.scan import scan
from fgvr.errors import FgvrError
from fgvr.heads.prompt import PromptHead
from fgvr.images import open_image
from fgvr.losses.crdpll import CrdpllLoss
from fgvr.losses.proden import ProdenLoss
from fgvr.methods.coop import CoOpMethod
from fgvr.testing.tiny import TinyBackbone

CPU = torch.device("cpu")


class Frozen:
    """A method whose image tower stays as it is."""

    trains = True
    needs_pixels = False
    closed_form = False
    looks_at_support = False
    needs_features = True
    spaces = frozenset({"joint"})

    def __init__(self, backbone=None):
        self.backbone = backbone or TinyBackbone()
        self.backbone.load()


class Tuned(Frozen):
    """A method that changes its image tower."""

    needs_pixels = True


@pytest.fixture
def make(tmp_path, draw):
    for name, colour in {"a": "red", "b": "green", "c": "blue"}.items():
        draw(f"photos/{name}.png", colour)
    images = scan(FolderDataset(tmp_path / "photos").records(), tmp_path, progress=False).readable
    groups = {TRAINING: images, "val": images[:1], "test": images[1:]}
    return lambda **options: SplitFeatures(tmp_path / "features", lambda name: groups.get(name, ()), **options)


def test_plain_features_serve_training_and_evaluation(make):
    features, learner = make(), Frozen()
    assert features.trains_on_stored(learner)
    features.prepare([TRAINING, "val", "elsewhere"], learner, CPU)
    assert set(features.seconds) == {"features/training", "features/val"}
    training = features.training_batches([2, 0], learner, 0)
    evaluation = features.evaluation_batches("val", learner)
    assert isinstance(training, FeatureBatches)
    assert (len(training), len(evaluation)) == (2, 1)
    same = training[BatchKey(3, (1,))], evaluation[BatchKey(0, (0,))]
    torch.testing.assert_close(same[0].images, same[1].images, rtol=0, atol=0)
    np.testing.assert_array_equal(features.of(features.images("val"), learner.backbone).to_numpy(), same[1].images)


class Visual(Frozen):
    """A method that reads the visual space, and so gets both."""

    spaces = frozenset({"visual"})


class Means(Visual):
    """A method that learns from the plain features of the support photos alone."""

    closed_form = True
    looks_at_support = True


def test_what_is_learned_without_batches_takes_the_plain_view_alone(make, caplog):
    features, learner = make(augment=True, views=3), Means()
    with caplog.at_level("INFO"):
        features.prepare([TRAINING], learner, CPU)
    assert "3 views" not in caplog.text
    features.plain_batches(TRAINING, [1], learner)
    stepwise = make(augment=True)
    stepwise.prepare([TRAINING], learner, CPU)
    batch = stepwise.plain_batches(TRAINING, [1, 0], learner)[BatchKey(0, (0,))]
    whole = stepwise.of(stepwise.images(TRAINING), learner.backbone, "visual").to_numpy()
    np.testing.assert_array_equal(batch.visual, whole[[1]])


def test_photos_are_not_read_in_each_step_for_two_towers(make):
    paired = PairedBackbone(TinyBackbone(), TinyBackbone(seed=1))
    with pytest.raises(FgvrError, match=r"paired has two image towers.*data\.views to 8"):
        make(augment=True).trains_on_stored(Visual(paired))
    assert make(augment=True, views=2).trains_on_stored(Visual(paired))
    assert not make(augment=True).trains_on_stored(Frozen(paired))
    assert not make(augment=True).trains_on_stored(Means(paired))


def test_both_spaces_are_read_where_they_are_asked_for(make):
    features, learner = make(), Visual()
    features.prepare([TRAINING, "val"], learner, CPU)
    batch = features.training_batches([2, 0], learner, 0)[BatchKey(0, (1, 0))]
    pixels = torch.stack(
        [learner.backbone.transform(open_image(features.images(TRAINING)[row].path)) for row in (0, 2)]
    )
    expected = learner.backbone.encode_spaces(pixels)
    torch.testing.assert_close(batch.images, expected.joint, atol=1e-3, rtol=0)
    torch.testing.assert_close(batch.visual, expected.visual, atol=1e-3, rtol=0)
    assert features.evaluation_batches("val", learner)[BatchKey(0, (0,))].visual.shape == (1, 24)
    assert batch.to(CPU).visual is batch.visual


def test_views_of_both_spaces(make):
    features, learner = make(augment=True, views=3), Visual()
    learner.loss = CrdpllLoss()
    features.prepare([TRAINING], learner, CPU)
    batch = features.training_batches([2, 0], learner, 0)[BatchKey(1, (1,))]
    assert batch.views.shape == (2, 1, 16)
    assert batch.visual_views.shape == (2, 1, 24)


def test_the_visual_space_of_another_tower_is_an_entry_of_its_own(make, tmp_path):
    paired = PairedBackbone(TinyBackbone(), TinyBackbone(seed=1, visual_width=7))
    features, learner = make(), Visual(paired)
    features.prepare([TRAINING], learner, CPU)
    batch = features.training_batches([0], learner, 0)[BatchKey(0, (0,))]
    assert (batch.images.shape, batch.visual.shape) == ((1, 16), (1, 7))
    assert len(list((tmp_path / "features").glob("*/vectors.f16"))) == 2
    alone = Frozen(TinyBackbone(seed=1, visual_width=7))
    expected = features.of(features.images(TRAINING), alone.backbone, "visual").to_numpy()
    np.testing.assert_array_equal(expected[0], batch.visual[0])
    joint_only = make()
    joint_only.prepare([TRAINING], Frozen(paired), CPU)
    assert joint_only.training_batches([0], Frozen(paired), 0)[BatchKey(0, (0,))].visual is None


def test_with_augmentation_alone_photos_are_read_anew(make):
    features, learner = make(augment=True), Frozen()
    assert not features.trains_on_stored(learner)
    features.prepare([TRAINING, "val"], learner, CPU)
    assert set(features.seconds) == {"features/val"}
    assert isinstance(features.training_batches([0], learner, 0), PixelBatches)
    assert isinstance(features.evaluation_batches("val", learner), FeatureBatches)


def test_training_photos_that_are_evaluated_too_are_prepared_in_their_plain_view(make):
    for options in ({"augment": True}, {"augment": True, "views": 2}, {}):
        features, learner = make(**options), Frozen()
        features.prepare([TRAINING], learner, CPU, judges_training=True)
        learner.backbone.encode_image = lambda pixels: pytest.fail("not prepared")
        assert len(features.of_group(TRAINING, learner.backbone, CPU)) == 3
    features = make(augment=True)
    features.prepare([TRAINING], Tuned(), CPU, judges_training=True)
    assert features.seconds == {}, "they are read anew"


def test_stored_views_are_for_training_and_evaluation_stays_plain(make):
    features, learner = make(augment=True, views=2), Frozen()
    features.prepare([TRAINING, "test"], learner, CPU)
    training, evaluation = features.training_batches([1, 2], learner, 0), features.evaluation_batches("test", learner)
    plain = features.of_group(TRAINING, learner.backbone, CPU).to_numpy()
    np.testing.assert_array_equal(evaluation[BatchKey(1, (0, 1))].images, plain[1:])
    draw, image = Augmentation(learner.backbone.transform), features.images(TRAINING)[1]
    for epoch in range(3):
        pixels = draw.view(open_image(image.path), image.digest, epoch % 2)
        expected = learner.backbone.encode_image(pixels[None])
        torch.testing.assert_close(training[BatchKey(epoch, (0,))].images, expected, rtol=0, atol=1e-3)


def test_a_tower_that_changes_has_no_stored_features(make):
    features, learner = make(), Tuned()
    features.prepare([TRAINING, "val"], learner, CPU)
    assert features.seconds == {}
    assert not features.trains_on_stored(learner)
    assert isinstance(features.training_batches([0], learner, 0), PixelBatches)
    assert isinstance(features.evaluation_batches("val", learner), PixelBatches)
    with pytest.raises(FgvrError, match=r"data\.views is 2, but Tuned changes the image tower"):
        make(augment=True, views=2).prepare([TRAINING], learner, CPU)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"views": 2}, r"data\.views is 2.*data\.augment to true"), ({"views": 0, "augment": True}, r"data\.views is 0")],
)
def test_options_that_make_no_sense(make, options, message):
    with pytest.raises(FgvrError, match=message):
        make(**options)


class Watched(CoOpMethod):
    """Keeps the batches of training."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.batches = []

    def training_step(self, batch, batch_idx):
        self.batches.append((self.current_epoch, batch))
        return super().training_step(batch, batch_idx)


@pytest.mark.filterwarnings("ignore:.*LeafSpec", "ignore:Found .* eval mode", "ignore:.*many workers")
@pytest.mark.parametrize("loss", [ProdenLoss, CrdpllLoss])
def test_training_on_stored_views(tiny_run, caplog, loss):
    data = labelled_birds(batch_size=16, augment=True, views=3)
    method = Watched(TinyBackbone(), PromptHead(n_ctx=4), loss=loss(), lr=0.1)
    with caplog.at_level(logging.INFO, "fgvr"):
        trainer(tiny_run / "mine", max_epochs=4).fit(method, datamodule=data)
    assert "Image features of 3 views: 16 photos, 48 pictures to compute, the others are stored" in caplog.messages
    assert (tiny_run / "mine/neighbours.parquet").is_file()
    epochs = [
        (
            batch.images[batch.rows.argsort()],
            None if batch.views is None else batch.views[:, batch.rows.argsort()],
        )
        for _, batch in method.batches
    ]
    assert [epoch for epoch, _ in method.batches] == [0, 1, 2, 3]
    shown = [images for images, _ in epochs]
    torch.testing.assert_close(shown[3], shown[0], rtol=0, atol=0)
    assert not torch.equal(shown[0], shown[1])
    for epoch, (_, views) in enumerate(epochs):
        if loss is ProdenLoss:
            assert views is None, "nobody looks at them"
        else:
            others = torch.stack([shown[(epoch + 1) % 3], shown[(epoch + 2) % 3]])
            torch.testing.assert_close(views, others, rtol=0, atol=0)
