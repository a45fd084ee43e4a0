import logging
import math
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from torch import nn
from tower_run import QUIET, birds, trainer

from fgvr.data.batches import Batch
from fgvr.descriptions.files import write_descriptions
from fgvr.descriptions.texts import DescriptionTexts
from fgvr.errors import FgvrError
from fgvr.methods.feature_mixer import text_weights
from fgvr.methods.image_texts import ImageTexts
from fgvr.methods.latteclip import LatteClipMethod
from fgvr.methods.zero_shot import template_features
from fgvr.records import Description, ImageRecord, Vocabulary
from fgvr.testing.tiny import TinyBackbone

pytestmark = QUIET

NAMES = ("House_Finch", "Blue Jay", "Monk Parakeet", "Atlantic Canary")
IMAGES = 12
PIXELS = torch.rand(IMAGES, 3, 32, 32, generator=torch.Generator().manual_seed(0)) - 0.5
SUPPORT = [
    ImageRecord(sample_id=f"{number}.jpg", path=Path(f"{number}.jpg"), split="support") for number in range(IMAGES)
]
DESCRIPTIONS = [
    *(Description("image", f"a bird of colour {n % 5}", sample_id=f"{n}.jpg") for n in range(IMAGES) if n % 4),
    *(Description("group", f"birds with {word} wings", class_name=NAMES[1]) for word in ("blue", "striped", "long")),
    *(Description("group", f"birds like {name}", class_name=name) for name in (NAMES[0], NAMES[2])),
]


class Alone(LatteClipMethod):
    """Without a trainer, whose data module it has not."""

    data = None


def built(classes=4, descriptions=DESCRIPTIONS, **options):
    method = Alone(TinyBackbone(logit_scale=5.0), **options)
    method.backbone.load()
    method.vocabulary = Vocabulary(NAMES[:classes])
    method.build(method.vocabulary, None)
    method.data = SimpleNamespace(support=SUPPORT)
    method.descriptions = DescriptionTexts(descriptions)
    method._prepare_support(method.backbone.encode_image(PIXELS).detach().numpy())
    method.log = lambda *args, **kwargs: None
    return method


def a_batch(rows=range(IMAGES)):
    rows = torch.tensor(list(rows))
    return Batch(PIXELS[rows], rows)


# the slow reference: floats and lists, one photo and one text after the other


def dot(a, b):
    return sum(x * y for x, y in zip(a, b, strict=True))


def cosine(a, b):
    return dot(a, b) / math.sqrt(dot(a, a) * dot(b, b))


def weighted(parts):
    """Sum of weight times vector."""
    return [sum(weight * vector[d] for weight, vector in parts) for d in range(len(parts[0][1]))]


def slow_weight(text, prototypes):
    first, second = sorted((cosine(text, p) for p in prototypes), reverse=True)[:2]
    return first - second


def slow_contrast(images, texts, scale):
    """Equation 3."""
    total = 0.0
    for i, image in enumerate(images):
        own = scale * dot(image, texts[i])
        over_texts = math.log(sum(math.exp(scale * dot(image, text)) for text in texts))
        over_images = math.log(sum(math.exp(scale * dot(other, texts[i])) for other in images))
        total += over_texts - own + over_images - own
    return total / len(images)


