import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from tower_run import QUIET, birds, trainer

from fgvr.backbones.base import Backbone
from fgvr.data.batches import Batch
from fgvr.errors import FgvrError
from fgvr.methods.contrastive import contrastive_loss, gather_rows
from fgvr.methods.fine_tune import FineTuneMethod
from fgvr.methods.zero_shot import template_features
from fgvr.records import Vocabulary
from fgvr.testing.tiny import TinyBackbone

pytestmark = QUIET

NAMES = ("House Finch", "Blue Jay", "Monk Parakeet", "Atlantic Canary")


class AlternatingMethod(FineTuneMethod):
    """Pairs photo i with the i-th class name, in turn."""

    row = "alternating"

    def build(self, vocabulary, candidates):
        super().build(vocabulary, candidates)
        self.names = vocabulary.names

    def texts_of(self, batch, image_features):
        assert not image_features.requires_grad
        return [self.names[i % len(self.names)] for i in batch.rows.tolist()]

    def loss(self, batch, image_features, text_features):
        assert not torch.is_autocast_enabled("cpu")
        return contrastive_loss(gather_rows(image_features), gather_rows(text_features), self.scale)

    def classifiers(self):
        return {self.row: template_features(self.backbone, self.names, self.templates)}


class SmallTowers(TinyBackbone):
    """With a transformer block, batch norm and dropout in the image tower, and a part that no feature needs."""

    def load(self):
        if not self._loaded:
            super().load()
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(3)
                self.block = nn.Sequential(
                    *(nn.Linear(16, 32), nn.BatchNorm1d(32), nn.GELU(), nn.Dropout(0.5), nn.Linear(32, 16))
                )
                self.block[1].running_mean.normal_()
                self.unused = nn.Linear(16, 16)
            self.eval().requires_grad_(False)

    def encode_image(self, pixels):
        features = super().encode_image(pixels)
        return F.normalize(features + self.block(features).float(), dim=-1)


def built(backbone=None, **options):
    method = AlternatingMethod(backbone or TinyBackbone(), **options)
    method.backbone.load()
    method.build(Vocabulary(NAMES), None)
    method.vocabulary = Vocabulary(NAMES)
    method.log = lambda *args, **kwargs: None
    return method


def a_batch(count=10):
    return Batch(torch.rand(count, 3, 32, 32, generator=torch.Generator().manual_seed(0)), torch.arange(count))


def gradients(method, batch=None):
    method.zero_grad()
    method.training_step(batch or a_batch(), 0).backward()
    return {name: parameter.grad for name, parameter in method.named_parameters() if parameter.grad is not None}


def test_a_step_is_the_loss_of_the_plain_encoders():
    method, batch = built(), a_batch()
    loss = method.training_step(batch, 0)
    texts = method.backbone.encode_text([NAMES[i % 4] for i in range(10)])
    expected = contrastive_loss(method.backbone.encode_image(batch.images), texts, torch.tensor(20.0))
    torch.testing.assert_close(loss, expected)


def test_equal_texts_are_encoded_once():
    method, calls = built(), []
    embed = method.backbone.embed_text
    method.backbone.embed_text = lambda texts: (calls.append(list(texts)), embed(texts))[1]
    texts = ["jay", "finch", "jay", "jay", "gull"]
    features = method.encode_texts(texts)
    assert calls == [["jay", "finch", "gull"]]
    torch.testing.assert_close(features.detach(), method.backbone.encode_text(texts))


