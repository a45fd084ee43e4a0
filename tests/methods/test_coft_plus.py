import pytest
import torch
from coft_run import OPTIONS, PROMPTS, TOWER, Stop, plain, state_of
from coft_run import fitted as coft_fitted
from forked_fit import fit_in_two_processes
from lightning.pytorch import Callback
from lightning.pytorch.callbacks import Checkpoint
from slow_coft import SCALE, SlowModel, seeds
from tower_run import QUIET, birds, trainer

from fgvr.backbones.base import ImageFeatures
from fgvr.cli import main
from fgvr.errors import FgvrError
from fgvr.methods.coft import CoftMethod
from fgvr.methods.coft_plus import CoftPlusMethod
from fgvr.testing.tiny import TinyBackbone

pytestmark = QUIET

PLUS = [*OPTIONS, "--model", "coft_plus", "--model.rounds", "2", "--model.tower_momentum", "0.5"]


def fitted(folder, data=None, **options):
    options = {"rounds": 2, "tower_momentum": 0.5, "tuning_share": 0.5, **options}
    return coft_fitted(folder, data, method=CoftPlusMethod, **options)


class Rounds(Callback):
    """Keeps both models as they are when each epoch ends, before the next stage, and at its first step."""

    def __init__(self):
        self.ends, self.starts = [], {}

    def on_before_backward(self, trainer, method, loss):
        self.starts.setdefault(trainer.current_epoch, [state_of(model) for model in method.models])

    def on_train_epoch_end(self, trainer, method):
        self.ends.append([state_of(model) for model in method.models])


def test_each_round_begins_anew_with_each_models_own_surest_photos(tiny_run):
    rounds, data = Rounds(), birds(augment="coop", batch_size=6)
    run = trainer("mine", max_epochs=4, callbacks=[rounds, watch := Steps()])
    method = CoftPlusMethod(
        TinyBackbone(logit_scale=SCALE), rounds=2, n_ctx=4, visual_tokens=3, prompt_lr=0.3, k=3, tuning_share=0.5
    )
    run.fit(method, datamodule=data)
    assert [stage.tunes_tower for stage in method.stages] == [False, False, True]
    before, after = rounds.ends[0], rounds.starts[1]
    for old, new in zip(before, after, strict=True):
        assert all(not torch.equal(old[name], new[name]) for name in PROMPTS)
        assert new["positive"].std() < 0.05, "drawn as at the start"
    pixels = plain(data, method.backbone)
    for number, state in enumerate(before):
        slow = SlowModel(method.vocabulary.names, state)
        with torch.no_grad():
            expected = seeds(slow.prompted(pixels), slow.texts()[0], 3)
        assert watch.targets[1][number].tolist() == expected
    first = next(step for step in watch.momenta if step[0] == 1)
    assert first[1] == 0, "the optimiser remembers nothing of the round before"


class Steps(Callback):
    """Keeps the labels of each epoch, and how many numbers of momentum there are before each step."""

    def __init__(self):
        self.targets, self.momenta = {}, []

    def on_before_backward(self, trainer, method, loss):
        epoch, state = trainer.current_epoch, trainer.optimizers[0].state
        self.targets[epoch] = method.targets.clone()
        known = [state.get(each, {}).get("momentum_buffer") for each in method.models[0].prompt_parameters()]
        self.momenta.append((epoch, sum(each is not None for each in known)))


def test_phase_2_equals_a_slow_reference(tiny_run):
    method, _, _, watch = fitted("mine", epochs=4, rounds=1, contrast_weight=0.3, queue=7, temperature=0.2)
    tuning = [step for step in watch.steps if step["epoch"] >= 2]
    assert all(len(step["views"]) == len(step["rows"]) for step in tuning)
    assert all(step["views"] is None for step in watch.steps if step["epoch"] < 2)
    assert sorted(row for step in tuning if step["epoch"] == 2 for row in step["rows"]) == list(range(16)), "all photos"
    slow = []
    for model, start in zip(method.models, watch.start, strict=True):
        # phase 1 is tested in test_coft.py: here phase 2 begins from what it left
        made = SlowModel(method.vocabulary.names, start)
        made.values["head"].data.copy_(SCALE * model.positive.class_features().detach())
        slow.append(made)
    queues = [[] for _ in slow]
    slower = [{name: model.values[name].detach().clone() for name in ("weight", "bias")} for model in slow]
    for step in tuning:
        total, rows = 0.0, step["rows"]
        for model, labels, rate, queue, follower in zip(
            slow, step["targets"], step["rates"][2:], queues, slower, strict=True
        ):
            features = model.tuned(step["pixels"])
            keys = model.tuned(step["views"], follower).detach()
            contrast = 0.0
            for q, k, row in zip(features, keys, rows, strict=True):
                others = [torch.exp(q @ key / 0.2) for key, of in queue if of != row]
                own = torch.exp(q @ k / 0.2)
                contrast = contrast - torch.log(own / (own + sum(others)))
            loss = model.label_loss(features, labels[torch.tensor(rows)].tolist()) + 0.3 * contrast / len(rows)
            total += loss.item()
            model.step(loss, TOWER, rate)
            for name, weight in follower.items():
                weight.copy_(0.5 * weight + 0.5 * model.values[name].detach())
            queue += [(keys[i], rows[i]) for i in sorted(range(len(rows)), key=lambda i: rows[i])]
            del queue[:-7]
        assert step["loss"] == pytest.approx(total, abs=1e-5)
    for model, expected, follower, kept in zip(method.models, slow, slower, method._slower, strict=True):
        for name in TOWER:
            torch.testing.assert_close(state_of(model)[name], expected.values[name].detach(), atol=5e-6, rtol=1e-5)
        for name, weight in kept.items():
            torch.testing.assert_close(weight, follower[name.rpartition("/")[2]], atol=5e-6, rtol=1e-5)