class Slow:
    """Pseudo-labels, mixer, loss and prototypes of the paper, or as the released code is described."""

    def __init__(self, method, fidelity="paper", texts=("class", "image", "group"), mixer="dynamic", **options):
        self.encode = lambda text: method.backbone.encode_text([text])[0].double().tolist()
        self.prototypes = method.head.prototypes.double().tolist()
        self.at_epoch_start = self.prototypes
        self.released, self.texts, self.mixer = fidelity == "released", texts, mixer
        self.alpha, self.momentum = options.get("alpha", 0.99), options.get("momentum", 0.99)
        self.streams = [name for name in ("zs", "ft") if options.get(f"loss_{name}", True)]
        self.names = method.vocabulary.names
        self.scale = method.scale.item()
        self.images = method.backbone.encode_image(PIXELS).detach().double().tolist()
        self.zero_shot = [self.nearest(image) for image in self.images]

    def nearest(self, image):
        return max(range(len(self.prototypes)), key=lambda c: cosine(image, self.prototypes[c]))

    def texts_of(self, row, label, groups):
        """The texts of a photo, of which ``groups`` says which group description was drawn."""
        own = {d.sample_id: d.text for d in DESCRIPTIONS if d.kind == "image"}
        texts = {"class": f"a photo of a {self.names[label].replace('_', ' ')}."}
        texts |= {"image": own[f"{row}.jpg"]} if f"{row}.jpg" in own else {}
        texts |= {"group": groups[row]} if groups[row] else {}
        return [self.encode(texts[kind]) for kind in self.texts if kind in texts]

    def weight(self, text):
        if self.mixer == "equal":
            return 1.0
        return slow_weight(text, self.at_epoch_start) + 1e-6 if self.released else slow_weight(text, self.prototypes)

    def mixed(self, texts, prototype):
        if not texts:
            return prototype
        weights = [self.weight(text) for text in texts]
        mix = weighted([(w / sum(weights), text) for w, text in zip(weights, texts, strict=True)])
        return weighted([(1 - self.alpha, mix), (self.alpha, prototype)])

    def step(self, rows, groups):
        labels = {"zs": [self.zero_shot[row] for row in rows], "ft": [self.nearest(self.images[row]) for row in rows]}
        loss, mixed = 0.0, {}
        for name in self.streams:
            mixed[name] = [
                self.mixed(self.texts_of(row, label, groups), self.prototypes[label])
                for row, label in zip(rows, labels[name], strict=True)
            ]
            loss += slow_contrast([self.images[row] for row in rows], mixed[name], self.scale)
        pairs = [(label, t) for name in self.streams for label, t in zip(labels[name], mixed[name], strict=True)]
        if self.released:
            self.move(pairs, momentum=0.0, normalize=True)
            return loss / 2
        for name in self.streams:
            self.move(list(zip(labels[name], mixed[name], strict=True)), self.momentum, normalize=False)
        return loss

    def move(self, pairs, momentum, normalize):
        moved = list(self.prototypes)
        for label in {label for label, _ in pairs}:
            mine = [t for other, t in pairs if other == label]
            mean = weighted([(1 / len(mine), t) for t in mine])
            moved[label] = weighted([(1 - momentum, mean), (momentum, self.prototypes[label])])
            if normalize:
                moved[label] = weighted([(1 / math.sqrt(dot(moved[label], moved[label])), moved[label])])
        self.prototypes = moved


def step(method, batch):
    loss = method.training_step(batch, 0)
    method.on_after_backward()
    return loss.item()


def drawn_groups(method, epoch=0):
    numbers = method._image_texts.of_images(torch.arange(IMAGES), epoch)[:, 1].tolist()
    return [method._image_texts.words[number] if number >= 0 else None for number in numbers]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"fidelity": "released"},
        {"alpha": 0.5, "momentum": 0.3},
        {"fidelity": "released", "alpha": 0.5},
        {"momentum": 0.0, "alpha": 0.5},
        {"mixer": "equal", "alpha": 0.5, "momentum": 0.5},
        {"fidelity": "released", "mixer": "equal", "alpha": 0.5},
        {"loss_zs": False, "alpha": 0.5, "momentum": 0.5},
        {"loss_ft": False, "alpha": 0.5, "momentum": 0.5},
        {"texts": ["class"], "alpha": 0.5, "momentum": 0.5},
        {"texts": ["class", "image"], "alpha": 0.5, "momentum": 0.5},
        {"texts": ["class", "group"], "alpha": 0.5, "momentum": 0.5},
        {"texts": ["image", "group"], "alpha": 0.5, "momentum": 0.5},
        {"texts": ["image"], "alpha": 0.5, "momentum": 0.5},
        {"texts": ["group"], "fidelity": "released", "alpha": 0.5},
    ],
    ids=str,
)
@pytest.mark.parametrize("classes", [2, 4])
def test_steps_are_those_of_the_slow_reference(options, classes):
    method = built(classes, **options)
    slow = Slow(method, **options)
    assert method._zero_shot.tolist() == slow.zero_shot
    groups = drawn_groups(method)
    for rows in (range(IMAGES), [4], [0, 8], [1, 2, 3, 5, 8, 9, 11]):
        if len(rows) == 1:  # a new epoch
            method.on_train_epoch_start()
            slow.at_epoch_start = slow.prototypes
        assert step(method, a_batch(rows)) == pytest.approx(slow.step(list(rows), groups), rel=1e-6, abs=1e-6)
        torch.testing.assert_close(
            method.head.prototypes.double(), torch.tensor(slow.prototypes).double(), rtol=0, atol=1e-6
        )
    streams = 2 - (not options.get("loss_zs", True)) - (not options.get("loss_ft", True))
    assert method.head.counts.sum() == streams * (IMAGES + 1 + 2 + 7)


