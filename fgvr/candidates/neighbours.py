"""The support photos that look most like each one: ``neighbours.parquet`` of a run folder, for people to read."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from fgvr.candidates.features import unit
from fgvr.candidates.nearest import nearest_and_similarity
from fgvr.checksums import replacing_noted
from fgvr.errors import FgvrError
from fgvr.parquet import read_parquet

NEIGHBOURS = 5
"""How many of each photo."""
MAX_IMAGES = 2000
"""A report shows no more support photos than these, and neighbours are searched for these alone."""

_SCHEMA = pa.schema(
    [("sample_id", pa.string()), ("neighbours", pa.list_(pa.string())), ("similarity", pa.list_(pa.float32()))]
)


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The nearest photos of one photo.

    Attributes:
        sample_id: The photo.
        neighbours: Sample ids of other support photos, nearest first.
        similarity: Cosine similarity with each of them, in [-1, 1].
    """

    sample_id: str
    neighbours: tuple[str, ...]
    similarity: tuple[float, ...]


def find_neighbours(
    sample_ids: Sequence[str], features: NDArray[np.float32], k: int = NEIGHBOURS, limit: int = MAX_IMAGES
) -> list[Neighbours]:
    """The k nearest other photos by cosine similarity in image-feature space, nearest first.

    Args:
        sample_ids: The N support photos.
        features: L2-normalised, shape ``(N, D)``.
        k: How many; all others where there are fewer.
        limit: Find them for this many photos, those that :func:`spread` chooses from the N.

    Example:
        >>> features = np.array([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]], dtype=np.float32)
        >>> find_neighbours(["a.jpg", "b.jpg", "c.jpg"], features, k=1)[0].neighbours
        ('c.jpg',)
    """
    shown = np.array(sorted(spread(len(features), limit)), dtype=np.intp)
    everyone = np.arange(len(features))
    others, similarity = nearest_and_similarity(unit(features), everyone, k + 1, queries=shown)
    others, similarity = others[:, 1:], similarity[:, 1:]  # the photo itself comes first
    return [
        Neighbours(sample_ids[image], tuple(sample_ids[other] for other in near), tuple(row))
        for image, near, row in zip(shown.tolist(), others.tolist(), similarity.tolist(), strict=True)
    ]


def spread(total: int, most: int) -> list[int]:
    """At most ``most`` of ``total`` photos, evenly spread, in an order in which every beginning is spread too.

    Example:
        >>> spread(8, 4)
        [0, 4, 2, 6]
    """
    if total == 0:
        return []
    bits = max((total - 1).bit_length(), 1)
    order = (int(f"{number:0{bits}b}"[::-1], 2) for number in range(2**bits))
    return [number for number in order if number < total][:most]


def write_neighbours(rows: Sequence[Neighbours], path: Path) -> None:
    """Write columns ``sample_id``, ``neighbours`` (sample ids) and ``similarity``; whole or not at all.

    Args:
        rows: One a photo.
        path: The Parquet file; its folder is made if it does not exist.
    """
    columns = [[getattr(row, name) for row in rows] for name in _SCHEMA.names]
    arrays = [pa.array(column, field.type) for column, field in zip(columns, _SCHEMA, strict=True)]
    with replacing_noted(path) as temporary:
        pq.write_table(pa.table(arrays, schema=_SCHEMA), temporary)


def read_neighbours(path: Path) -> list[Neighbours]:
    """Read what :func:`write_neighbours` wrote.

    Args:
        path: The Parquet file. Columns besides the three are ignored.

    Raises:
        FgvrError: The file is missing or not Parquet, lacks a column or has one of another type; or a row (counted
            from 0) has no sample id, or not one similarity from -1 to 1 for each neighbour.
    """
    advice = "Delete the file: reports do without it."
    table = read_parquet(path, advice, _SCHEMA)
    found = []
    for number, row in enumerate(table.to_pylist()):
        others, similarity = row["neighbours"] or [], row["similarity"] or []
        close = [each is not None and -1.01 <= each <= 1.01 for each in similarity]  # rounded in half precision
        if row["sample_id"] is None or len(others) != len(similarity) or None in others or not all(close):
            raise FgvrError(
                f"{path}, row {number} ({row['sample_id']}): expected a sample_id, and one similarity from -1 to 1 for "
                f"each neighbour. {advice}"
            )
        found.append(Neighbours(row["sample_id"], tuple(others), tuple(similarity)))
    return found