def test_the_queue_is_one_pass_over_the_photos_at_most(tiny_run):
    method, *_ = fitted("mine")
    assert [len(queue.keys) for queue in method._queues] == [16, 16]


class Named(Callback):
    """Keeps how the method's own row names photos when an epoch ends, before any labels of a next stage are made."""

    def __init__(self, data):
        self.data, self.said = data, []

    def on_train_epoch_end(self, trainer, method):
        self.said.append(logits_of(method, self.data))


class Saved(Named, Checkpoint):
    """The same when checkpoints are written."""


@torch.no_grad()
def logits_of(method, data):
    return method.as_classifiers()[method.row](ImageFeatures(method.image_features(plain(data, method.backbone))))


def test_a_checkpoint_of_a_stages_last_epoch_names_photos_as_that_epoch_did(tiny_run):
    data = birds(augment="coop", batch_size=6)
    ended, saved = Named(data), Saved(data)
    run = trainer("mine", max_epochs=4, callbacks=[ended, saved], enable_checkpointing=True)
    fitted("mine", data, run=run)
    assert len(ended.said) == 4
    for epoch, (judged, kept) in enumerate(zip(ended.said, saved.said, strict=True)):
        assert torch.equal(judged, kept), f"epoch {epoch}"


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


def test_two_processes_do_what_one_does(tiny_run):
    assert main(["fit", *PLUS, "--run.name", "one"]) == 0
    fit_in_two_processes([*PLUS, "--run.name", "two"], FGVR_CACHE=str(tiny_run / "other"))
    one, two = (torch.load(f"runs/{name}/0/checkpoints/last.ckpt", weights_only=True) for name in ("one", "two"))
    assert one["global_step"] == two["global_step"]
    for name, tensor in one["state_dict"].items():
        torch.testing.assert_close(two["state_dict"][name], tensor, atol=1e-5, rtol=1e-5)
    for first, second in zip(one["stage"]["queues"], two["stage"]["queues"], strict=True):
        assert torch.equal(first["rows"], second["rows"]), "the queue is gathered"
        torch.testing.assert_close(first["keys"], second["keys"], atol=1e-5, rtol=1e-5)


def test_a_process_without_a_photo_of_a_batch_takes_part(tiny_run):
    options = [*PLUS, "--model.rounds", "1", "--trainer.max_epochs", "2", "--data.batch_size", "1"]
    assert main(["fit", *options, "--run.name", "one"]) == 0
    fit_in_two_processes([*options, "--run.name", "two"], FGVR_CACHE=str(tiny_run / "other"))
    one, two = (torch.load(f"runs/{name}/0/checkpoints/last.ckpt", weights_only=True) for name in ("one", "two"))
    assert one["global_step"] == two["global_step"]
    for name, tensor in one["state_dict"].items():
        torch.testing.assert_close(two["state_dict"][name], tensor, atol=1e-5, rtol=1e-5)


def test_one_round_without_contrast_is_coft(tiny_run):
    plus = fitted("mine", rounds=1, contrast_weight=0.0)[0]
    coft = coft_fitted("other")[0]
    for name, value in coft.state_dict().items():
        assert torch.equal(plus.state_dict()[name], value)


def test_values_that_are_assumed_are_those_of_the_page():
    method = CoftPlusMethod(TinyBackbone())
    assert (method.rounds, method.tuning_share) == (3, 0.25)
    assert (method.clean_weight, method.contrast_weight, method.tower_momentum, method.temperature) == (
        1,
        0.1,
        0.999,
        0.07,
    )
    assert (method.n_ctx, method.prompt_lr, method.tower_lr) == (16, 0.03, 1e-4)
    assert (method.momentum, method.weight_decay, method.warmup_epochs) == (0.9, 5e-4, 1)
    assert CoftMethod(TinyBackbone()).tuning_share == 0.5


def test_one_view_is_said(tiny_run, caplog):
    fitted("mine", birds(batch_size=6))
    assert "there is one: set data.augment to coop" in caplog.text
    caplog.clear()
    fitted("again")
    assert "set data.augment" not in caplog.text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rounds": 0}, "model.rounds is 0; expected 1 or more"),
        ({"queue": 0}, "model.queue is 0"),
        ({"contrast_weight": -1.0}, "model.contrast_weight is -1.0"),
        ({"tower_momentum": 1.0}, "model.tower_momentum is 1.0"),
        ({"temperature": 0.0}, "model.temperature is 0.0"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(FgvrError, match=message):
        CoftPlusMethod(TinyBackbone(), **options)