def test_the_released_code_adds_to_each_weight():
    method = built(fidelity="released", texts=["class"])
    texts = method.head.prototypes[:1] + method.head.prototypes[1:2]
    both = torch.cat([texts, method.head.prototypes])
    gaps = method._weights(both) - text_weights(both, method.epoch_prototypes)
    assert gaps.tolist() == pytest.approx([1e-6] * 5, abs=1e-7)


def test_a_single_class():
    method = built(1)
    assert math.isfinite(step(method, a_batch()))
    assert torch.isfinite(method.head.prototypes).all()


@pytest.mark.parametrize("fidelity", ["paper", "released"])
def test_gradients_reach_both_towers_and_never_the_prototypes(fidelity):
    method = built(fidelity=fidelity)
    loss = method.training_step(a_batch(), 0)
    assert not method.head.prototypes.requires_grad
    loss.backward()
    trained = {name for name, parameter in method.named_parameters() if parameter.requires_grad}
    assert {name for name, parameter in method.named_parameters() if parameter.grad is not None} == trained
    assert all(parameter.grad.any() for parameter in method.parameters() if parameter.grad is not None)


def test_a_step_without_any_text_still_reaches_all_parameters():
    """DDP waits for the gradient of every parameter, also where a process's photos have no descriptions."""
    method = built(texts=["image"])
    before = method.head.prototypes.clone()
    loss = method.training_step(a_batch([0, 4]), 0)
    loss.backward()
    method.on_after_backward()
    trained = [parameter for parameter in method.parameters() if parameter.requires_grad]
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in trained)
    torch.testing.assert_close(method.head.prototypes, before)


def test_each_text_is_asked_for_once():
    method = built()
    texts = method.texts_of(a_batch(), method.backbone.encode_image(PIXELS).detach())
    assert len(texts) == len(set(texts))
    assert "a photo of a House Finch." in texts
    assert len(texts) <= 4 + 5 + 5


def test_several_templates_are_averaged():
    templates = ["a photo of a {}.", "{}, a bird"]
    method = built(templates=templates, texts=["class"], alpha=0.0, momentum=0.0, loss_ft=False)
    assert torch.equal(method.head.prototypes, template_features(method.backbone, NAMES, templates))
    step(method, a_batch())
    torch.testing.assert_close(method.head.prototypes, template_features(method.backbone, NAMES, templates))


@pytest.mark.parametrize("fidelity", ["paper", "released"])
def test_mixing_stays_in_float32_under_autocast(fidelity):
    method = built(fidelity=fidelity)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = method.training_step(a_batch(), 0)
        method.on_after_backward()
    assert loss.dtype == torch.float32
    assert method.head.prototypes.dtype == torch.float32
    plain = built(fidelity=fidelity)
    assert loss.item() == pytest.approx(step(plain, a_batch()), rel=2e-2)
    torch.testing.assert_close(method.head.prototypes, plain.head.prototypes, rtol=0, atol=1e-3)


# which group description a photo gets


