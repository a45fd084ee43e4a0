"""``predictions.parquet`` of a run folder."""

import math
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from fgvr.files import replacing
from fgvr.records import Prediction
from fgvr.tables import write_csv


def write_predictions(predictions: Sequence[Prediction], path: Path) -> None:
    """Write ``sample_id, split, true_name`` and, for each row of the table, ``<row>_name, <row>_score``.

    Args:
        predictions: At least one; all with the same rows. A score that is NaN is left empty.
        path: The file; Parquet, or CSV where the name ends in ``.csv``.
    """
    columns: dict[str, pa.Array] = {
        "sample_id": pa.array([p.sample_id for p in predictions], pa.string()),
        "split": pa.array([p.split for p in predictions], pa.string()),
        "true_name": pa.array([p.true_name for p in predictions], pa.string()),
    }
    for row in predictions[0].names:
        columns[f"{row}_name"] = pa.array([p.names[row] for p in predictions], pa.string())
        columns[f"{row}_score"] = pa.array(
            [None if math.isnan(p.scores[row]) else p.scores[row] for p in predictions], pa.float32()
        )
    table = pa.table(columns)
    if path.suffix == ".csv":
        # a 32-bit score has seven digits; as a 64-bit one it would be written with sixteen
        shown = [
            [round(cell, 7) if isinstance(cell, float) else cell for cell in column.to_pylist()] for column in table
        ]
        write_csv(path, table.column_names, zip(*shown, strict=True))
        return
    with replacing(path) as temporary:
        pq.write_table(table, temporary)
