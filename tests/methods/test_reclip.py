import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from tower_run import QUIET, birds, trainer

from fgvr.backbones.open_clip import OpenClipBackbone
from fgvr.data.datamodule import FgvrDataModule
from fgvr.datasets.fieldguide import FieldguideDataset
from fgvr.errors import FgvrError
from fgvr.methods import reclip as module
from fgvr.methods.reclip import ReclipMethod
from fgvr.metrics.files import read_metrics
from fgvr.records import Vocabulary
from fgvr.reports.recorder import RunRecorder
from fgvr.runs import RunFolder
from fgvr.testing.tiny import TinyBackbone

pytestmark = QUIET

NAMES = ("house finch", "blue jay", "monk parakeet", "atlantic canary")


class NormedBackbone(TinyBackbone):
    """With a layer norm at the end of each tower, and a text tower that can be trained."""

    def load(self):
        if not self._loaded:
            super().load()
            self.image_norm, self.text_norm = nn.LayerNorm(self.embed_dim), nn.LayerNorm(self.embed_dim)
            self.eval().requires_grad_(False)

    def encode_image(self, pixels):
        return F.normalize(self.image_norm(super().encode_image(pixels)), dim=-1)

    def embed_text(self, texts):
        return torch.stack([self._embed(text) for text in texts])

    def encode_text(self, texts, truncate=False):
        with torch.no_grad():
            return self.embed_text(texts)

    def _embed(self, text):
        ids = torch.tensor([self.prompt_encoder().tokenize(text)], device=self.device)
        hidden = self.pool(self.token_embedding(ids), torch.tensor([ids.shape[1] - 1], device=self.device))
        return F.normalize(self.text_norm(hidden)[0], dim=-1)


@pytest.fixture
def data(tiny_run):
    return birds()


def built(**options):
    method = ReclipMethod(NormedBackbone(), **options)
    method.backbone.load()
    method.build(Vocabulary(NAMES), None)
    return method


def test_both_branches_learn_and_the_backbone_does_not(data, tiny_run):
    method = ReclipMethod(NormedBackbone(), ["a photo of a {}.", "{}"], text_lr=0.01, image_lr=0.01, k=4)
    run = trainer(tiny_run / "mine", max_epochs=3)
    run.fit(method, datamodule=data)
    assert run.callback_metrics["train/agreement"] > 0
    untouched = NormedBackbone()
    untouched.load()
    for name, weight in untouched.state_dict().items():
        torch.testing.assert_close(method.backbone.state_dict()[name], weight, rtol=0, atol=0)
    fresh = built()
    for branch in ("text_norms", "image_norms"):
        before, after = getattr(fresh, branch).state_dict(), getattr(method, branch).state_dict()
        assert all((before[name] - after[name]).abs().max() > 1e-4 for name in before)
    run.test(method, datamodule=data, verbose=False)
    assert list(method.predictions[0].names) == ["zero_shot", "reclip_text", "reclip_image", "reclip"]
    assert list(method.classifiers())[-1] == method.row


def test_all_rows_but_the_untuned_one_took_the_training(data, tiny_run):
    recorder = RunRecorder(RunFolder(tiny_run / "mine"))
    recorder.folder.path.mkdir()
    run = trainer(tiny_run / "mine", max_epochs=1, callbacks=[recorder])
    method = ReclipMethod(NormedBackbone(), k=4)
    run.fit(method, datamodule=data)
    state = recorder.state_dict()
    recorder.load_state_dict({"training_seconds": state["training_seconds"] + 1000})
    run.test(method, datamodule=data, verbose=False)
    seconds = {row: figures["seconds"] for row, figures in read_metrics(recorder.folder.metrics).items()}
    assert {row for row, spent in seconds.items() if spent > 1000} == {"reclip_text", "reclip_image", "reclip"}
    assert next(iter(seconds)) == "zero_shot"


