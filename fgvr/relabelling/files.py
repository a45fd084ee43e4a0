"""Relabelling on disk: ``relabelling.parquet`` of a run folder says what support photos were and are said to show."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from fgvr.candidates.files import read_columns
from fgvr.errors import FgvrError
from fgvr.files import replacing
from fgvr.records import CandidateSets
from fgvr.relabelling.gate import Verdict

_SCHEMA = pa.schema(
    [
        ("sample_id", pa.string()),
        ("before", pa.list_(pa.string())),
        ("before_weights", pa.list_(pa.float32())),
        ("after", pa.list_(pa.string())),
        ("after_weights", pa.list_(pa.float32())),
    ]
)
_KEY = b"fgvr.relabelling"


@dataclass(frozen=True)
class Relabelled:
    """What a run's relabelling did.

    Attributes:
        name: Short name of the relabelling, its class's in files of older versions.
        verdict: What the gate found.
        changed: Support photos whose first name is another one: sample id -> the name before (``""`` where there was
            none) and after.
        images: How many support photos have a name after it.
    """

    name: str
    verdict: Verdict
    changed: dict[str, tuple[str, str]]
    images: int


def write_relabelling(
    name: str, verdict: Verdict, before: CandidateSets, after: CandidateSets, class_names: Sequence[str], path: Path
) -> None:
    """Write what was changed, in the order of the photos of ``after``.

    Args:
        name: Short name of the relabelling.
        verdict: What the gate found.
        before: Candidate sets before it.
        after: And after it: those of at least as many photos.
        class_names: The vocabulary.
        path: The file.
    """
    sets_before = _as_lists(before, class_names)
    rows = [
        {
            "sample_id": sample_id,
            "before": sets_before.get(sample_id, ([], []))[0],
            "before_weights": sets_before.get(sample_id, ([], []))[1],
            "after": names,
            "after_weights": weights,
        }
        for sample_id, (names, weights) in _as_lists(after, class_names).items()
    ]
    meta = json.dumps({"name": name, **asdict(verdict)})
    table = pa.Table.from_pylist(rows, schema=_SCHEMA).replace_schema_metadata({_KEY: meta})
    with replacing(path) as temporary:
        pq.write_table(table, temporary)


def read_relabelling(path: Path) -> Relabelled:
    """What a run's relabelling did.

    Raises:
        FgvrError: The file is missing, damaged or says nothing of the gate.
    """
    rows = read_columns(path, _SCHEMA).to_pylist()
    changed = {}
    for row in rows:
        first, now = ((names or [""])[0] for names in (row["before"], row["after"]))
        if first != now:
            changed[row["sample_id"]] = first, now
    said = read_verdict(path)
    return Relabelled(said["name"], Verdict(**{key: said[key] for key in said if key != "name"}), changed, len(rows))


def read_verdict(path: Path) -> dict[str, Any]:
    """The fields of the :class:`~fgvr.relabelling.gate.Verdict` in a file, and ``name``.

    Raises:
        FgvrError: The file is damaged, or says nothing of it.
    """
    try:
        said = json.loads((pq.read_schema(path).metadata or {})[_KEY])
        Verdict(**{key: said[key] for key in said if key != "name"})
    except (pa.ArrowException, OSError, KeyError, ValueError, TypeError) as error:
        raise FgvrError(f"{path} does not say whether names were said anew ({error}): start a new run.") from error
    return dict(said)


def _as_lists(sets: CandidateSets, class_names: Sequence[str]) -> dict[str, tuple[list[str], list[float]]]:
    return {
        sample_id: ([class_names[index] for index in indices.tolist()], weights.tolist())
        for sample_id, (indices, weights) in zip(sets.sample_ids, sets, strict=True)
    }
