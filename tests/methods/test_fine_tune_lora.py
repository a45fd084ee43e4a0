"""Methods that train towers, with low-rank adapters in the place of the weights."""

import logging
from pathlib import Path

import pytest
import torch
from lightning.pytorch import Callback
from lightning.pytorch.plugins.environments import LightningEnvironment
from tiny_clips import tiny_clip, write_weights
from tower_run import QUIET, birds, trainer

import fgvr
from fgvr.backbones.lora import LoraOptions
from fgvr.descriptions.texts import DescriptionTexts
from fgvr.errors import FgvrError
from fgvr.methods.flyp import FlypMethod
from fgvr.methods.latteclip import LatteClipMethod
from fgvr.records import Description, Vocabulary

pytestmark = QUIET

NAMES = ("House Finch", "Blue Jay", "Monk Parakeet", "Atlantic Canary")
PIXELS = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
LORA = {"rank": 2, "lr": 0.05}


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    write_weights(folder, "vit")
    return folder


def made(clips, kind=FlypMethod, lora=None, **options):
    return kind(tiny_clip(clips), lora=LoraOptions(**{**LORA, **(lora or {})}), warmup_steps=0, **options)


def built(method):
    torch.manual_seed(0)
    method.build(Vocabulary(NAMES), None)
    method.vocabulary = Vocabulary(NAMES)
    return method


@torch.no_grad()
def features(method):
    return torch.cat([method.backbone.encode_image(PIXELS), method.backbone.encode_text(NAMES)])


def test_before_training_the_method_is_that_without_adapters(clips):
    plain = built(LatteClipMethod(tiny_clip(clips)))
    method = built(made(clips, LatteClipMethod))
    assert torch.equal(features(method), features(plain))
    assert torch.equal(method.head.class_features(), plain.head.class_features())


def test_adapters_and_the_scale_are_trained_and_nothing_else(clips, tiny_run):
    method = made(clips)
    before = {name: weight.clone() for name, weight in method.backbone.state_dict().items()}
    trainer("mine").fit(method, datamodule=birds())
    trained = {name for name, weight in method.named_parameters() if weight.requires_grad}
    assert trained == {"log_scale", *(f"backbone.{name}" for name in method.adapters.names)}
    after = {name.replace("base_layer.", ""): weight for name, weight in method.backbone.state_dict().items()}
    assert all(torch.equal(after[name], weight) for name, weight in before.items())
    assert all(weight.grad is None or weight.requires_grad for weight in method.parameters())
    weights = dict(method.backbone.named_parameters())
    assert all(weights[name].abs().max() > 0 for name in method.adapters.names if "lora_B" in name)


def test_adapters_learn_at_their_own_rate_which_is_said(clips, tiny_run, caplog):
    caplog.set_level(logging.INFO)
    method, run = made(clips, lr=1e-7, weight_decay=0.3), trainer("mine", max_epochs=1)
    run.fit(method, datamodule=birds())
    (optimizer,) = run.optimizers
    scale, adapters = optimizer.param_groups
    assert [group["initial_lr"] for group in (scale, adapters)] == [1e-7, 0.05]
    assert [group["weight_decay"] for group in (scale, adapters)] == [0.0, 0.3]
    assert scale["params"] == [method.log_scale]
    assert len(adapters["params"]) == len(method.adapters.names)
    assert "The adapters learn at a rate of 0.05 (model.lora.lr), and not at model.lr" in caplog.text


def test_a_rate_that_is_too_low_for_so_few_steps_is_said_with_one_that_is_not(clips, tiny_run, caplog):
    for rate, warned in ((2e-4, True), (0.01, False)):
        caplog.clear()
        trainer("mine").fit(made(clips, lora={"lr": rate}), datamodule=birds())
        assert ("model.lora.lr is 0.0002 and there are 9 training steps" in caplog.text) == warned
        assert ("come no further than about 0.0009. Raise it, to 0.02 for instance" in caplog.text) == warned


def test_a_checkpoint_holds_adapters_alone_and_names_photos_like_the_run(clips, tiny_run):
    method, run = made(clips), trainer("mine")
    run.fit(method, datamodule=birds())
    run.save_checkpoint("mine.ckpt")
    kept = set(torch.load("mine.ckpt", weights_only=True)["state_dict"])
    assert kept == {"log_scale", *(f"backbone.{name}" for name in method.adapters.names)}
    assert Path("mine.ckpt").stat().st_size < 300_000, "the towers have 6.7 MB, two thirds of it token embeddings"
    run.test(method, datamodule=birds(), verbose=False)
    later = made(clips)
    trainer("later").test(later, datamodule=birds(), ckpt_path="mine.ckpt", weights_only=True, verbose=False)
    assert [p.names for p in later.predictions] == [p.names for p in method.predictions]
    assert [p.scores for p in later.predictions] == [p.scores for p in method.predictions]


