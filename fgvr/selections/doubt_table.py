"""``doubt.parquet`` of a run folder: how doubtful what the run learned finds each photo that may be asked about."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fgvr.checksums import replacing_noted
from fgvr.errors import FgvrError
from fgvr.parquet import read_parquet

Asked = Literal["unasked", "nameless", "named", "given"]
"""What was known of a photo when the run learned: nobody was asked about it, a labeler gave it no usable name, a model
gave it one, or it was given one that no model said: by a person's correction, or in a table of names."""

_ADVICE = "Remove it: the label stage with the selection uncertain makes it again."
_SCHEMA = pa.schema(
    [
        ("sample_id", pa.string()),
        ("name", pa.string()),
        ("confidence", pa.float32()),
        ("p_clean", pa.float32()),
        ("doubt", pa.float32()),
        ("asked", pa.string()),
    ]
)


@dataclass(frozen=True)
class DoubtfulPhoto:
    """What a run finds of one photo.

    Attributes:
        sample_id: The photo.
        name: The class that the run's own row gives it.
        confidence: Log-odds of that class against all others.
        p_clean: How likely the label is right by negative prompts, from 0 to 1; ``None`` for methods without.
        doubt: What the run's filter orders photos by, higher for more doubtful; infinite where nothing is known.
        asked: What was known of it before.
    """

    sample_id: str
    name: str
    confidence: float
    p_clean: float | None
    doubt: float
    asked: Asked


def write_doubt_table(photos: Sequence[DoubtfulPhoto], path: Path) -> None:
    """Write one row a photo, whole or not at all.

    Args:
        photos: What the run finds.
        path: The Parquet file.
    """
    columns = [pa.array([getattr(photo, field.name) for photo in photos], field.type) for field in _SCHEMA]
    with replacing_noted(path) as temporary:
        pq.write_table(pa.table(columns, schema=_SCHEMA), temporary)


def read_doubt_table(path: Path) -> list[DoubtfulPhoto]:
    """Read what :func:`write_doubt_table` wrote.

    Raises:
        FgvrError: The file is missing, damaged, or has a row that is none; the message names the row.
    """
    table = read_parquet(path, _ADVICE, _SCHEMA)
    photos = [DoubtfulPhoto(**row) for row in table.to_pylist()]
    seen: set[str] = set()
    for number, photo in enumerate(photos):
        if problem := _problem(photo) or ("an earlier row is of the same photo" if photo.sample_id in seen else ""):
            raise FgvrError(f"{path}, row {number}: {problem}. {_ADVICE}")
        seen.add(photo.sample_id)
    return photos


def _problem(photo: DoubtfulPhoto) -> str:
    """What is wrong with a row; ``""`` where nothing is."""
    if empty := next((key for key, value in vars(photo).items() if value is None and key != "p_clean"), ""):
        return f"{empty} is empty"
    if np.isnan([photo.confidence, photo.doubt]).any():
        return "confidence or doubt is not a number"
    if photo.p_clean is not None and not 0 <= photo.p_clean <= 1:
        return f"p_clean is {photo.p_clean}; expected 0 to 1"
    return (
        "" if photo.asked in get_args(Asked) else f"asked is {photo.asked!r:.40}; expected {', '.join(get_args(Asked))}"
    )
