import json
import math
import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
from coft_run import OPTIONS, PROMPTS, TOWER, Stop, fitted, plain, state_of
from forked_fit import fit_in_two_processes
from lightning.pytorch import Callback
from slow_coft import SCALE, SlowModel, seeds
from tiny_run import COLOURS, write_images
from tower_run import QUIET, birds, labelled_birds, trainer

import fgvr
from fgvr.cli import main
from fgvr.errors import FgvrError
from fgvr.filters.agreement import AgreementFilter
from fgvr.filters.all import AllFilter
from fgvr.images import open_image
from fgvr.methods.coft import CoftMethod
from fgvr.testing.tiny import TinyBackbone

pytestmark = QUIET


def test_losses_and_updates_of_both_phases_equal_a_slow_reference(tiny_run):
    method, data, run, watch = fitted("mine", clean_weight=0.7, k=3)
    names = method.vocabulary.names
    slow = [SlowModel(names, start) for start in watch.start]
    images = torch.from_numpy(data.support_features("joint"))
    first = seeds(images, method.texts, 3)
    assert watch.steps[0]["targets"].tolist() == [first, first], "both models begin with the same seeds"
    assert 0 < sum(label >= 0 for label in first) < 16
    learned = [step for step in watch.steps if step["epoch"] < 2]
    for step in learned:
        total = 0.0
        for model, labels, others, rate in zip(slow, step["targets"], step["others"], step["rates"][:2], strict=True):
            rows = torch.tensor(step["rows"])
            loss = model.prompt_loss(step["pixels"], labels[rows].tolist(), others[rows].tolist(), 0.7)
            total += loss.item()
            model.step(loss, PROMPTS, rate)
        assert step["loss"] == pytest.approx(total, abs=5e-6)

    pixels = plain(data, method.backbone)
    features = [model.prompted(pixels) for model in slow]
    said = [(SCALE * own @ model.texts()[0].T).argmax(1).tolist() for own, model in zip(features, slow, strict=True)]
    kept = [
        [y if slow[1 - m].margin(features[1 - m][i], y) > 0 else -1 for i, y in enumerate(said[m])] for m in range(2)
    ]
    tuning = [step for step in watch.steps if step["epoch"] >= 2]
    assert tuning[0]["targets"].tolist() == kept, "each model has its own labels, of which the other one is sure"
    for model in slow:
        with torch.no_grad():
            model.values["head"].copy_(SCALE * model.texts()[0])
    for step in tuning:
        total, rows = 0.0, torch.tensor(step["rows"])
        for model, labels, rate in zip(slow, step["targets"], step["rates"][2:], strict=True):
            if (labels[rows] >= 0).any():
                loss = model.label_loss(model.tuned(step["pixels"]), labels[rows].tolist())
                total += loss.item()
                model.step(loss, TOWER, rate)
        assert step["loss"] == pytest.approx(total, abs=5e-6)
    for model, expected in zip(method.models, slow, strict=True):
        for name, value in state_of(model).items():
            torch.testing.assert_close(value, expected.values[name].detach(), atol=2e-6, rtol=1e-5, msg=name)

    run.test(method, datamodule=data, verbose=False)
    tested = torch.stack([method.backbone.transform(each) for each in opened(data)])
    with torch.no_grad():
        chances = sum(
            (model.tuned(tested) @ model.values["head"].T + model.values["offset"]).softmax(1) for model in slow
        )
        prompted = sum((SCALE * model.prompted(tested) @ model.texts()[0].T).softmax(1) for model in slow)
    for row, both in (("coft", chances / 2), ("coft_prompts", prompted / 2)):
        assert [p.names[row] for p in method.predictions] == [names[c] for c in both.argmax(1).tolist()]
        scores = [p.scores[row] for p in method.predictions]
        assert scores == pytest.approx(both.max(1).values.tolist(), abs=1e-5)
    assert list(method.predictions[0].names) == ["zero_shot", "coft_prompts", "coft"]


