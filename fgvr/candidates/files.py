"""Candidate sets on disk: ``candidates.parquet`` of a run folder, one row per photo, with names instead of indices."""

import difflib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from fgvr.checksums import replacing_noted
from fgvr.errors import FgvrError
from fgvr.parquet import read_parquet
from fgvr.records import CandidateSets
from fgvr.text import composed

_SCHEMA = pa.schema(
    [("sample_id", pa.string()), ("candidates", pa.list_(pa.string())), ("weights", pa.list_(pa.float32()))]
)


def write_candidates(sets: CandidateSets, class_names: Sequence[str], path: Path) -> None:
    """Write ``sets`` as Parquet: columns ``sample_id``, ``candidates`` (names) and ``weights`` (one per candidate).

    The file is there in full or not at all: it is written under another name and then renamed.

    Args:
        sets: What to write.
        class_names: Names in class-index order.
        path: Where to; its folder is made if it does not exist.
    """
    offsets = pa.array(sets.offsets, pa.int32())
    names = pa.array(class_names, pa.string()).take(pa.array(sets.indices))
    weights = pa.array(sets.weights)
    columns = [
        pa.array(sets.sample_ids, pa.string()),
        pa.ListArray.from_arrays(offsets, names),
        pa.ListArray.from_arrays(offsets, weights),
    ]
    with replacing_noted(path) as temporary:
        pq.write_table(pa.table(columns, schema=_SCHEMA), temporary)


def read_candidates(path: Path, class_names: Sequence[str]) -> CandidateSets:
    """Read what :func:`write_candidates` wrote, or what another tool wrote in its form.

    Args:
        path: The Parquet file. Columns besides the three are ignored.
        class_names: Names in class-index order: the vocabulary that the candidates must be from.

    Raises:
        FgvrError: The file is missing or not Parquet, lacks a column or has one of another type; or a row (counted
            from 0) has no sample id or that of an earlier row, a name outside the vocabulary, or is no candidate set.
    """
    table = read_parquet(path, "The candidates stage writes it.", _SCHEMA)
    sample_ids, names, weights = (table.column(name).combine_chunks() for name in _SCHEMA.names)
    sizes, weight_counts = (pc.fill_null(pc.list_value_length(lists), 0).to_numpy() for lists in (names, weights))
    ids = [composed(sample_id or "") for sample_id in sample_ids.to_pylist()]

    def refuse(rows: NDArray[np.intp], problem: str) -> None:
        if len(rows):
            raise FgvrError(f"{path}, row {rows[0]} ({ids[rows[0]]}): {problem}")

    refuse(np.flatnonzero([not sample_id for sample_id in ids]), "sample_id is empty; every row needs a photo.")
    _, first_rows = np.unique(ids, return_index=True)
    refuse(np.setdiff1d(np.arange(len(ids)), first_rows), "an earlier row is of the same photo; keep one of them.")
    refuse(np.flatnonzero(sizes != weight_counts), "there are not as many weights as candidates.")

    flat_names = names.flatten()
    indices = pc.index_in(flat_names, value_set=pa.array(class_names, pa.string()))
    outside = np.flatnonzero(indices.is_null().to_numpy(zero_copy_only=False))
    if len(outside):
        name = str(flat_names[outside[0]].as_py())
        near = difflib.get_close_matches(name, class_names, n=1)
        hint = f"Did you mean {near[0]!r}?" if near else "Was the file made for another vocabulary?"
        refuse(np.repeat(np.arange(len(ids)), sizes)[outside], f"{name!r} is not a class name of this run. {hint}")
    try:
        return CandidateSets(
            sample_ids=tuple(ids),
            offsets=np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)]),
            indices=indices.to_numpy().astype(np.int64),
            weights=np.nan_to_num(weights.flatten().to_numpy(zero_copy_only=False)),  # missing ones: not positive
        )
    except FgvrError as error:
        raise FgvrError(f"{path}: {error}") from error
