"""``predictions.parquet`` of a run folder."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from fgvr.files import replacing
from fgvr.records import Prediction


def write_predictions(predictions: Sequence[Prediction], path: Path) -> None:
    """Write ``sample_id, split, true_name`` and, for each row of the table, ``<row>_name, <row>_score``.

    Args:
        predictions: At least one; all with the same rows.
        path: The Parquet file.
    """
    columns: dict[str, pa.Array] = {
        "sample_id": pa.array([p.sample_id for p in predictions], pa.string()),
        "split": pa.array([p.split for p in predictions], pa.string()),
        "true_name": pa.array([p.true_name for p in predictions], pa.string()),
    }
    for row in predictions[0].names:
        columns[f"{row}_name"] = pa.array([p.names[row] for p in predictions], pa.string())
        columns[f"{row}_score"] = pa.array([p.scores[row] for p in predictions], pa.float32())
    with replacing(path) as temporary:
        pq.write_table(pa.table(columns), temporary)
