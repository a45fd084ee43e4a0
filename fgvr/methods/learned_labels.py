"""``pseudo_labels.parquet`` of a run folder: which labels of its own making each model learned, in each stage."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from torch import Tensor

from fgvr.files import replacing

SCHEMA = pa.schema(
    [
        ("stage", pa.int32()),
        ("model", pa.int32()),
        ("sample_id", pa.string()),
        ("name", pa.string()),
    ]
)
"""Stages and models are counted from 1; a photo that a model did not learn from has no row."""


def write_pseudo_labels(
    learned: Mapping[int, Tensor], sample_ids: Sequence[str], names: Sequence[str], path: Path
) -> None:
    """Write one row for each label, whole or not at all.

    Args:
        learned: Number of the stage, from 0 -> the class that each model learned of each photo, -1 for none, int64,
            shape ``(M, N)``.
        sample_ids: The N photos.
        names: Class names, in class-index order.
        path: The Parquet file.
    """
    columns: list[list[int | str]] = [[], [], [], []]
    for stage, targets in sorted(learned.items()):
        models, photos = np.nonzero((targets >= 0).cpu().numpy())
        classes = targets.cpu().numpy()[models, photos].tolist()
        columns[0] += [stage + 1] * len(models)
        columns[1] += (models + 1).tolist()
        columns[2] += [sample_ids[photo] for photo in photos.tolist()]
        columns[3] += [names[label] for label in classes]
    arrays = [pa.array(column, field.type) for column, field in zip(columns, SCHEMA, strict=True)]
    with replacing(path) as temporary:
        pq.write_table(pa.table(arrays, schema=SCHEMA), temporary)
