"""``judged.parquet``: every answer with its verdict."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from fgvr.checksums import replacing_noted
from fgvr.judging.answers import JudgedAnswer
from fgvr.parquet import read_parquet
from fgvr.text import encodable

SCHEMA = pa.schema(
    [
        ("sample_id", pa.string()),
        ("repeat", pa.int64()),
        ("request", pa.int64()),
        ("position", pa.int64()),
        ("options", pa.list_(pa.string())),
        ("raw", pa.string()),
        ("answer", pa.string()),
        ("name", pa.string()),
        ("outside", pa.bool_()),
        ("right", pa.bool_()),
        ("labels", pa.list_(pa.string())),
        ("group", pa.string()),
        ("cost_usd", pa.float64()),
        ("seconds", pa.float64()),
    ]
)
_ADVICE = "Remove it: judging again with the same options makes it, and asks nothing that is stored."


def write_judged(answers: Sequence[JudgedAnswer], names: Sequence[str], path: Path) -> None:
    """Write one row for each photo and repeat, whole or not at all.

    Args:
        answers: The answers, in the order of the rows.
        names: The class list.
        path: The file.
    """
    rows = [
        {
            "sample_id": asked.judged.image.sample_id,
            "repeat": asked.repeat,
            "request": asked.request,
            "position": asked.position,
            "options": list(asked.options),
            "raw": encodable(each.said.raw),
            "answer": encodable(each.answer),
            "name": names[each.label] if each.label >= 0 else None,
            "outside": each.outside,
            "right": each.right,
            "labels": [names[label] for label in asked.judged.labels],
            "group": asked.judged.group,
            "cost_usd": each.said.cost_usd,
            "seconds": each.said.seconds,
        }
        for each in answers
        for asked in [each.said.asked]
    ]
    with replacing_noted(path) as temporary:
        pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), temporary)


def read_judged(path: Path) -> pa.Table:
    """Read what :func:`write_judged` wrote.

    Args:
        path: The file.

    Raises:
        FgvrError: It is missing, damaged, or lacks a column.
    """
    return read_parquet(path, _ADVICE, SCHEMA)
