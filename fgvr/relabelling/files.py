"""Relabelling on disk: ``relabelling.parquet`` of a run folder says what support photos were and are said to show."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from fgvr.checksums import replacing_noted
from fgvr.errors import FgvrError
from fgvr.parquet import read_metadata, read_parquet, said
from fgvr.records import CandidateSets
from fgvr.relabelling.gate import Verdict
from fgvr.text import visible

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
_ADVICE = "Start a new run."


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
    with replacing_noted(path) as temporary:
        pq.write_table(table, temporary)


def read_relabelling(path: Path) -> Relabelled:
    """What a run's relabelling did.

    Raises:
        FgvrError: The file is missing, damaged or says nothing of the gate.
    """
    rows = read_parquet(path, _ADVICE, _SCHEMA).to_pylist()
    changed = {}
    for number, row in enumerate(rows):
        for names, weights in (("before", "before_weights"), ("after", "after_weights")):
            row[names], row[weights] = row[names] or [], row[weights] or []
            if len(row[names]) != len(row[weights]) or None in row[names]:
                raise FgvrError(f"{path}, row {number}: expected one of {weights} for each name {names}. {_ADVICE}")
        if row["sample_id"] is None:
            raise FgvrError(f"{path}, row {number}: sample_id is empty. {_ADVICE}")
        first, now = ((names or [""])[0] for names in (row["before"], row["after"]))
        if first != now:
            changed[row["sample_id"]] = first, now
    verdict = read_verdict(path)
    name = verdict.pop("name")
    return Relabelled(name, Verdict(**verdict), changed, len(rows))


def read_verdict(path: Path) -> dict[str, Any]:
    """The fields of the :class:`~fgvr.relabelling.gate.Verdict` in a file, and ``name``.

    Raises:
        FgvrError: The file is damaged, or says nothing of it.
    """
    try:
        found = json.loads(read_metadata(path, _KEY))
    except (ValueError, RecursionError) as error:
        raise FgvrError(f"{path} does not say whether names were said anew ({said(error)}). {_ADVICE}") from None
    checks = {
        "name": lambda value: isinstance(value, str),
        "reason": lambda value: isinstance(value, str),
        "applied": lambda value: isinstance(value, bool),
        "agreement": _is_share,
        "hidden_before": lambda value: value is None or _is_share(value),
        "hidden_after": lambda value: value is None or _is_share(value),
    }
    if not isinstance(found, dict) or found.keys() != checks.keys():
        raise FgvrError(f"{path}: its metadata has not the keys {', '.join(checks)} alone. {_ADVICE}")
    for key, holds in checks.items():
        if not holds(found[key]):
            raise FgvrError(f"{path}: {key} in its metadata is {visible(repr(found[key]), 60)}. {_ADVICE}")
    return found


def _is_share(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def _as_lists(sets: CandidateSets, class_names: Sequence[str]) -> dict[str, tuple[list[str], list[float]]]:
    return {
        sample_id: ([class_names[index] for index in indices.tolist()], weights.tolist())
        for sample_id, (indices, weights) in zip(sets.sample_ids, sets, strict=True)
    }
