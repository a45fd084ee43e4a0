"""``predictions.parquet`` of a run folder: what each row of the result table says of each photo."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fgvr.checksums import replacing_noted
from fgvr.errors import FgvrError
from fgvr.parquet import cast_columns, read_parquet
from fgvr.records import Prediction
from fgvr.tables import write_csv
from fgvr.text import visible

_ADVICE = "Remove it: going on with a trained run makes it again; a test or a prediction is run again."
_ID = pa.field("sample_id", pa.string())


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
    write_prediction_table(table, path)


def write_prediction_table(table: pa.Table, path: Path) -> None:
    """Write predictions that are a table already, whole or not at all.

    Args:
        table: What :func:`read_prediction_table` gives, with other rows.
        path: The Parquet file.
    """
    with replacing_noted(path) as temporary:
        pq.write_table(table, temporary)


def read_prediction_table(path: Path) -> pa.Table:
    """Read what :func:`write_predictions` wrote, with its columns as they are.

    Args:
        path: The Parquet file.

    Raises:
        FgvrError: It is missing, is not Parquet, lacks a column or has one of another type, or has a row without a
            photo, or with that of an earlier one.
    """
    table = read_parquet(path, _ADVICE)
    if not {"sample_id", "true_name"} <= set(table.column_names):
        raise FgvrError(
            f"{path} has columns {visible(', '.join(table.column_names), 200)}; it needs sample_id and true_name, and "
            f"for each row of the table ROW_name and ROW_score. {_ADVICE}"
        )
    types = {"_name": pa.string(), "_score": pa.float32()}
    fields = [
        pa.field(field.name, next((kind for end, kind in types.items() if field.name.endswith(end)), field.type))
        for field in table.schema
    ]
    table = cast_columns(table, pa.schema(fields).set(table.column_names.index("sample_id"), _ID), path, _ADVICE)
    ids = table["sample_id"].to_pylist()
    if None in ids or len(set(ids)) < len(ids):
        raise FgvrError(f"{path}: a row has no sample_id, or that of an earlier one. {_ADVICE}")
    for name in table.column_names:
        if name.endswith("_score"):
            scores = table[name].to_numpy()
            # the last digit of a sum of probabilities may be any
            if not ((scores > -0.001) & (scores < 1.001) | np.isnan(scores)).all():
                raise FgvrError(f"{path}: {name} holds {np.nanmax(np.abs(scores))}; expected 0 to 1. {_ADVICE}")
    return table