@pytest.mark.parametrize("chunk_size", [1, 3, 10, 64])
def test_chunks_have_the_gradients_of_the_whole_batch(chunk_size):
    whole, chunked = (gradients(built(SmallTowers(), chunk_size=size)) for size in (None, chunk_size))
    assert set(chunked) == set(whole)
    for name, gradient in whole.items():
        torch.testing.assert_close(chunked[name], gradient, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("chunk_size", [1, 3, 64])
def test_chunks_are_as_near_to_float32_as_the_whole_batch_under_autocast(chunk_size):
    batch, exact = a_batch(48), gradients(built(SmallTowers()), a_batch(48))
    errors = []
    for size in (None, chunk_size):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            method = built(SmallTowers(), chunk_size=size)
            loss = method.training_step(batch, 0)
        loss.backward()
        mixed = {name: parameter.grad for name, parameter in method.named_parameters() if parameter.grad is not None}
        assert set(mixed) == set(exact)
        assert {gradient.dtype for gradient in mixed.values()} == {torch.float32}
        errors.append({name: (mixed[name] - gradient).norm() / gradient.norm() for name, gradient in exact.items()})
    for name, error in errors[1].items():
        assert error < 1.3 * errors[0][name] + 2**-9, name  # half a unit in the last place of bfloat16


@pytest.mark.parametrize("chunk_size", [None, 3])
def test_features_without_gradients_in_a_step_take_none_away_under_autocast(chunk_size):
    method, batch = built(SmallTowers(), chunk_size=chunk_size), a_batch()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        with torch.no_grad():
            method.backbone.encode_image(batch.images)  # leaves copies of the weights in the cache of autocast
        method.training_step(batch, 0).backward()
    assert all(parameter.grad is not None for parameter in method.backbone.block.parameters())


def test_chunks_keep_the_activations_of_one_chunk_only():
    kept, pixels = {}, a_batch(40).images
    for size in (None, 2):
        method, counts = built(SmallTowers(), chunk_size=size), []

        def pack(tensor, counts=counts):
            if tensor.untyped_storage().data_ptr() != pixels.untyped_storage().data_ptr():
                counts.append(tensor.numel())
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            method.encode_images(pixels)
        kept[size] = sum(counts)
    assert kept[2] < kept[None] / 10


def test_what_no_feature_depends_on_stays_frozen():
    method = built(SmallTowers())
    frozen = {name for name, parameter in method.named_parameters() if not parameter.requires_grad}
    assert frozen == {"backbone.unused.weight", "backbone.unused.bias", "backbone.image_tower.visual"}
    reached = set(gradients(method))
    assert reached == {name for name, parameter in method.named_parameters() if parameter.requires_grad}


def test_towers_are_in_evaluation_mode_and_deterministic():
    method = built(SmallTowers()).train()
    assert method.training
    assert not any(module.training for module in method.backbone.modules())
    statistics = method.backbone.block[1].running_mean.clone()
    losses = {method.training_step(a_batch(), 0).item() for _ in range(3)}
    assert len(losses) == 1
    assert torch.equal(method.backbone.block[1].running_mean, statistics)


@pytest.mark.parametrize(
    ("options", "trained"),
    [
        ({"train_image_tower": False}, {"log_scale", "text"}),
        ({"train_text_tower": False}, {"log_scale", "image"}),
        ({"train_logit_scale": False}, {"image", "text"}),
    ],
)
def test_what_is_not_trained_gets_no_gradient(options, trained):
    reached = gradients(built(chunk_size=4, **options))
    towers = {"log_scale" if name == "log_scale" else "image" if "image_tower" in name else "text" for name in reached}
    assert towers == trained


class NoEmbedText(TinyBackbone):
    def encode_text(self, texts, truncate=False):
        return super().embed_text(texts)

    def embed_text(self, texts):
        return Backbone.embed_text(self, texts)


def test_a_tower_without_gradients_is_refused():
    with pytest.raises(FgvrError, match=r"text tower of NoEmbedText cannot be trained: it has no embed_text"):
        built(NoEmbedText())
    built(NoEmbedText(), train_text_tower=False)


class NoGradients(TinyBackbone):
    def encode_image(self, pixels):
        return super().encode_image(pixels).detach()


def test_an_image_tower_without_gradients_is_refused():
    with pytest.raises(FgvrError, match=r"image tower of NoGradients .* Set model.train_image_tower to false"):
        built(NoGradients())


@pytest.mark.parametrize(
    "options",
    [
        *({"lr": 0.0}, {"warmup_steps": -1}, {"chunk_size": 0}, {"wise_ft": 0.0}, {"wise_ft": 1.5}),
        {"train_image_tower": False, "train_text_tower": False},
    ],
)
def test_options_that_make_no_sense(options):
    with pytest.raises(FgvrError, match=rf"model\.{next(iter(options))} "):
        AlternatingMethod(TinyBackbone(), **options)


def test_constructor_is_pure():
    assert not list(AlternatingMethod(TinyBackbone()).parameters())


@pytest.mark.parametrize(("factor", "scale"), [(20.0, 20.0), (100.00001, 100.0), (0.2, 1.0)])
def test_scale_is_the_backbones_within_1_and_100(factor, scale):
    method = built(TinyBackbone(logit_scale=factor))
    assert method.scale.item() == pytest.approx(scale, rel=1e-6)


def test_a_scale_that_left_its_range_is_taken_back_and_can_return():
    method = built(SmallTowers())
    for value, limit in ((5.0, 100.0), (-1.0, 1.0)):
        method.log_scale.data.fill_(value)
        assert method.scale.item() == pytest.approx(limit, rel=1e-6)
        assert gradients(method)["log_scale"] != 0
        assert method.log_scale.exp().item() == pytest.approx(limit, rel=1e-6)


class Steps:
    """A trainer of which no more is known."""

    def __init__(self, steps, accumulated=1):
        self.estimated_stepping_batches = steps
        self.accumulate_grad_batches = accumulated


def scheduled(steps, accumulated=1, **options):
    method, run = built(**options), Steps(steps, accumulated)
    method.trainer = run
    return method, method.configure_optimizers()


def test_weights_of_two_dimensions_decay():
    method, configured = scheduled(5, backbone=SmallTowers(), weight_decay=0.3, betas=(0.8, 0.9), eps=1e-5)
    groups = configured["optimizer"].param_groups
    names = {id(parameter): name.removeprefix("backbone.") for name, parameter in method.named_parameters()}
    decayed, plain = ({names[id(parameter)] for parameter in group["params"]} for group in groups)
    assert decayed == {
        *("image_tower.weight", "token_embedding.weight", "positions", "text_projection"),
        *("block.0.weight", "block.4.weight"),
    }
    assert plain == {
        *("image_tower.bias", "log_scale", "block.0.bias", "block.1.weight", "block.1.bias", "block.4.bias")
    }
    assert [group["weight_decay"] for group in groups] == [0.3, 0.0]
    assert {(group["betas"], group["eps"]) for group in groups} == {((0.8, 0.9), 1e-5)}


@pytest.mark.parametrize("warmup", [0, 3])
def test_rate_rises_linearly_and_falls_as_a_cosine(warmup):
    _, configured = scheduled(10, lr=0.01, warmup_steps=warmup)
    assert configured["lr_scheduler"]["interval"] == "step"
    optimizer, rates = configured["optimizer"], []
    for _ in range(11):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        configured["lr_scheduler"]["scheduler"].step()
    rise = [0.01 * (step + 1) / warmup for step in range(warmup)]
    fall = [0.005 * (1 + math.cos(math.pi * step / (10 - warmup))) for step in range(11 - warmup)]
    assert rates == pytest.approx(rise + fall)
    assert rates[-1] == pytest.approx(0)


def test_without_an_end_there_is_no_schedule():
    with pytest.raises(FgvrError, match=r"needs trainer\.max_epochs or trainer\.max_steps"):
        scheduled(math.inf)


def test_what_makes_a_run_unlike_its_options_is_said(caplog):
    scheduled(10, accumulated=4)
    assert "for one large batch, set data.batch_size to it and model.chunk_size" in caplog.text.replace("For", "for")
    caplog.clear()
    scheduled(10, warmup_steps=10)
    assert "the rate never leaves its warm-up" in caplog.text
    caplog.clear()
    scheduled(9, warmup_steps=2)
    assert "There are 9 training steps" in caplog.text


def test_steps_of_one_photo_are_refused_before_training(tiny_run):
    method = built(SmallTowers())
    with pytest.raises(FgvrError, match=r"data\.batch_size is 1, .* set data\.batch_size to 2 or more"):
        trainer("mine").fit(method, datamodule=birds(batch_size=1))
    trainer("mine").test(method, datamodule=birds(batch_size=1), verbose=False)
    assert len(method.predictions) == 12, "evaluated as ever"


def weights(method):
    return {name: tensor.clone() for name, tensor in method.backbone.state_dict().items()}


class Watching(AlternatingMethod):
    """Keeps the weights that it is evaluated with."""

    def begin_evaluation(self):
        self.evaluated = weights(self)
        super().begin_evaluation()


@pytest.mark.parametrize("share", [1.0, 0.25])
def test_wise_ft_interpolates_for_the_test_alone(tiny_run, share):
    original = SmallTowers()
    original.load()
    before = {name: tensor.clone() for name, tensor in original.state_dict().items()}
    method = Watching(SmallTowers(), lr=0.01, wise_ft=share)
    run = trainer("mine")
    run.fit(method, datamodule=birds())
    with torch.no_grad():
        method.backbone.block[1].running_mean.add_(1)  # statistics that a plugin's tower has moved
    trained = weights(method)
    assert not torch.equal(trained["image_tower.weight"], before["image_tower.weight"])
    for evaluate, quiet in ((run.test, "verbose"), (run.predict, "return_predictions")):
        evaluate(method, datamodule=birds(), **{quiet: False})
        for name, weight in method.evaluated.items():
            if weight.is_floating_point():
                expected = (1 - share) * before[name].double() + share * trained[name].double()
                torch.testing.assert_close(weight.double(), expected, rtol=1e-6, atol=1e-7)
        for name, weight in weights(method).items():
            assert torch.equal(weight, trained[name]), name


def test_validation_has_the_trained_weights(tiny_run):
    method = Watching(SmallTowers(), lr=0.01, wise_ft=0.5)
    run = trainer("mine")
    run.fit(method, datamodule=birds())
    trained = weights(method)
    method.trainer = run
    method.on_validation_epoch_start()
    assert all(torch.equal(method.evaluated[name], weight) for name, weight in trained.items())


def test_the_share_can_be_given_with_a_checkpoint(tiny_run):
    first = Watching(SmallTowers(), lr=0.01)
    run = trainer("mine")
    run.fit(first, datamodule=birds())
    run.save_checkpoint("mine.ckpt")
    trained = weights(first)
    original = SmallTowers()
    original.load()
    later = Watching(SmallTowers(), wise_ft=0.5)
    trainer("later").test(later, datamodule=birds(), ckpt_path="mine.ckpt", weights_only=True, verbose=False)
    for name in ("image_tower.weight", "block.0.weight", "text_projection"):
        expected = (original.state_dict()[name] + trained[name]) / 2
        torch.testing.assert_close(later.evaluated[name], expected)
        assert torch.equal(later.backbone.state_dict()[name], trained[name])


def test_the_checkpoint_has_the_towers(tiny_run):
    method = built()
    assert {"log_scale", "backbone.text_projection", "backbone.image_tower.weight"} <= set(method.state_dict())
