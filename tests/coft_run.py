"""Runs of CoFT and CoFT+ on the tiny backbone, and what callbacks keep of them."""

import torch
from lightning.pytorch import Callback
from slow_coft import SCALE
from tower_run import birds, trainer

from fgvr.images import open_image
from fgvr.methods.coft import CoftMethod
from fgvr.testing.tiny import TinyBackbone

OPTIONS = [
    *["--data.dataset", "manifest", "--data.dataset.root", "birds", "--data.class_names", "dataset"],
    *["--data.batch_size", "6", "--data.augment", "coop"],
    *["--model", "coft", "--model.backbone", "fgvr.testing.tiny.TinyBackbone", "--model.n_ctx", "4"],
    *["--model.visual_tokens", "3", "--model.prompt_lr", "0.3", "--model.tower_lr", "0.01"],
    *["--trainer.accelerator", "cpu", "--trainer.max_epochs", "4"],
]
PROMPTS = ("positive", "negative", "tokens")
TOWER = ("weight", "bias", "head", "offset")


class Watch(Callback):
    """Keeps what the models are before the training, and of each step its photos, pixels, rates, labels and loss."""

    def __init__(self):
        self.steps = []

    def on_train_start(self, trainer, method):
        self.start = [state_of(model) for model in method.models]

    def on_train_batch_start(self, trainer, method, batch, batch_idx):
        rates = [group["lr"] for group in trainer.optimizers[0].param_groups]
        kept = {"epoch": trainer.current_epoch, "rows": batch.rows.tolist(), "pixels": batch.images.clone()}
        kept["views"] = None if batch.views is None else batch.views[0].clone()
        self.steps.append(kept | {"rates": rates, "targets": method.targets.clone()})

    def on_train_batch_end(self, trainer, method, outputs, batch, batch_idx):
        others = None if method._others is None else method._others[1].clone()
        self.steps[-1] |= {"loss": outputs["loss"].item(), "others": others}


def state_of(model):
    found = {"positive": model.positive.context, "negative": model.negative.context}
    if model.visual is not None:
        found["tokens"] = model.visual.tokens
    if model.tower is not None:
        found |= {name.rpartition("/")[2]: weight for name, weight in model.tower.weights.items()}
        found |= {"head": model.head.weight, "offset": model.head.bias}
    return {name: value.detach().clone() for name, value in found.items()}


def fitted(folder, data=None, epochs=4, checkpoint=None, run=None, method=CoftMethod, **options):
    options = {"n_ctx": 4, "visual_tokens": 3, "prompt_lr": 0.3, "tower_lr": 0.01, **options}
    made, watch = method(options.pop("backbone", None) or TinyBackbone(logit_scale=SCALE), **options), Watch()
    data = data or birds(augment="coop", batch_size=6)
    run = run or trainer(folder, max_epochs=epochs, callbacks=[watch])
    run.fit(made, datamodule=data, ckpt_path=checkpoint)
    return made, data, run, watch


def plain(data, backbone):
    return torch.stack([backbone.transform(open_image(record.path)) for record in data.support])


class Stop(Callback):
    """Ends the training with an epoch."""

    def __init__(self, epochs):
        self.epochs = epochs

    def on_train_epoch_end(self, trainer, method):
        trainer.should_stop = trainer.current_epoch + 1 == self.epochs