def test_pseudo_labels_and_the_step_are_the_definition(data, tiny_run, monkeypatch):
    steps = []
    monkeypatch.setattr(ReclipMethod, "on_before_optimizer_step", lambda self, optimizer: steps.append(gradients(self)))
    method = ReclipMethod(NormedBackbone(), ["a photo of a {}.", "{}"], k=4)
    trainer(tiny_run / "mine", max_epochs=1, limit_train_batches=1).fit(method, datamodule=data)
    backbone = NormedBackbone()
    backbone.load()
    texts = module.template_features(backbone, method.vocabulary.names, method.templates)
    pixels = torch.stack([backbone.transform(module.Image.open(record.path)) for record in data.support])
    images = backbone.encode_image(pixels)
    basis = module.projection(texts.numpy())
    labels = module.propagate(texts.numpy(), images.numpy(), basis, k=4)  # before training both branches are the same
    assert method.pseudo_labels.tolist() == labels[4:].tolist()
    means = torch.from_numpy(module.centroids(texts.numpy(), images.numpy(), labels))
    torch.testing.assert_close(method.image_classes, means)

    backbone.image_norm.requires_grad_()
    backbone.text_norm.requires_grad_()
    batch = next(iter(data.train_dataloader()))
    label = torch.from_numpy(labels[4:])[batch.rows]
    prompts = [f"a photo of a {name.replace('_', ' ')}." for name in method.vocabulary.names]
    by_text = backbone.logit_scale * images[batch.rows] @ backbone.embed_text(prompts).T
    by_image = backbone.logit_scale * backbone.encode_image(batch.images) @ means.T
    (F.cross_entropy(by_text, label) + F.cross_entropy(by_image, label)).backward()
    for mine, layer in zip(steps[0], (backbone.text_norm, backbone.image_norm), strict=True):
        torch.testing.assert_close(mine["weight"], layer.weight.grad)
        torch.testing.assert_close(mine["bias"], layer.bias.grad)


def gradients(method):
    return [
        {name.split("/")[-1]: weight.grad.clone() for name, weight in branch.weights.items()}
        for branch in (method.text_norms, method.image_norms)
    ]


@pytest.mark.parametrize("project", [True, False])
def test_only_photos_on_which_both_branches_agree_have_a_label(monkeypatch, project):
    method = built(project=project)
    given = iter([np.array([0, 1, 2, 3, 1, 1, -1, 2]), np.array([1, 1, 2, 3, 1, 2, -1, 2])])
    asked = []

    def propagate(texts, images, basis, *options):
        asked.append((texts, images, basis))
        return next(given)

    monkeypatch.setattr(module, "propagate", propagate)
    generator = np.random.default_rng(0)
    texts, untuned, tuned = (generator.normal(size=(4, 16)).astype(np.float32) for _ in range(3))
    labels, means = method._propagate(texts, untuned, tuned)
    assert labels.tolist() == [1, -1, -1, 2]
    first = method._texts.numpy()
    for (nodes, images, basis), (its_nodes, its_images) in zip(asked, ((texts, untuned), (first, tuned)), strict=True):
        np.testing.assert_array_equal(nodes, its_nodes)
        assert images is its_images
        assert (basis is not None) == project
        if project:
            np.testing.assert_array_equal(basis, module.projection(its_nodes))
    # the image branch's own labels make its classifier: nobody has class 0
    np.testing.assert_array_equal(means[0], first[0])


@pytest.mark.parametrize("agreed", [[], [0, 3]])
def test_photos_without_a_label_do_not_count(data, tiny_run, monkeypatch, agreed):
    labels = torch.full((16,), -1)
    labels[agreed] = 1
    steps = []

    def make(self):
        self._images, self.pseudo_labels = F.normalize(torch.ones(16, 16), dim=1), labels

    monkeypatch.setattr(ReclipMethod, "make_pseudo_labels", make)
    monkeypatch.setattr(ReclipMethod, "on_before_optimizer_step", lambda self, optimizer: steps.append(gradients(self)))
    data.batch_size = 16
    method = ReclipMethod(NormedBackbone())
    trainer(tiny_run / "mine", max_epochs=1).fit(method, datamodule=data)
    (text, image), backbone = steps[0], NormedBackbone()
    backbone.load()
    backbone.image_norm.requires_grad_()
    assert (text["weight"].abs().max() > 0) == bool(agreed)
    if not agreed:
        assert not image["weight"].any()
        return
    pixels = torch.stack([backbone.transform(module.Image.open(data.support[row].path)) for row in agreed])
    logits = backbone.logit_scale * backbone.encode_image(pixels) @ method._texts.T
    F.cross_entropy(logits, torch.ones(2, dtype=torch.int64)).backward()
    torch.testing.assert_close(image["weight"], backbone.image_norm.weight.grad)


