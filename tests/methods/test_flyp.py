import pytest
import torch
from lightning.pytorch import Callback
from lightning.pytorch.plugins.environments import LightningEnvironment
from tower_run import QUIET, birds, trainer

from fgvr.errors import FgvrError
from fgvr.images import open_image
from fgvr.methods.flyp import FlypMethod
from fgvr.testing.tiny import TinyBackbone

pytestmark = QUIET

TEMPLATES = ["a photo of a {}.", "{}, a type of bird.", "a {}"]


class Watch(Callback):
    """Keeps each step's photos, texts and loss, and the classes that the method finds nearest to the photos.

    ``plain`` has the classes nearest to all support photos, by the weights at the start of each epoch.
    """

    def __init__(self):
        self.steps, self.plain = [], []

    def on_train_epoch_start(self, trainer, method):
        encoder = method.backbone
        with torch.no_grad():
            views = [encoder.transform(open_image(record.path)) for record in trainer.datamodule.support]
            scores = encoder.encode_image(torch.stack(views)) @ slow_classes(method).T
        self.plain.append(scores.argmax(1).tolist())

    def on_train_batch_start(self, trainer, method, batch, batch_idx):
        texts_of, step = method.texts_of, {"epoch": trainer.current_epoch, "index": batch.rows.tolist()}

        def watched(batch, features):
            step["features"], step["texts"] = features.clone(), list(texts_of(batch, features))
            step["scores"] = features @ slow_classes(method).T
            return step["texts"]

        method.texts_of = watched
        self.steps.append(step)

    def on_train_batch_end(self, trainer, method, outputs, batch, batch_idx):
        del method.texts_of
        self.steps[-1]["loss"] = outputs["loss"].item()


def slow_classes(method):
    rows = []
    for name in method.vocabulary.names:
        texts = [method.backbone.encode_text([template.replace("{}", name)])[0] for template in method.templates]
        mean = sum(texts) / len(texts)
        rows.append(mean / mean.norm())
    return torch.stack(rows)


def fitted(refresh="step", epochs=3, folder="mine", run=None, checkpoint=None, **options):
    watch = Watch()
    method = FlypMethod(TinyBackbone(), refresh=refresh, warmup_steps=0, **{"lr": 0.01, **options})
    data = birds()
    (run or trainer(folder, max_epochs=epochs, callbacks=[watch])).fit(method, datamodule=data, ckpt_path=checkpoint)
    return method, data, watch


def label_of(text, method):
    (found,) = {number for number, name in enumerate(method.vocabulary.names) if name in text}
    return found


def test_pseudo_labels_of_a_step_are_the_current_models(tiny_run):
    method, _, watch = fitted("step", templates=TEMPLATES)
    assert len(watch.steps) == 9
    for step in watch.steps:
        assert [label_of(text, method) for text in step["texts"]] == step["scores"].argmax(1).tolist()
        assert all(
            text in [t.replace("{}", n) for t in TEMPLATES for n in method.vocabulary.names] for text in step["texts"]
        )


def test_loss_is_half_of_equation_3(tiny_run):
    _, _, watch = fitted("step", epochs=1)
    first = watch.steps[0]
    original = TinyBackbone()
    original.load()
    logits = original.logit_scale * first["features"] @ original.encode_text(first["texts"]).T
    rows = -sum(logits[i].log_softmax(0)[i] for i in range(len(logits))) / len(logits)
    columns = -sum(logits[:, i].log_softmax(0)[i] for i in range(len(logits))) / len(logits)
    assert first["loss"] == pytest.approx(((rows + columns) / 2).item(), rel=1e-5)


@pytest.mark.parametrize("refresh", ["epoch", "never"])
def test_labels_are_kept_for_an_epoch_or_for_good(tiny_run, refresh):
    method, _, watch = fitted(refresh, epochs=4, lr=1.0)
    labels = [{} for _ in range(4)]
    for step in watch.steps:
        labels[step["epoch"]].update(zip(step["index"], (label_of(t, method) for t in step["texts"]), strict=True))
    labels = [[epoch[index] for index in range(16)] for epoch in labels]
    if refresh == "epoch":
        assert len(set(map(tuple, watch.plain))) > 1, "the test shows nothing"
    assert labels == (watch.plain if refresh == "epoch" else [watch.plain[0]] * 4)


def test_templates_are_drawn_anew_for_each_photo_and_epoch_and_the_same_in_each_run(tiny_run):
    drawn = []
    for _ in range(2):
        method, _, watch = fitted("never", epochs=4, templates=TEMPLATES)
        table = {}
        for step in watch.steps:
            for index, text in zip(step["index"], step["texts"], strict=True):
                name = method.vocabulary.names[label_of(text, method)]
                table[step["epoch"], index] = [t.replace("{}", name) for t in TEMPLATES].index(text)
        drawn.append(table)
    assert drawn[0] == drawn[1]
    assert len(drawn[0]) == 64
    counts = [list(drawn[0].values()).count(number) for number in range(3)]
    assert min(counts) > 10
    epochs = [[drawn[0][epoch, index] for index in range(16)] for epoch in range(4)]
    assert len(set(map(tuple, epochs))) == 4


def test_true_labels_are_an_oracle_and_say_so(tiny_run, caplog):
    method, data, watch = fitted(labels="true", epochs=30)
    assert "Oracle: true names are trained on, of 16 support photos" in caplog.text
    for step in watch.steps:
        names = [data.images.truth[data.support[index].sample_id] for index in step["index"]]
        assert step["texts"] == [f"a photo of a {name}." for name in names]
    losses = [step["loss"] for step in watch.steps]
    assert sum(losses[-3:]) < 0.7 * sum(losses[:3])
    trainer("mine").test(method, datamodule=data, verbose=False)
    right = sum(prediction.names["flyp"] == prediction.true_name for prediction in method.predictions)
    assert right >= 11, "of 12"


