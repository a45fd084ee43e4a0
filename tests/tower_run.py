"""Photos with known class names, and a trainer, for methods that train the towers."""

from pathlib import Path

import pytest
from lightning.pytorch import Trainer

from fgvr.data.datamodule import FgvrDataModule
from fgvr.datasets.manifest import ManifestDataset
from fgvr.labelers.recorded import RecordedLabeler

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


def birds(root="birds", **options):
    """The photos of ``tiny_run`` with their names as the vocabulary."""
    return FgvrDataModule(ManifestDataset(root), **{"class_names": "dataset", "batch_size": 5, **options})


def labelled_birds(dataset=None, labeler=None, **options):
    """The same with the names of the recorded replies."""
    labeler = labeler or RecordedLabeler(Path("replies.jsonl"))
    data = FgvrDataModule(dataset or ManifestDataset("birds"), labeler, **{"batch_size": 5, **options})
    data.label()
    return data


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