def image_texts(images, captions, seed=0):
    descriptions = DescriptionTexts([Description("group", f"{n}", class_name="jay") for n in range(captions)])
    sample_ids = [f"{n}.jpg" for n in range(images)]
    return ImageTexts(["finch", "jay"], ["{}"], sample_ids, torch.ones(images, dtype=torch.int64), descriptions, seed)


def test_the_draw_depends_on_seed_epoch_and_photo_alone():
    texts, rows = image_texts(50, 3), torch.arange(50)
    first, second = texts.of_images(rows, 0), texts.of_images(rows, 1)
    assert not torch.equal(first, second)
    assert not torch.equal(first, image_texts(50, 3, seed=1).of_images(rows, 0))
    assert torch.equal(image_texts(50, 3).of_images(rows, 1), second)
    for share in (rows[::2], rows[1::2], rows.flip(0)):
        assert torch.equal(texts.of_images(share, 0), first[share])


def test_all_group_descriptions_are_drawn_alike_often():
    texts = image_texts(3000, 3)
    counts = texts.of_images(torch.arange(3000), 4)[:, 1].bincount()
    assert [texts.words[number] for number in counts.nonzero().flatten().tolist()] == ["0", "1", "2"]
    assert counts[counts > 0].float() / 3000 == pytest.approx([1 / 3] * 3, abs=0.04)


def test_what_is_missing_is_counted():
    assert image_texts(5, 0).missing == (5, 5)
    assert image_texts(5, 1).missing == (5, 0)
    assert image_texts(5, 0).of_images(torch.arange(5), 0).tolist() == [[-1, -1]] * 5


def test_missing_descriptions_are_said(caplog):
    with caplog.at_level(logging.WARNING):
        built()
    assert "3 of 12 photos have no image-description" in caplog.text
    with pytest.raises(FgvrError, match=r"model.texts has 'group', .* set model\.texts to \[class, image\]"):
        built(descriptions=[each for each in DESCRIPTIONS if each.kind == "image"])
    with pytest.raises(FgvrError, match=r"no image-description of any photo.* set model\.texts to \[class\]"):
        built(descriptions=[], texts=["image"])
    built(descriptions=[], texts=["class"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fidelity": "code"}, r"model.fidelity is 'code'; expected one of paper, released"),
        ({"mixer": "off"}, r"model.mixer is 'off'"),
        ({"texts": []}, r"model.texts is \[\]"),
        ({"texts": ["class", "class"]}, "each once"),
        ({"texts": ["caption"]}, r"one to three of class, image, group"),
        ({"loss_zs": False, "loss_ft": False}, "there is no loss"),
        ({"alpha": 1.5}, r"model.alpha is 1.5; expected from 0 to 1"),
        ({"momentum": 1.0}, r"model.momentum is 1.0; expected from 0 to below 1"),
        ({"momentum": 0.99, "fidelity": "released"}, "with model.fidelity released there is none"),
    ],
)
def test_options_that_make_no_sense(options, message):
    with pytest.raises(FgvrError, match=message):
        LatteClipMethod(TinyBackbone(), **options)


# several processes


class Stepping(nn.Module):
    """What Lightning does: DDP's forward is the training step."""

    def __init__(self, method):
        super().__init__()
        self.method = method

    def forward(self, batch):
        return self.method.training_step(batch, 0)


