"""A backbone of a few weights whose towers can be trained, and batches of support photos without candidate sets."""

import pytest
from lightning.pytorch import Trainer

from fgvr.data.augmentation import augmented
from fgvr.data.batches import PixelBatches
from fgvr.data.datamodule import FgvrDataModule, run_seed
from fgvr.data.manifest import ManifestDataset
from fgvr.testing.tiny import TinyBackbone
from fgvr.vocabulary.files import read_vocabulary

QUIET = [
    pytest.mark.filterwarnings(f"ignore:{message}")
    for message in (
        ".*LeafSpec",
        "Found .* eval mode",
        ".*many workers",
        "The number of training batches",
        "predict returned None",
    )
]


class TrainableTiny(TinyBackbone):
    """With gradients for the text tower."""

    def embed_text(self, texts):
        return TinyBackbone.encode_text.__wrapped__(self, texts, truncate=True)


class SupportDataModule(FgvrDataModule):
    """What the data module does for a method without candidate sets: all support photos, as pixels."""

    def needs_labels(self, learner):
        return self.class_names == "labels"

    def prepare_data(self):
        self._learner().backbone.load()
        if self.vocabulary is None:
            self.make_vocabulary(self._learner())

    def setup(self, stage):
        self._learner().backbone.load()
        self.vocabulary = self.vocabulary or read_vocabulary(self._folder().vocabulary)

    def train_dataloader(self):
        transform = self._learner().backbone.transform
        view = augmented(transform) if self.augment else transform
        return self._loader(PixelBatches(self.support, view, run_seed()), shuffle=True)


def birds(root="birds", **options):
    """The photos of ``tiny_run`` with their names as the label space."""
    return SupportDataModule(ManifestDataset(root), **{"class_names": "dataset", "batch_size": 5, **options})


def trainer(folder, **options):
    """On the CPU, without logs, checkpoints and validation."""
    options = {"logger": False, "enable_checkpointing": False, "max_epochs": 3, **options}
    return Trainer(
        accelerator="cpu",
        default_root_dir=folder,
        enable_progress_bar=False,
        enable_model_summary=False,
        limit_val_batches=0,
        use_distributed_sampler=False,
        **options,
    )
