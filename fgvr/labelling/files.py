"""``labels.parquet`` of a run folder: the labels as a table that other tools can read."""

import math
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from fgvr.checksums import replacing_noted
from fgvr.errors import FgvrError
from fgvr.parquet import read_parquet
from fgvr.records import LabelRecord
from fgvr.text import counted

_SINCE_THEN = (
    *("confidence", "alternatives", "corrected"),
    *("requests", "follow_ups", "follow_ups_usd", "name_before"),
    *("genus", "individual", "doubtful"),
)
"""Columns that the files of older runs lack."""
_MAY_BE_EMPTY = ("confidence", "name_before", "genus")
_ADVICE = "Run the label stage again: it writes it."

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
    with replacing_noted(path) as temporary:
        pq.write_table(pa.table(columns, schema=_SCHEMA), temporary)


def read_labels_file(path: Path) -> list[LabelRecord]:
    """Read what ``write_labels`` wrote, in the order in which it was given.

    Raises:
        FgvrError: The file is missing, is not Parquet, lacks a column, or has a row that is no label.
    """
    table = read_parquet(path, _ADVICE, _SCHEMA, may_lack=_SINCE_THEN)
    rows: list[dict[str, Any]] = table.to_pylist()
    ids: set[str] = set()
    for number, row in enumerate(rows):
        if problem := _problem(row) or ("an earlier row is of the same photo" if row["sample_id"] in ids else ""):
            raise FgvrError(f"{path}, row {number} ({row['sample_id']}): {problem}. {_ADVICE}")
        ids.add(row["sample_id"])
        row.update((key, tuple(value)) for key, value in row.items() if isinstance(value, list))
    return [LabelRecord(**row) for row in rows]


def _problem(row: dict[str, Any]) -> str:
    """What is wrong with a row; ``""`` where nothing is."""
    for key, value in row.items():
        if value is None and key not in _MAY_BE_EMPTY:
            return f"{key} is empty"
        if isinstance(value, float) and not math.isfinite(value):
            return f"{key} is {value}; expected a finite number"
    if None in row["names"] or None in row.get("alternatives", ()):
        return "a name is empty"
    if len(row["scientific_names"]) not in (0, len(row["names"])):
        return f"{len(row['scientific_names'])} in scientific_names, for {counted(len(row['names']), 'name')}"
    return ""
