import json
import math
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
from forked_fit import fit_in_two_processes
from lightning.pytorch import Callback
from slow_tfup import slow_logits, slow_selection, softmax, unit
from tiny_run import COLOURS, write_images
from tower_run import QUIET, birds, labelled_birds, trainer

import fgvr
from fgvr.cli import main
from fgvr.errors import FgvrError
from fgvr.methods.tfup_t import TfupTMethod, negative_entropy_of_mean, weighted_cross_entropy
from fgvr.testing.tiny import TinyBackbone

OPTIONS = [
    *["--data.dataset", "manifest", "--data.dataset.root", "birds", "--data.class_names", "dataset"],
    *["--data.batch_size", "6", "--data.augment", "coop", "--data.views", "2"],
    *["--model", "tfup_t", "--model.backbone", "fgvr.testing.tiny.TinyBackbone", "--model.warmup_epochs", "2"],
    *["--trainer.accelerator", "cpu", "--trainer.max_epochs", "4"],
]
SCALE = 20.0
ADAPTED = ("down.weight", "up.weight", "residual")

pytestmark = QUIET


class Watch(Callback):
    """Keeps the parameters before the training, and each step's photos, views, loss and rate."""

    def __init__(self):
        self.steps = []

    def on_train_start(self, trainer, method):
        self.start = {name: dict(method.named_parameters())[name].detach().clone() for name in ADAPTED}

    def on_train_batch_start(self, trainer, method, batch, batch_idx):
        rate = trainer.optimizers[0].param_groups[0]["lr"]
        views = method.image_features(batch.images).clone()
        self.steps.append({"epoch": trainer.current_epoch, "rows": batch.rows.tolist(), "views": views, "rate": rate})

    def on_train_batch_end(self, trainer, method, outputs, batch, batch_idx):
        self.steps[-1]["loss"] = outputs["loss"].item()


def fitted(folder, data=None, epochs=4, checkpoint=None, run=None, **options):
    options = {"warmup_epochs": 2, **options}
    method, watch = TfupTMethod(TinyBackbone(logit_scale=SCALE), **options), Watch()
    data = data or birds(augment="coop", views=2)
    run = run or trainer(folder, max_epochs=epochs, callbacks=[watch])
    run.fit(method, datamodule=data, ckpt_path=checkpoint)
    return method, data, run, watch


class Slow:
    """TFUP-T from its equations, a photo at a time, with AdamW written out."""

    def __init__(self, plain, texts, start, refined=0.75, length=10.0, threshold=0.9, warmup=2, size=4):
        self.plain, self.texts, self.length = plain.double(), texts.double(), length
        self.threshold, self.warmup = threshold, warmup
        self.parameters = {name: value.double().requires_grad_() for name, value in start.items()}
        self.moments = {name: [torch.zeros_like(value) for _ in range(2)] for name, value in self.parameters.items()}
        self.time = 0
        self.keys = self.plain[torch.tensor(slow_selection(self.plain, self.texts, size))]
        shots = max(size, int(refined * len(plain) / len(texts)))
        chosen = slow_selection(self.plain, self.texts, shots)
        self.counts = Counter(row for rows in chosen for row in rows)
        self.labels = [self.tfup(image, self.texts)[0] for image in self.plain]
        self.confident = 0

    def tfup(self, image, texts):
        said = softmax(slow_logits(image.detach(), texts.detach(), self.keys, SCALE, 0.3, 1.0))
        return max(range(len(said)), key=lambda c: said[c]), max(said)

    def adapt(self, image):
        change = (self.parameters["up.weight"] @ (self.parameters["down.weight"] @ image).clamp(min=0)).clamp(min=0)
        found = 0.2 * change + 0.8 * image
        return found / found.norm()

    def classes(self):
        rows = [
            0.5 * self.length * text + 0.5 * r for text, r in zip(self.texts, self.parameters["residual"], strict=True)
        ]
        return torch.stack([row / row.norm() for row in rows])

    def loss(self, step):
        texts = self.classes()
        losses, weights, probabilities = [], [], []
        for row, view in zip(step["rows"], step["views"].double(), strict=True):
            said = (SCALE * texts @ self.adapt(view)).log_softmax(0)
            label, weight = self.labels[row], self.counts[row]
            if step["epoch"] >= self.warmup:
                label, sure = self.tfup(self.adapt(self.plain[row]), texts)
                weight = float(sure > self.threshold)
                self.confident += int(weight)
            losses.append(-said[label])
            weights.append(weight)
            probabilities.append(said.exp())
        total = sum(w * loss for w, loss in zip(weights, losses, strict=True)) / max(sum(weights), 1)
        if step["epoch"] >= self.warmup:
            mean = sum(probabilities) / len(probabilities)
            total = total + 0.3 * sum(p * (p + 1e-6).log() for p in mean)
        return total

    def step(self, step):
        loss = self.loss(step)
        self.time += 1
        for value in self.parameters.values():
            value.grad = None
        loss.backward()
        for name, value in self.parameters.items():
            first, second = self.moments[name]
            first.mul_(0.9).add_(0.1 * value.grad)
            second.mul_(0.999).add_(0.001 * value.grad**2)
            spread = (second / (1 - 0.999**self.time)).sqrt() + 3e-3
            with torch.no_grad():
                value.mul_(1 - step["rate"] * 0.1).sub_(step["rate"] * first / (1 - 0.9**self.time) / spread)
        return loss.item()


