"""``labels.parquet`` of a run folder: the labels as a table that other tools can read."""

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from fgvr.errors import FgvrError
from fgvr.files import replacing
from fgvr.records import LabelRecord

_SINCE_THEN = (
    *("confidence", "alternatives", "corrected"),
    *("requests", "follow_ups", "follow_ups_usd", "name_before"),
    *("genus", "individual", "doubtful"),
)
"""Columns that the files of older runs lack."""

_SCHEMA = pa.schema(
    [
        ("sample_id", pa.string()),
        ("names", pa.list_(pa.string())),
        ("scientific_names", pa.list_(pa.string())),
        ("flag", pa.string()),
        ("raw", pa.string()),
        ("model", pa.string()),
        ("cost_usd", pa.float64()),
        ("seconds", pa.float64()),
        ("confidence", pa.float64()),
        ("alternatives", pa.list_(pa.string())),
        ("corrected", pa.bool_()),
        ("requests", pa.int64()),
        ("follow_ups", pa.int64()),
        ("follow_ups_usd", pa.float64()),
        ("name_before", pa.string()),
        ("genus", pa.string()),
        ("individual", pa.string()),
        ("doubtful", pa.bool_()),
    ]
)


def write_labels(labels: Sequence[LabelRecord], path: Path) -> None:
    """Write one row per photo; a file of that name is replaced when the new one is complete.

    Args:
        labels: One label a photo.
        path: The Parquet file; its folder is made where it does not exist.
    """
    columns = {
        field.name: pa.array([getattr(label, field.name) for label in labels], _SCHEMA.field(field.name).type)
        for field in fields(LabelRecord)
    }
    with replacing(path) as temporary:
        pq.write_table(pa.table(columns, schema=_SCHEMA), temporary)


def read_labels_file(path: Path) -> list[LabelRecord]:
    """Read what ``write_labels`` wrote, in the order in which it was given.

    Raises:
        FgvrError: The file is missing, is not Parquet, or lacks a column.
    """
    if not path.is_file():
        raise FgvrError(f"There is no {str(path)!r}: the label stage writes it.")
    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise FgvrError(f"{str(path)!r} is not a Parquet file ({error}): run the label stage again.") from error
    lacking = [name for name in _SCHEMA.names if name not in (*table.column_names, *_SINCE_THEN)]
    if lacking:
        raise FgvrError(
            f"{str(path)!r} lacks the column(s) {', '.join(lacking)} and has {', '.join(table.column_names)}: "
            "run the label stage again."
        )
    rows: list[dict[str, Any]] = table.select([n for n in _SCHEMA.names if n in table.column_names]).to_pylist()
    for row in rows:
        row.update((key, tuple(value)) for key, value in row.items() if isinstance(value, list))
    return [LabelRecord(**row) for row in rows]