def test_the_rows_are_the_branches_and_the_mean_of_their_logits():
    method = built(templates=["a photo of a {}.", "{}"])
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in method.parameters():
            weight += 0.3 * torch.randn(weight.shape, generator=generator) * (weight.requires_grad)
    method.image_classes.copy_(F.normalize(torch.randn(4, 16, generator=generator), dim=1))
    pixels = torch.rand(3, 3, 32, 32, generator=generator)
    images, rows = method.image_features(pixels), method.classifiers()
    torch.testing.assert_close(images.norm(dim=1), torch.ones(3))
    untuned = method.backbone.encode_image(pixels)
    tuned = method.image_norms(lambda backbone: backbone.encode_image(pixels))
    texts = method.text_norms(lambda backbone: backbone.embed_text([f"a photo of a {name}." for name in NAMES]))
    assert (untuned - tuned).abs().max() > 1e-2
    expected = {
        "zero_shot": untuned @ module.template_features(method.backbone, NAMES, method.templates).T,
        "reclip_text": untuned @ texts.T,
        "reclip_image": tuned @ method.image_classes.T,
        "reclip": (untuned @ texts.T + tuned @ method.image_classes.T) / 2,
    }
    assert list(rows) == list(expected)
    for row, classifier in rows.items():
        torch.testing.assert_close(images @ classifier.T, expected[row])


def test_checkpoints_hold_what_was_learned_only():
    method = built()
    state = method.state_dict()
    assert {name.split(".")[0] for name in state} == {"text_norms", "image_norms", "image_classes"}
    other = built()
    with torch.no_grad():
        other.image_classes.zero_()
    other.load_state_dict(state)
    torch.testing.assert_close(other.image_classes, method.image_classes)
    del state["image_classes"]
    with pytest.raises(FgvrError, match="missing image_classes, left over nothing"):
        other.load_state_dict(state)


def test_a_resumed_run_equals_an_unbroken_one(data, tiny_run):
    def fit(folder, epochs, checkpoint=None):
        method = ReclipMethod(NormedBackbone(), text_lr=0.01, image_lr=0.01, k=4)
        run = trainer(tiny_run / folder, max_epochs=epochs)
        again = birds()
        run.fit(method, datamodule=again, ckpt_path=checkpoint, weights_only=True)
        run.save_checkpoint(tiny_run / folder / "end.ckpt")
        return method.state_dict()

    unbroken = fit("unbroken", 4)
    fit("first", 2)
    resumed = fit("second", 4, tiny_run / "first/end.ckpt")
    for name, value in unbroken.items():
        torch.testing.assert_close(resumed[name], value, rtol=0, atol=0)


def test_drawn_birds(tmp_path, monkeypatch):
    monkeypatch.setenv("FGVR_CACHE", str(tmp_path / "cache"))
    birds = FieldguideDataset(species=6, support=8, test=4, part="development")
    data = FgvrDataModule(birds, class_names="dataset", batch_size=16)
    method = ReclipMethod(OpenClipBackbone("fieldguide-clip"), k=5)
    run = trainer(tmp_path / "run", max_epochs=2)
    run.fit(method, datamodule=data)
    assert run.callback_metrics["train/agreement"] > 0.3
    assert math.isfinite(run.callback_metrics["train/loss"])
    run.test(method, datamodule=data, verbose=False)
    right = {row: sum(p.names[row] == p.true_name for p in method.predictions) for row in method.classifiers()}
    assert right["reclip"] >= right["zero_shot"] - 2


def test_a_vocabulary_of_one_text_is_refused():
    for names in (("jay",), ("blue_jay", "blue jay")):
        method = ReclipMethod(NormedBackbone())
        method.backbone.load()
        with pytest.raises(FgvrError, match=r"class\(es\) are all the same: check data.class_names"):
            method.build(Vocabulary(names), None)


@pytest.mark.parametrize(
    ("option", "value"),
    [("text_lr", 0.0), ("image_lr", math.nan), ("k", 0), ("cut_dim", 1), ("cg_steps", 0), ("alpha", 1.0)],
)
def test_options_out_of_range_are_refused(option, value):
    with pytest.raises(FgvrError, match=rf"model\.{option} is"):
        ReclipMethod(NormedBackbone(), **{option: value})