def trained(rank, world_size, options):
    method = built(alpha=0.5, **options)
    parameters = [parameter for parameter in method.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=0.003, eps=1e-3)
    model = Stepping(method)
    stepping = nn.parallel.DistributedDataParallel(model) if world_size > 1 else model
    losses = []
    for number in range(6):
        if number % 3 == 0:
            method.on_train_epoch_start()
        batch = a_batch([[0, 3, 7, 2, 5], [1, 11, 4, 8], [9, 6, 10]][number % 3][rank::world_size])
        loss = stepping(batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        method.on_after_backward()
        losses.append(loss.item())
    return losses, method.head.prototypes, method.head.counts


@pytest.mark.parametrize("options", [{"momentum": 0.5}, {"fidelity": "released"}, {"texts": ["image"]}], ids=str)
def test_two_processes_have_the_prototypes_of_one(ddp_pool, options):
    losses, prototypes, counts = trained(0, 1, options)
    assert losses[5] != pytest.approx(losses[2], rel=1e-3)
    results = ddp_pool.run(trained, options)
    assert torch.equal(results[0][1], results[1][1])
    for its_losses, its_prototypes, its_counts in results:
        assert its_losses == pytest.approx(losses, rel=1e-5)
        torch.testing.assert_close(its_prototypes, prototypes, rtol=0, atol=1e-5)
        assert torch.equal(its_counts, counts)


# in a trainer


def describe(data):
    return [
        *(Description("image", f"photo {number}", sample_id=r.sample_id) for number, r in enumerate(data.support)),
        *(Description("group", f"several {name}", class_name=name) for name in data.images.known_names),
        *(Description("group", f"some {name}", class_name=name) for name in data.images.known_names),
    ]


class Saving(Callback):
    def on_train_epoch_end(self, trainer, method):
        trainer.save_checkpoint(f"{trainer.default_root_dir}/{trainer.current_epoch}.ckpt")


def fit(folder, fidelity="paper", ckpt_path=None):
    data = birds()
    write_descriptions(describe(data), Path(folder) / "descriptions.parquet")
    method = LatteClipMethod(TinyBackbone(), fidelity=fidelity, lr=0.003, alpha=0.5)
    run = trainer(folder, max_epochs=4, callbacks=[Saving()])
    run.fit(method, datamodule=data, ckpt_path=ckpt_path, weights_only=True)
    return method, run, data


@pytest.mark.parametrize("fidelity", ["paper", "released"])
def test_a_resumed_run_equals_the_unbroken_one(tiny_run, fidelity):
    method, _, _ = fit("mine", fidelity)
    resumed, _, _ = fit("again", fidelity, ckpt_path="mine/1.ckpt")
    assert torch.equal(resumed._zero_shot, method._zero_shot)
    state = resumed.state_dict()
    for name, tensor in method.state_dict().items():
        assert torch.equal(state[name], tensor), name
    assert method.head.counts.sum() == 4 * 16 * 2


def test_the_checkpoint_of_a_step_has_the_prototypes_of_that_step(tiny_run):
    steps = ModelCheckpoint("steps", "{step}", every_n_train_steps=1, save_top_k=-1)
    method = LatteClipMethod(TinyBackbone(), texts=["class"], lr=0.003)
    trainer("mine", max_epochs=1, callbacks=[steps], enable_checkpointing=True).fit(method, datamodule=birds())
    saved = [torch.load(f"steps/step={number}.ckpt", weights_only=True)["state_dict"] for number in (1, 2)]
    assert 0 < saved[0]["head.counts"].sum() < saved[1]["head.counts"].sum()


def test_prototypes_are_the_classifier(tiny_run):
    method, run, data = fit("mine")
    start = TinyBackbone()
    start.load()
    zero_shot = template_features(start, method.vocabulary.names, ["a photo of a {}."])
    assert not torch.equal(method.head.class_features(), zero_shot)
    run.test(method, datamodule=data, verbose=False)
    assert [set(prediction.names) for prediction in method.predictions] == [{"latteclip"}] * 12
    first = {prediction.sample_id: prediction.names for prediction in method.predictions}
    later = LatteClipMethod(TinyBackbone())
    trainer("later").test(later, datamodule=birds(), ckpt_path="mine/3.ckpt", weights_only=True, verbose=False)
    assert {prediction.sample_id: prediction.names for prediction in later.predictions} == first


def test_zero_shot_labels_are_of_plain_photos_and_the_weights_before_training(tiny_run):
    method, _, data = fit("mine")
    start = TinyBackbone()
    start.load()
    zero_shot = template_features(start, method.vocabulary.names, ["a photo of a {}."])
    features = torch.from_numpy(data.image_features(data.support, start))
    assert method._zero_shot.tolist() == (features @ zero_shot.T).argmax(1).tolist()
