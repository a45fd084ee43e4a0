"""Tables for Weights & Biases: samples, and the results."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import wandb
from lightning.pytorch.loggers import WandbLogger
from PIL import Image

from fgvr.candidates.neighbours import spread
from fgvr.images import open_image
from fgvr.methods.base import Method
from fgvr.records import LabelRecord
from fgvr.reports.table import COLUMNS

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


def results_table(rows: Mapping[str, Mapping[str, Any]]) -> tuple[list[str], list[list[Any]]]:
    """The result table: a column for each figure, with both ends of its 95 % interval beside it, and for each mark.

    Args:
        rows: Row name -> its record, as in ``metrics.json``.

    Returns:
        The columns, and a line for each row; what a row lacks is ``None``.

    Example:
        >>> results_table({"coop": {"cacc": 79.3, "intervals": {"cacc": [76.6, 81.8]}, "simulated": True}})
        (['row', 'cacc', 'cacc low', 'cacc high', 'simulated', 'oracle'], [['coop', 79.3, 76.6, 81.8, True, False]])
    """
    found = {
        key: None
        for record in rows.values()
        for key, value in record.items()
        if isinstance(value, int | float) and not isinstance(value, bool)
    }
    order = [*(key for key in COLUMNS if key in found), *(key for key in found if key not in COLUMNS)]
    intervals = {name: record.get("intervals") or {} for name, record in rows.items()}
    columns = ["row"]
    lines: list[list[Any]] = [[name] for name in rows]
    for key in order:
        with_ends = any(key in ends for ends in intervals.values())
        columns += [key, *([f"{key} low", f"{key} high"] if with_ends else [])]
        for line, (name, record) in zip(lines, rows.items(), strict=True):
            line += [record.get(key), *(intervals[name].get(key, (None, None)) if with_ends else ())]
    marks: tuple[str, ...] = ("simulated", "oracle")
    for line, record in zip(lines, rows.values(), strict=True):
        line += [record.get(mark) is True for mark in marks]
    if any(record.get("captions") for record in rows.values()):
        marks = (*marks, "captions")
        for line, record in zip(lines, rows.values(), strict=True):
            line.append(record.get("captions"))
    return [*columns, *marks], lines


def _thumbnail(path: Path) -> wandb.Image:
    image = open_image(path)
    image.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.BICUBIC)
    return wandb.Image(image)