def test_pseudo_labels_are_made_without_the_true_names(tiny_run):
    method, data, _ = fitted("epoch")
    images = data.images
    assert images.truth
    method = FlypMethod(TinyBackbone(), refresh="epoch", warmup_steps=0, lr=0.01)
    without = birds(class_names=list(images.known_names))
    without.__dict__["photos"] = type(images)(images.splits, {}, (), {})
    trainer("mine").fit(method, datamodule=without)
    expected, _, _ = fitted("epoch")
    for name, weight in expected.state_dict().items():
        assert torch.equal(method.state_dict()[name], weight), name


@pytest.mark.parametrize("tower", ["image", "text"])
def test_one_tower_alone(tiny_run, tower):
    original = TinyBackbone()
    original.load()
    method, _, _ = fitted("epoch", train_image_tower=tower == "image", train_text_tower=tower == "text", lr=0.1)
    same = {
        name
        for name, weight in original.state_dict().items()
        if torch.equal(method.backbone.state_dict()[name], weight)
    }
    images = {"image_tower.weight", "image_tower.bias"}
    # the joint features, which are trained, do not depend on the visual ones
    trained = images if tower == "image" else set(original.state_dict()) - images - {"image_tower.visual"}
    assert same == set(original.state_dict()) - trained


@pytest.mark.parametrize(
    ("names", "problem"),
    [(["House Finch", "Blue Jay"], "is a .*, which is not in the vocabulary"), (None, "has no true name")],
)
def test_true_labels_must_be_there(tiny_run, names, problem):
    data = birds(class_names=names or ["House Finch"])
    if names is None:
        data.images.truth.clear()
    with pytest.raises(FgvrError, match=rf"model.labels is 'true', but .* {problem}"):
        trainer("mine").fit(FlypMethod(TinyBackbone(), labels="true"), datamodule=data)


@pytest.mark.parametrize("option", [{"labels": "real"}, {"refresh": "always"}])
def test_options_that_do_not_exist(option):
    with pytest.raises(FgvrError, match=rf"model\.{next(iter(option))} is .* expected one of"):
        FlypMethod(TinyBackbone(), **option)


def test_a_template_without_a_place_for_the_name_is_found_before_training(tiny_run):
    with pytest.raises(FgvrError, match=r"exactly one \{\}"):
        trainer("mine").fit(FlypMethod(TinyBackbone(), templates=["a bird"]), datamodule=birds())


@pytest.mark.parametrize("refresh", ["step", "epoch", "never"])
def test_a_resumed_run_equals_an_unbroken_one(tiny_run, refresh):
    whole, _, _ = fitted(refresh, epochs=4)
    first = trainer("mine", max_epochs=4, callbacks=[StopAfter(2)])
    fitted(refresh, run=first)
    first.save_checkpoint("half.ckpt")
    second, _, _ = fitted(refresh, run=trainer("mine", max_epochs=4), checkpoint="half.ckpt")
    for name, weight in whole.state_dict().items():
        torch.testing.assert_close(second.state_dict()[name], weight, rtol=0, atol=0)


class StopAfter(Callback):
    def __init__(self, epochs):
        self.epochs = epochs

    def on_train_epoch_end(self, trainer, method):
        trainer.should_stop = trainer.current_epoch + 1 == self.epochs


def test_labels_of_other_photos_are_refused(tiny_run):
    run = trainer("mine", max_epochs=1)
    fitted("never", run=run)
    run.save_checkpoint("mine.ckpt")
    method = FlypMethod(TinyBackbone(), refresh="never")
    with pytest.raises(FgvrError, match="pseudo-labels of the checkpoint are of other photos or classes"):
        trainer("mine", max_epochs=2).fit(method, datamodule=birds(shots=3), ckpt_path="mine.ckpt")


class Pool(LightningEnvironment):
    """The processes of ``ddp_pool``."""

    creates_processes_externally = True


def trained_on(rank, world_size, folder, refresh, chunk_size):
    """Weights after three epochs, losses of the steps, and predictions."""
    environment = Pool()
    environment.set_global_rank(rank)
    environment.set_world_size(world_size)
    environment.local_rank = lambda: rank
    several = {"strategy": "ddp", "devices": world_size, "plugins": [environment]} if world_size > 1 else {}
    method = FlypMethod(
        TinyBackbone(), refresh=refresh, templates=TEMPLATES, lr=0.01, warmup_steps=2, chunk_size=chunk_size
    )
    data = birds(folder / "birds", cache_dir=folder / "cache", augment=True)
    run = trainer(folder / "mine", **several)
    run.fit(method, datamodule=data)
    loss = run.callback_metrics["train/loss"].item()
    run.test(method, datamodule=data, verbose=False)
    return method.state_dict(), loss, method.predictions


@pytest.mark.parametrize(("refresh", "chunk_size"), [("step", None), ("epoch", 2), ("never", None)])
def test_two_processes_do_what_one_does(tiny_run, ddp_pool, refresh, chunk_size):
    expected, loss, predictions = trained_on(0, 1, tiny_run, refresh, chunk_size)
    for state, its_loss, its_predictions in ddp_pool.run(trained_on, tiny_run, refresh, chunk_size):
        assert its_loss == pytest.approx(loss, rel=1e-5)
        for name, weight in expected.items():
            torch.testing.assert_close(state[name], weight, rtol=0, atol=1e-5)
        assert [p.names for p in its_predictions] == [p.names for p in predictions]