def test_losses_and_updates_equal_a_slow_reference(tiny_run):
    method, data, run, watch = fitted("mine", data=birds(augment="coop", views=2, batch_size=6))
    plain = torch.from_numpy(data.support_features("joint"))
    slow = Slow(plain, method.cache.class_features, watch.start)
    assert method._photos.labels.tolist() == slow.labels
    assert method._photos.counts.tolist() == [slow.counts[row] for row in range(16)]
    assert 0 < len(slow.counts) < 16, "some photos are outside the refined set"
    for step in watch.steps:
        assert step["loss"] == pytest.approx(slow.step(step), abs=5e-6)
    later = [step for step in watch.steps if step["epoch"] >= 2]
    assert 0 < slow.confident < sum(len(step["rows"]) for step in later), "some are above the threshold"
    found = dict(method.named_parameters())
    for name, value in slow.parameters.items():
        assert not torch.allclose(found[name], watch.start[name], atol=1e-4)
        torch.testing.assert_close(found[name].double(), value, atol=2e-6, rtol=0)

    run.test(method, datamodule=data, verbose=False)
    texts = slow.classes()
    tested = torch.from_numpy(data.evaluated_features("joint")).double()
    logits = torch.stack([SCALE * texts @ slow.adapt(image) for image in tested])
    names = [method.vocabulary.names[c] for c in logits.argmax(1).tolist()]
    assert [p.names["tfup_t"] for p in method.predictions] == names
    assert list(method.predictions[0].names) == ["zero_shot", "tfup", "tfup_t"]


def test_losses_equal_their_equations_in_float64():
    logits = 5 * unit(6, 4)
    labels, weights = torch.tensor([0, 1, 2, 3, 0, 1]), torch.tensor([1.0, 2.0, 0.0, 1.0, 0.0, 3.0])
    said = [softmax(row.tolist()) for row in logits]
    losses = [-math.log(p[label]) for p, label in zip(said, labels.tolist(), strict=True)]
    expected = sum(w * loss for w, loss in zip(weights.tolist(), losses, strict=True)) / 7
    assert weighted_cross_entropy(logits, labels, weights.double()).item() == pytest.approx(expected, abs=1e-6)
    mean = [sum(p[c] for p in said) / 6 for c in range(4)]
    expected = sum(p * math.log(p + 1e-6) for p in mean)
    assert negative_entropy_of_mean(logits).item() == pytest.approx(expected, abs=1e-6)


def test_nothing_is_learned_from_no_photo_but_its_gradients_are_there():
    logits = unit(3, 4).requires_grad_()
    weighted_cross_entropy(logits, torch.tensor([0, 1, 2]), torch.zeros(3)).backward()
    assert torch.equal(logits.grad, torch.zeros_like(logits))


def test_before_the_first_step_it_is_zero_shot_but_for_the_adapter(tiny_run):
    method, data, run, _ = fitted("mine", image_share=0.0, lr=1e-12, epochs=1)
    run.test(method, datamodule=data, verbose=False)
    torch.testing.assert_close(method.class_features(), method.cache.class_features)
    assert [p.names["tfup_t"] for p in method.predictions] == [p.names["zero_shot"] for p in method.predictions]


def test_steps_are_counted_and_the_rate_falls_to_zero_with_the_last(tiny_run):
    _, _, run, watch = fitted("mine", data=birds(augment="coop", views=2, batch_size=6))
    assert run.global_step == len(watch.steps) == 4 * 3, "a warm-up epoch passes all photos, too"
    for epoch in range(4):
        rows = [row for step in watch.steps if step["epoch"] == epoch for row in step["rows"]]
        assert sorted(rows) == list(range(16))
    rates = [0.012 * 0.5 * (1 + math.cos(math.pi * step / 12)) for step in range(12)]
    assert [step["rate"] for step in watch.steps] == pytest.approx(rates)
    assert run.optimizers[0].param_groups[0]["lr"] == 0


