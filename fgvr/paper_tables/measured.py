"""What a table is made of: one row of a result table on one data set, and how it was measured."""

import json
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fgvr.text import counted

DIRECT = ("labeler", "labeler_direct")
"""Rows for which the labeler was asked about every evaluated photo: upper bounds of what is learned from it."""


@dataclass(frozen=True)
class Source:
    """Where the figures of one seed are from.

    Attributes:
        folder: The run folder.
        row: The row's name there.
        seed: The seed; ``None`` where it is not known.
        record: Its record in ``metrics.json``.
        photos: SHA-256 of the sorted photos and their true names; ``""`` where the run left no predictions.
    """

    folder: Path
    row: str
    seed: int | None
    record: Mapping[str, Any]
    photos: str


@dataclass(frozen=True)
class Measured:
    """A row of a result table on one data set, over one seed or several.

    Attributes:
        row: Its name in ``metrics.json``.
        dataset: Name of the data set.
        namer: The model whose names were learned from or scored; ``""`` where none was asked.
        varied: What a sweep has varied for it, option -> value.
        marks: What a reader must know of it: ``simulated``, ``oracle``, ``transductive``, ``closed``, the protocol of a
            judged labeler, and whose captions its names are from.
        backbone: What sees the photos; ``""`` where nothing does.
        sources: One for each seed, at least one.
        run: Words that tell it from another row of the same title; ``""`` where there is none.
        equal: Folders of other runs of which a row of the same title has the same figures, and is left out.
    """

    row: str
    dataset: str
    namer: str
    varied: Mapping[str, Any]
    marks: tuple[str, ...]
    backbone: str
    sources: tuple[Source, ...]
    run: str = ""
    equal: tuple[Path, ...] = ()

    @property
    def title(self) -> str:
        """Its name in a table."""
        direct = self.row in DIRECT and self.namer
        said = "; ".join(part for part in ("" if direct else self.namer, ", ".join(self.marks)) if part)
        name = f"{self.namer if direct else self.row}{f' ({said})' if said else ''}"
        varied = [f"{column}={value}" for column, value in self.varied.items()]
        return ", ".join([name, *varied, *([self.run] if self.run else [])])

    @property
    def record(self) -> Mapping[str, Any]:
        """The record of its first seed."""
        return self.sources[0].record

    @property
    def is_bound(self) -> bool:
        """Whether it is an upper bound: true names were used, or the labeler was asked about every photo."""
        return "oracle" in self.marks or self.row in DIRECT

    @property
    def is_earlier(self) -> bool:
        """Whether it is one of the vocabulary-free methods that the FGVR paper is held against, or builds on one."""
        return bool(self.record.get("captions")) or self.row.removesuffix("_names") in ("finer", "e_finer")

    @property
    def is_judged(self) -> bool:
        """Whether it is a labeler that was judged under a protocol."""
        return "protocol" in self.record

    def values(self, figure: str) -> tuple[float, ...]:
        """The figure of each seed; empty where one of them lacks it."""
        found = tuple(source.record[figure] for source in self.sources if is_number(source.record.get(figure)))
        return found if len(found) == len(self.sources) else ()

    def mean(self, figure: str) -> float | None:
        """Mean over the seeds."""
        values = self.values(figure)
        return statistics.mean(values) if values else None

    def interval(self, figure: str) -> tuple[float, float] | None:
        """The 95 % interval over photos, of a single seed."""
        intervals = self.record.get("intervals")
        found = intervals.get(figure) if isinstance(intervals, Mapping) and len(self.sources) == 1 else None
        return (found[0], found[1]) if isinstance(found, list | tuple) and len(found) == 2 else None

    def scoring(self, figure: str) -> str:
        """All that a figure depends on beside the predictions, as a key: equal ones may be compared."""
        keys = []
        for source in self.sources:
            scoring = _scoring(source.record)
            own = {key: value for key, value in scoring.items() if key not in ("encoders", "normalise")}
            for part in ("encoders", "normalise"):
                named = scoring.get(part)
                own |= {part: named.get(figure)} if isinstance(named, Mapping) else {}
            judged = [source.record.get(key) for key in ("protocol", "encoder")]
            keys.append(json.dumps([own, source.photos, judged, "closed" in self.marks], sort_keys=True, default=str))
        return "\n".join(sorted(set(keys)))

    @property
    def protocol(self) -> str:
        """How it was measured, in words."""
        scoring = _scoring(self.record)
        parts = [] if not scoring.get("split") else [f"split {scoring['split']}"]
        if is_number(scoring.get("photos")):
            parts.append(counted(scoring["photos"], "photo"))
        if is_number(scoring.get("classes")):
            parts.append(counted(scoring["classes"], "class", "classes"))
        encoders = scoring.get("encoders")
        if isinstance(encoders, Mapping) and encoders:
            parts.append(f"sACC by {' and '.join(_encoder(value) for value in encoders.values())}")
        shown = ("photos", "classes", "split", "encoders", "normalise")
        parts += [
            f"{key} {value}" for key, value in scoring.items() if key not in shown and isinstance(value, str | int)
        ]
        parts += [f"{key} {self.record[key]}" for key in ("protocol", "encoder") if self.record.get(key)]
        parts += ["the true names as vocabulary"] if "closed" in self.marks else []
        photos = sorted({source.photos[:8] for source in self.sources})
        parts += [f"photo list {' and '.join(photos)}"] if all(photos) else ["no list of its photos"]
        return ", ".join(parts) if scoring or self.is_judged else "not recorded by its run"


def folder_name(folder: Path) -> str:
    """How a table calls a run folder."""
    return "/".join(folder.resolve().parts[-2:])


def is_number(value: object) -> bool:
    """Whether a value of a record is a figure."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _scoring(record: Mapping[str, Any]) -> Mapping[str, Any]:
    scoring = record.get("scoring")
    return scoring if isinstance(scoring, Mapping) else {}


def _encoder(value: object) -> str:
    if not isinstance(value, Mapping):
        return str(value)
    return f"{value.get('encoder')} ({str(value.get('sha256'))[:8]})"