def opened(data):
    return [open_image(record.path) for record in data.records_of("test")]


def test_what_is_assumed_of_phase_2_is_how_it_starts(tiny_run):
    method, _, _, watch = fitted("mine", tower_lr=1e-12, warmup_epochs=0)
    untuned = TinyBackbone(logit_scale=SCALE)
    untuned.load()
    pixels = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    for model, start in zip(method.models, watch.start, strict=True):
        torch.testing.assert_close(model.encode_tuned(pixels), untuned.encode_image(pixels), msg="without the tokens")
        torch.testing.assert_close(model.head.weight, SCALE * model.positive.class_features(), atol=1e-5, rtol=1e-5)
        assert model.head.bias.abs().max() < 1e-9
        assert not torch.equal(start["positive"], model.positive.context), "from the tuned prompts"
    assert not torch.equal(watch.start[0]["positive"], watch.start[1]["positive"]), "two different starts"


def test_seeds_are_at_most_16_and_no_more_than_there_are_photos_a_class(tiny_run):
    method, _, _, watch = fitted("mine", epochs=2)
    images = torch.from_numpy(birds_features(method))
    assert watch.steps[0]["targets"][0].tolist() == seeds(images, method.texts, 16 // 4)


def birds_features(method):
    return method.trainer.datamodule.support_features("joint")


def test_candidate_sets_can_be_the_seed(tiny_run):
    data = labelled_birds(augment="coop", batch_size=6)
    method, data, _, watch = fitted("mine", data, epochs=2, seeds="candidates", k=3)
    sets = data.candidate_sets
    place = {record.sample_id: row for row, record in enumerate(data.support)}
    images = torch.from_numpy(data.support_features("joint"))[[place[sample_id] for sample_id in sets.sample_ids]]
    allowed = [row[row >= 0].tolist() for row in sets.padded()[0]]
    found = watch.steps[0]["targets"][0].tolist()
    assert found == seeds(images, method.texts, 3, allowed)
    assert all(label in some for label, some in zip(found, allowed, strict=True) if label >= 0)


def test_photos_that_are_held_out_are_not_learned_from(tiny_run):
    data = labelled_birds(augment="coop", batch_size=6, holdout=0.3)
    _, data, _, watch = fitted("mine", data, seeds="candidates")
    held_out = set(data.held_out.nonzero()[0].tolist())
    assert held_out
    assert not held_out & {row for step in watch.steps for row in step["rows"]}


def test_photos_that_are_held_out_take_no_seeds_place(tiny_run):
    data = labelled_birds(augment="coop", batch_size=6, holdout=0.5)
    method, data, _, watch = fitted("mine", data, epochs=2, seeds="candidates", k=1)
    place = {record.sample_id: row for row, record in enumerate(data.support)}
    learned = (~data.held_out).nonzero()[0].tolist()
    photos = [place[data.candidate_sets.sample_ids[row]] for row in learned]
    allowed = [row[row >= 0].tolist() for row in data.candidate_sets.padded()[0][learned]]
    expected = seeds(torch.from_numpy(data.support_features("joint"))[photos], method.texts, 1, allowed)
    assert watch.steps[0]["targets"][0][learned].tolist() == expected


def test_each_epoch_passes_the_photos_that_have_a_label_and_steps_are_counted(tiny_run):
    _, _, run, watch = fitted("mine", epochs=6, k=2)
    assert run.global_step == len(watch.steps)
    for epoch in range(6):
        steps = [step for step in watch.steps if step["epoch"] == epoch]
        labelled = (steps[0]["targets"] >= 0).any(0).nonzero().squeeze(1).tolist()
        assert sorted(row for step in steps for row in step["rows"]) == labelled
        assert len(steps) == max(round(len(labelled) / 6), 1)
    assert run.num_training_batches == len([step for step in watch.steps if step["epoch"] == 5])
    rates = [0.01 * 0.5 * (1 + math.cos(math.pi * epoch / 2)) for epoch in range(2)]
    tuned = {step["epoch"]: step["rates"] for step in watch.steps if step["epoch"] >= 3}
    assert [tuned[epoch][2] for epoch in (3, 4, 5)] == pytest.approx([1e-5, *rates])
    assert [tuned[epoch][0] for epoch in (3, 4, 5)] == [0, 0, 0]


def test_parts_of_a_batch_give_the_gradients_of_the_whole(tiny_run):
    whole, parts = (fitted("mine", chunk_size=size)[0] for size in (None, 2))
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(parts.state_dict()[name], value, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("epoch", [1, 2, 3])
def test_a_resumed_run_equals_an_unbroken_one(tiny_run, epoch):
    whole = fitted("whole")[0]
    run = trainer("half", max_epochs=4, callbacks=[Stop(epoch)])
    fitted("half", run=run)
    run.save_checkpoint("half.ckpt")
    resumed, _, again, _ = fitted("second", checkpoint="half.ckpt")
    assert again.current_epoch == 4
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[name], value, rtol=0, atol=0)


@pytest.mark.parametrize("trained", [True, False])
def test_an_object_that_was_used_before_is_not_trained_again(tiny_run, trained):
    data = birds(augment="coop", batch_size=6)
    if trained:
        method = fitted("mine", data)[0]
    else:
        method = CoftMethod(TinyBackbone(logit_scale=SCALE), n_ctx=4, visual_tokens=3)
        trainer("mine").test(method, datamodule=data, verbose=False)
    with pytest.raises(FgvrError, match="This coft was trained, evaluated or loaded before"):
        trainer("again", max_epochs=4).fit(method, datamodule=data)


@pytest.mark.parametrize(
    ("options", "parts"), [({"epochs": 8}, "4 + 4 (8 epochs)"), ({"tuning_share": 0.25}, "3 + 1 (4 epochs)")]
)
def test_parts_of_other_lengths_cannot_be_gone_on_with(tiny_run, options, parts):
    run = trainer("half", max_epochs=4, callbacks=[Stop(1)])
    fitted("half", run=run)
    run.save_checkpoint("half.ckpt")
    message = f"begun with parts of 2 + 2 (4 epochs) and 16 photos to train on; here they are {parts} and 16."
    with pytest.raises(FgvrError, match=re.escape(message)):
        fitted("second", checkpoint="half.ckpt", **options)


def test_a_training_that_ends_between_the_phases_names_photos_by_its_prompts(tiny_run):
    run = trainer("half", max_epochs=4, callbacks=[Stop(2)])
    method, data, *_ = fitted("half", run=run)
    run.test(method, datamodule=data, verbose=False)
    assert all(p.scores["coft"] == p.scores["coft_prompts"] for p in method.predictions)


def test_two_processes_do_what_one_does(tiny_run):
    assert main(["fit", *OPTIONS, "--run.name", "one"]) == 0
    fit_in_two_processes([*OPTIONS, "--run.name", "two"], FGVR_CACHE=str(tiny_run / "other"))
    one, two = (torch.load(f"runs/{name}/0/checkpoints/last.ckpt", weights_only=True) for name in ("one", "two"))
    assert one["global_step"] == two["global_step"]
    assert [len(each["stage"]["targets"]) for each in (one, two)] == [2, 2]
    for stage, targets in one["stage"]["targets"].items():
        assert torch.equal(targets, two["stage"]["targets"][stage])
    for name, tensor in one["state_dict"].items():
        torch.testing.assert_close(two["state_dict"][name], tensor, atol=1e-5, rtol=1e-5)


def test_the_command_line_leaves_a_checkpoint_that_names_photos(tiny_run, capsys):
    assert main(["fit", *OPTIONS]) == 0
    run = Path(capsys.readouterr().out.splitlines()[-1])
    assert list(json.loads((run / "metrics.json").read_text())) == ["zero_shot", "coft_prompts", "coft"]
    checkpoint = torch.load(run / "checkpoints/last.ckpt", weights_only=True)
    state, names = checkpoint["state_dict"], checkpoint["fgvr"]["class_names"]
    learned = pq.read_table(run / "pseudo_labels.parquet").to_pylist()
    for stage, targets in checkpoint["stage"]["targets"].items():
        for model, labels in enumerate(targets.tolist()):
            found = [row["name"] for row in learned if (row["stage"], row["model"]) == (stage + 1, model + 1)]
            assert found == [names[label] for label in labels if label >= 0]
    assert {row["sample_id"] for row in learned} <= {f"photos/{c}_{i}.png" for c in range(4) for i in range(4)}
    assert not [name for name in state if name.startswith("backbone.")]
    said = fgvr.load(run).predict(tiny_run / "birds/photos")
    assert {each.name for each in said} <= set(COLOURS)


@pytest.mark.parametrize("epochs", [2, 3])
def test_a_checkpoint_has_image_towers_once_they_are_tuned(tiny_run, epochs):
    run = trainer("half", max_epochs=4, callbacks=[Stop(epochs)])
    method, data, *_ = fitted("half", run=run)
    run.save_checkpoint("half.ckpt")
    state = torch.load("half.ckpt", weights_only=True)["state_dict"]
    assert any("tower" in name for name in state) == (epochs == 3)
    run.test(method, datamodule=data, verbose=False)
    loaded = CoftMethod(TinyBackbone(logit_scale=SCALE), n_ctx=4, visual_tokens=3)
    trainer("test").test(loaded, datamodule=data, ckpt_path="half.ckpt", verbose=False)
    assert [p.scores for p in loaded.predictions] == [p.scores for p in method.predictions]


def test_the_backbone_stays_as_it_was(tiny_run):
    method = fitted("mine")[0]
    untouched = TinyBackbone(logit_scale=SCALE)
    untouched.load()
    for name, weight in untouched.state_dict().items():
        torch.testing.assert_close(method.backbone.state_dict()[name], weight, rtol=0, atol=0)
    assert not any(weight.requires_grad for weight in method.backbone.parameters())


def test_without_phase_2_its_own_row_is_that_of_the_prompts(tiny_run):
    method, data, run, watch = fitted("mine", tuning_share=0.0, epochs=2)
    assert {step["epoch"] for step in watch.steps} == {0, 1}
    run.test(method, datamodule=data, verbose=False)
    assert all(p.scores["coft"] == p.scores["coft_prompts"] for p in method.predictions)
    assert not [name for name in method.state_dict() if "tower" in name]


class PlainBackbone(TinyBackbone):
    """Takes no visual prompts."""

    def visual_prompt_encoder(self, recompute=False):
        return super(TinyBackbone, self).visual_prompt_encoder(recompute)


def test_a_tower_without_visual_prompts_learns_texts_alone(tiny_run, caplog):
    caplog.set_level("INFO")
    method = fitted("mine", backbone=PlainBackbone(logit_scale=SCALE), visual_tokens=None)[0]
    assert [model.visual for model in method.models] == [None, None]
    assert "Phase 1 learns text prompts alone" in caplog.text
    with pytest.raises(FgvrError, match="takes no visual prompts"):
        fitted("again", backbone=PlainBackbone(logit_scale=SCALE), visual_tokens=4)


def test_it_learns_in_bfloat16(tiny_run):
    run = trainer("mine", max_epochs=4, precision="bf16-mixed")
    method = fitted("mine", run=run, chunk_size=2)[0]
    assert all(value.isfinite().all() and value.dtype != torch.bfloat16 for value in method.state_dict().values())


def test_a_step_without_a_label_for_one_model_leaves_it_alone(tiny_run):
    method = CoftMethod(TinyBackbone(logit_scale=SCALE), visual_tokens=2, n_ctx=2, tuning_share=0.0)
    watch = Watch2()
    trainer("mine", max_epochs=1, callbacks=[watch]).fit(method, datamodule=birds(batch_size=6))
    assert torch.equal(watch.before, method.models[1].positive.context)
    assert not torch.equal(watch.other, method.models[0].positive.context)


class Watch2(Callback):
    """Takes all labels from the second model."""

    def on_train_start(self, trainer, method):
        method.targets[1] = -1
        self.before = method.models[1].positive.context.detach().clone()
        self.other = method.models[0].positive.context.detach().clone()


def test_a_step_of_several_batches_learns_from_those_that_have_a_label(tiny_run):
    method = CoftMethod(TinyBackbone(logit_scale=SCALE), visual_tokens=2, n_ctx=2, tuning_share=0.0)
    watch = SecondBatch()
    run = trainer("mine", max_epochs=1, callbacks=[watch], accumulate_grad_batches=2, limit_train_batches=2)
    run.fit(method, datamodule=birds(batch_size=6))
    assert run.global_step == 1
    for before, model in zip(watch.before, method.models, strict=True):
        assert not torch.equal(before["positive"], model.positive.context)


class SecondBatch(Callback):
    """Takes all labels from the second model in the second batch."""

    def on_train_start(self, trainer, method):
        self.before = [state_of(model) for model in method.models]

    def on_train_batch_start(self, trainer, method, batch, batch_idx):
        if batch_idx == 1:
            method.targets[1] = -1


def test_a_filter_that_drops_all_labels_ends_the_run_with_what_to_do(tiny_run):
    class NoneFilter(AllFilter):
        def keep(self, said):
            return torch.zeros_like(said.labels, dtype=torch.bool)

    with pytest.raises(FgvrError, match=r"no label to learn from in epoch 2: .* another filter"):
        fitted("mine", filter=NoneFilter())


def test_views_are_looked_at_where_the_filter_compares_them(tiny_run):
    method, *_ = fitted("mine", filter=AgreementFilter("within"), epochs=2)
    assert method.stage.tunes_tower


@pytest.mark.parametrize("names", [["Blue Jay"], [f"bird {n}" for n in range(40)]])
def test_one_class_is_refused_and_more_classes_than_photos_are_not(tiny_run, names):
    if len(names) == 1:
        with pytest.raises(FgvrError, match="the vocabulary has 1 class"):
            fitted("mine", birds(class_names=names))
    else:
        method, data, run, _ = fitted("mine", birds(class_names=names), filter=AllFilter())
        run.test(method, datamodule=data, verbose=False)
        assert len(method.predictions) == 12


def test_too_few_epochs_or_no_number_of_them_are_refused(tiny_run):
    with pytest.raises(FgvrError, match=r"trainer.max_epochs is 1, but the training has 2 parts"):
        fitted("mine", epochs=1)
    with pytest.raises(FgvrError, match=r"shares of its epochs, and trainer.max_epochs does not state how many"):
        fitted("again", run=trainer("again", max_epochs=-1, max_steps=4))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seeds": "labels"}, "model.seeds is 'labels'"),
        ({"k": 0}, "model.k is 0; expected 1 or more"),
        ({"clean_weight": float("nan")}, "model.clean_weight is nan"),
        ({"tuning_share": 1.0}, "model.tuning_share is 1.0; expected from 0 to below 1"),
        ({"prompt_lr": 0.0}, "model.prompt_lr is 0.0; expected above 0"),
        ({"chunk_size": 0}, "model.chunk_size is 0"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(FgvrError, match=message):
        CoftMethod(TinyBackbone(), **options)


def test_true_names_change_nothing(tiny_run):
    first = fitted("mine", birds(class_names=list(COLOURS)))[0]
    write_images(tiny_run / "birds", dict(zip(COLOURS, reversed(COLOURS), strict=True)))
    second = fitted("again", birds(class_names=list(COLOURS)))[0]
    for name, value in first.state_dict().items():
        assert torch.equal(second.state_dict()[name], value)