def test_a_longer_text_makes_the_residual_milder(tiny_run):
    far = [
        (1 - (method.class_features() * method.cache.class_features).sum(1)).max().item()
        for method in (fitted("mine", text_length=length)[0] for length in (1.0, 10.0))
    ]
    assert far[0] > 3 * far[1] > 0


@pytest.mark.parametrize("views", [None, 2])
def test_a_resumed_run_equals_an_unbroken_one(tiny_run, views):
    def data():
        return birds(augment="coop", views=views)

    whole = fitted("whole", data())[0]
    run = trainer("half", max_epochs=4, callbacks=[Stop()])
    fitted("half", data(), run=run)
    run.save_checkpoint("half.ckpt")
    resumed, _, again, _ = fitted("second", data(), checkpoint="half.ckpt")
    assert again.current_epoch == 4
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[name], value, rtol=0, atol=0)


class Stop(Callback):
    """Ends the training in its third epoch, which is the first after the warm-up."""

    def on_train_epoch_end(self, trainer, method):
        trainer.should_stop = trainer.current_epoch == 2


def test_two_processes_do_what_one_does(tiny_run):
    assert main(["fit", *OPTIONS, "--run.name", "one"]) == 0
    fit_in_two_processes([*OPTIONS, "--run.name", "two"], FGVR_CACHE=str(tiny_run / "other"))
    one, two = (torch.load(f"runs/{name}/0/checkpoints/last.ckpt", weights_only=True) for name in ("one", "two"))
    assert one["global_step"] == two["global_step"] == 4 * 3
    assert set(ADAPTED) < set(one["state_dict"])
    for name, tensor in one["state_dict"].items():
        torch.testing.assert_close(two["state_dict"][name], tensor, atol=1e-5, rtol=0)


def test_the_command_line_leaves_a_checkpoint_that_names_photos(tiny_run, capsys):
    assert main(["fit", *OPTIONS]) == 0
    run = Path(capsys.readouterr().out.splitlines()[-1])
    assert list(json.loads((run / "metrics.json").read_text())) == ["zero_shot", "tfup", "tfup_t"]
    first = pq.read_table(run / "predictions.parquet").to_pylist()
    named = {Path(each.image).name: each.name for each in fgvr.load(run).predict(tiny_run / "birds/photos")}
    assert named.items() >= {Path(row["sample_id"]).name: row["tfup_t_name"] for row in first}.items()


def test_true_names_change_nothing(tiny_run):
    first = fitted("mine", birds(class_names=list(COLOURS)))[0]
    write_images(tiny_run / "birds", dict(zip(COLOURS, reversed(COLOURS), strict=True)))
    second = fitted("again", birds(class_names=list(COLOURS)))[0]
    for name, value in first.state_dict().items():
        assert torch.equal(second.state_dict()[name], value)


@pytest.mark.parametrize(
    "data", [{"class_names": ["Blue Jay"]}, {"class_names": [f"bird {n}" for n in range(40)]}, {"support_size": 1}]
)
def test_one_class_one_photo_and_more_classes_than_photos(tiny_run, data):
    method, _, run, watch = fitted("mine", birds(**data))
    assert all(math.isfinite(step["loss"]) for step in watch.steps)
    assert all(value.isfinite().all() for value in method.state_dict().values())
    run.test(method, datamodule=birds(**data), verbose=False)
    assert len(method.predictions) == 12


def test_names_that_the_labeler_found_are_classes_too(tiny_run):
    method, _, _, _ = fitted("mine", labelled_birds())
    assert set(method.vocabulary.names) == set(COLOURS)


def test_what_of_the_recipe_is_missing_is_said(tiny_run, caplog):
    fitted("mine", birds(), epochs=2)
    assert "there are none: set data.augment to coop" in caplog.text
    assert "All 2 epochs are warm-up (model.warmup_epochs is 2)" in caplog.text
    caplog.clear()
    fitted("again")
    assert not [record for record in caplog.records if record.name == "fgvr.methods.tfup_t" and record.levelno > 20]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"refined_share": 0.0}, "model.refined_share is 0.0; expected above 0"),
        ({"warmup_epochs": -1}, "model.warmup_epochs is -1; expected 0 or more"),
        ({"threshold": 1.0}, "model.threshold is 1.0; expected from 0 to below 1"),
        ({"lr": float("nan")}, "model.lr is nan"),
        ({"floor": 17}, "model.floor is 17"),
    ],
)
def test_options_out_of_range(options, message):
    with pytest.raises(FgvrError, match=message):
        TfupTMethod(TinyBackbone(), **options)