def test_evaluation_has_merged_weights_and_training_goes_on_with_unmerged_ones(clips, tiny_run):
    seen = []

    class Watching(FlypMethod):
        def begin_evaluation(self):
            layer = self.backbone.clip.visual.transformer.resblocks[0].attn
            seen.append((layer.merged, features(self)))
            super().begin_evaluation()

    method, run = made(clips, Watching), trainer("mine")
    run.fit(method, datamodule=birds())
    before = {name: weight.clone() for name, weight in method.state_dict().items()}
    expected = features(method)
    run.test(method, datamodule=birds(), verbose=False)
    run.predict(method, datamodule=birds(), return_predictions=False)
    assert [merged for merged, _ in seen] == [True, True]
    for _, found in seen:
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
    assert torch.equal(features(method), expected)
    assert all(torch.equal(weight, before[name]) for name, weight in method.state_dict().items())


def test_wise_ft_takes_a_share_of_the_updates(clips, tiny_run):
    found = []

    class Watching(FlypMethod):
        def begin_evaluation(self):
            found.append(features(self))
            super().begin_evaluation()

    method, run = made(clips, Watching, wise_ft=0.3), trainer("mine")
    run.fit(method, datamodule=birds())
    run.test(method, datamodule=birds(), verbose=False)
    method.adapters.merge(0.3)
    torch.testing.assert_close(found[-1], features(method))
    method.adapters.merge(1.0)
    assert (found[-1] - features(method)).abs().max() > 1e-3, "the test shows nothing"


@pytest.mark.parametrize("tower", ["image", "text"])
def test_one_tower_alone(clips, tower):
    method = built(made(clips, train_image_tower=tower == "image", train_text_tower=tower == "text"))
    assert {"image" if ".visual." in name else "text" for name in method.adapters.names} == {tower}


def test_a_convolutional_image_tower_is_refused_and_its_text_tower_is_not(tmp_path):
    backbone = tiny_clip(tmp_path, "resnet")
    with pytest.raises(FgvrError, match="image tower of open_clip has no layer that takes adapters"):
        built(FlypMethod(backbone, lora=LoraOptions()))
    built(FlypMethod(backbone, lora=LoraOptions(), train_image_tower=False))


def test_a_checkpoint_of_another_rank_or_without_adapters_is_refused(clips, tiny_run):
    method, run = made(clips), trainer("mine", max_epochs=1)
    run.fit(method, datamodule=birds())
    run.save_checkpoint("mine.ckpt")
    for other, problem in (
        (made(clips, lora={"rank": 3}), "lora_A.default.weight of shape .*another backbone, space, head or rank"),
        (FlypMethod(tiny_clip(clips)), r"missing backbone\.clip.*left over backbone\.clip.*lora"),
    ):
        with pytest.raises(FgvrError, match=problem):
            trainer("later").test(other, datamodule=birds(), ckpt_path="mine.ckpt", weights_only=True, verbose=False)


def test_adapters_of_another_image_tower_are_warned_of(clips, tmp_path, tiny_run, caplog):
    method, run = made(clips), trainer("mine", max_epochs=1)
    run.fit(method, datamodule=birds())
    run.save_checkpoint("mine.ckpt")
    for weights, warned in ((clips / "vit.pt", False), (tmp_path / "vit.pt", True)):
        if warned:
            state = torch.load(clips / "vit.pt", weights_only=True)
            state["visual.conv1.weight"] += 1
            torch.save(state, weights)
        caplog.clear()
        other = made(weights.parent)
        trainer("later").test(other, datamodule=birds(), ckpt_path="mine.ckpt", weights_only=True, verbose=False)
        assert ("was learned from features of another image tower" in caplog.text) == warned


