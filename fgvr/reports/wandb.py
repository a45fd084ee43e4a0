"""A table of samples for Weights & Biases."""

from collections.abc import Sequence
from pathlib import Path

import wandb
from lightning.pytorch.loggers import WandbLogger
from PIL import Image

from fgvr.candidates.neighbours import spread
from fgvr.images import open_image
from fgvr.methods.base import Method
from fgvr.records import LabelRecord

SAMPLES = 50
THUMBNAIL = 160


def log_samples(logger: WandbLogger, method: Method, labels: Sequence[LabelRecord]) -> None:
    """Log two tables with thumbnails: support photos with their label and candidates, test photos with predictions.

    Args:
        logger: Where to.
        method: After its test pass.
        labels: What the labeler said; may be empty.
    """
    data = method.data
    sets = data.candidate_sets
    if sets is not None and method.vocabulary is not None:
        names = method.vocabulary.names
        label_of = {label.sample_id: ", ".join(label.names) or label.flag for label in labels}
        candidates_of = {
            sample_id: ", ".join(names[index] for index in indices)
            for sample_id, (indices, _) in zip(sets.sample_ids, sets, strict=True)
        }
        rows = [
            [_thumbnail(data.support[i].path), key, label_of.get(key, ""), candidates_of.get(key, "")]
            for i in sorted(spread(len(data.support), SAMPLES))
            for key in [data.support[i].sample_id]
        ]
        logger.log_table("samples/support", ["photo", "sample_id", "label", "candidates"], rows)
    records = data.records_of("test")
    heads = list(method.predictions[0].names)
    rows = [
        [_thumbnail(records[i].path), prediction.sample_id, prediction.true_name]
        + [f"{prediction.names[row]} ({prediction.scores[row]:.2f})" for row in heads]
        for i in sorted(spread(len(records), SAMPLES))
        for prediction in [method.predictions[i]]
    ]
    logger.log_table("samples/test", ["photo", "sample_id", "true_name", *heads], rows)


def _thumbnail(path: Path) -> wandb.Image:
    image = open_image(path)
    image.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.BICUBIC)
    return wandb.Image(image)
