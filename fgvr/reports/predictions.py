"""``predictions.parquet`` of a run folder."""

import math
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as pq

from fgvr.files import replacing
from fgvr.records import Prediction


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
    with replacing(path) as temporary:
        write = csv.write_csv if path.suffix == ".csv" else pq.write_table
        write(pa.table(columns), temporary)