def test_without_peft_the_command_that_installs_it_is_said(clips, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(FgvrError, match=r"model\.lora needs the package peft: pip install 'fgvr\[lora\]'"):
        made(clips)


@pytest.mark.parametrize("chunk_size", [None, 2])
def test_bfloat16_trains_adapters_in_float32(clips, tiny_run, chunk_size):
    method, run = made(clips, chunk_size=chunk_size), trainer("mine", precision="bf16-mixed")
    run.fit(method, datamodule=birds())
    assert {weight.dtype for weight in method.parameters()} == {torch.float32}
    assert run.callback_metrics["train/loss"].isfinite()
    run.test(method, datamodule=birds(), verbose=False)
    assert len(method.predictions) == 12


class StopAfter(Callback):
    def __init__(self, epochs):
        self.epochs = epochs

    def on_train_epoch_end(self, trainer, method):
        trainer.should_stop = trainer.current_epoch + 1 == self.epochs


def latteclip(clips, **options):
    method = made(clips, LatteClipMethod, texts=["class", "group"], **options)
    method.descriptions = DescriptionTexts(
        [Description("group", f"a bird of the kind {name}", class_name=name) for name in NAMES]
    )
    return method


@pytest.mark.parametrize("make", [made, latteclip])
def test_a_resumed_run_equals_an_unbroken_one(clips, tiny_run, make):
    def fit(run, checkpoint=None):
        method = make(clips)
        run.fit(method, datamodule=birds(), ckpt_path=checkpoint)
        return method.state_dict()

    whole = fit(trainer("mine", max_epochs=4))
    first = trainer("mine", max_epochs=4, callbacks=[StopAfter(2)])
    fit(first)
    first.save_checkpoint("half.ckpt")
    second = fit(trainer("mine", max_epochs=4), "half.ckpt")
    assert set(second) == set(whole)
    for name, weight in whole.items():
        torch.testing.assert_close(second[name], weight, rtol=0, atol=0)


class Pool(LightningEnvironment):
    """The processes of ``ddp_pool``."""

    creates_processes_externally = True


def trained_on(rank, world_size, folder, clips, chunk_size):
    """Weights after three epochs, losses of the steps, and predictions."""
    environment = Pool()
    environment.set_global_rank(rank)
    environment.set_world_size(world_size)
    environment.local_rank = lambda: rank
    several = {"strategy": "ddp", "devices": world_size, "plugins": [environment]} if world_size > 1 else {}
    # five times the default; at 0.01, Adam makes 4e-5 of the rounding of one small gradient
    method = made(clips, chunk_size=chunk_size, lora={"lr": 0.001})
    data = birds(folder / "birds", cache_dir=folder / "cache", augment=True)
    run = trainer(folder / "mine", **several)
    run.fit(method, datamodule=data)
    loss = run.callback_metrics["train/loss"].item()
    run.test(method, datamodule=data, verbose=False)
    return method.state_dict(), loss, method.predictions


@pytest.mark.parametrize("chunk_size", [None, 2])
def test_two_processes_do_what_one_does(clips, tiny_run, ddp_pool, chunk_size):
    expected, loss, predictions = trained_on(0, 1, tiny_run, clips, chunk_size)
    for state, its_loss, its_predictions in ddp_pool.run(trained_on, tiny_run, clips, chunk_size):
        assert its_loss == pytest.approx(loss, rel=1e-5)
        assert set(state) == set(expected)
        for name, weight in expected.items():
            torch.testing.assert_close(state[name], weight, rtol=0, atol=1e-5)
        assert [p.names for p in its_predictions] == [p.names for p in predictions]


def test_a_run_leaves_its_adapter_and_its_model_names_photos_like_it(clips, tiny_run):
    from peft import PeftModel

    backbone = {"model": "fgvr-lora-vit", "pretrained": str(clips / "vit.pt"), "config_dir": str(clips)}
    run = fgvr.fit(
        data={"dataset": {"class_path": "manifest", "init_args": {"root": "birds"}}, "class_names": "dataset"},
        model={
            "class_path": "flyp",
            "init_args": {"backbone": {"class_path": "open_clip", "init_args": backbone}, "lora": LORA, "wise_ft": 0.5},
        },
        trainer={"accelerator": "cpu", "max_epochs": 2},
    )
    files = {path.name for path in run.folder.adapter.iterdir()}
    assert files == {"adapter_config.json", "adapter_model.safetensors"}
    fresh = tiny_clip(clips)
    PeftModel.from_pretrained(fresh.clip, run.folder.adapter)
    torch.testing.assert_close(fresh.encode_image(PIXELS), run.method.backbone.encode_image(PIXELS), rtol=0, atol=1e-5)

    table = run.predictions.to_pylist()
    named = fgvr.load(run.folder).predict([f"birds/photos/{row['sample_id'].split('/')[-1]}" for row in table])
    run.method.take_evaluated_weights()
    before = run.method.backbone.encode_image(PIXELS)
    run.method.take_evaluated_weights()
    assert torch.equal(run.method.backbone.encode_image(PIXELS), before), "twice is once"
    assert [each.name for each in named] == [row["flyp_name"] for row in table]
    assert [each.scores[0] for each in named] == pytest.approx([row["flyp_score"] for row in table], abs=1e-5)
