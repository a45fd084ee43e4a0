"""Which row of a column is the best, and whether that is more than chance."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fgvr.metrics.contributions import contributions
from fgvr.metrics.paired import holm, mcnemar, paired_bootstrap, seed_permutation
from fgvr.metrics.sentence_encoder import available
from fgvr.paper_tables.measured import Measured, Source
from fgvr.reports.predictions import read_prediction_table
from fgvr.text import counted

LEVEL = 0.05
"""Adjusted p-values below it are significant."""
RIGHT_OR_WRONG = ("accuracy", "cacc")
"""Figures for which each photo is right or wrong."""
_RESAMPLES = 10_000
_ROUNDING = 0.005


@dataclass
class Tests:
    """The tests of one table: which cells are significantly the best of their column, and what was tested how.

    Attributes:
        said: What the caption says of the tests that were made, and why others were not, each once.
    """

    said: dict[str, None] = field(default_factory=dict)
    _values: dict[tuple[Path, str], Mapping[str, NDArray[np.float64]]] = field(default_factory=dict)

    def best(self, rows: Sequence[Measured], figure: str) -> set[int]:
        """Places of the rows that are significantly better than each of those that they may be compared with.

        Rows are compared where they name the same photos of the same true names, scored by the same encoder, and where
        none is an upper bound. With the same seeds, several of each, a permutation test over seeds; with one seed
        each, McNemar's test over photos where each is right or wrong, else the paired bootstrap. The best is held
        against every other, with Holm's correction, and must win each time.

        Args:
            rows: Rows of one data set.
            figure: Key of the figure; more is better.
        """
        groups: dict[str, list[int]] = {}
        for place, row in enumerate(rows):
            if not row.is_bound and row.values(figure) and all(source.photos for source in row.sources):
                groups.setdefault(row.scoring(figure), []).append(place)
        found = set()
        for places in groups.values():
            places = sorted(places, key=lambda place: rows[place].mean(figure) or 0.0, reverse=True)
            best, *others = places
            if not others or rows[best].mean(figure) == rows[others[0]].mean(figure):
                continue
            p_values = [self._p_value(rows[best], rows[other], figure) for other in others]
            known = [p for p in p_values if p is not None]
            if len(known) == len(p_values) and max(holm(known)) < LEVEL:
                found.add(best)
        return found

    def _p_value(self, best: Measured, other: Measured, figure: str) -> float | None:
        """Of the hypothesis that two rows are equal; ``None`` where it cannot be tested."""
        seeds = [[source.seed for source in row.sources] for row in (best, other)]
        if seeds[0] != seeds[1] and max(map(len, seeds)) > 1:
            self._say("rows of different seeds were not tested against each other")
            return None
        if (number := len(seeds[0])) > 1:
            least = 2.0 ** (1 - number)
            short = f"; {counted(number, 'seed')} cannot give a p-value below {least:.2g}" if least >= LEVEL else ""
            self._say(f"exact permutation of signs over {counted(number, 'seed')}{short}")
            return seed_permutation(np.array(best.values(figure)), np.array(other.values(figure)))
        first, second = (self._of_photos(row, figure) for row in (best, other))
        if first is None or second is None:
            return None
        if figure in RIGHT_OR_WRONG:
            self._say("McNemar's exact test over photos for accuracy and cACC (each row under its own matching, held)")
            return mcnemar(first > 50, second > 50)
        self._say("paired bootstrap over photos for sACC and sIOU")
        return paired_bootstrap(first, second, resamples=_RESAMPLES, seed=0).p

    def _of_photos(self, row: Measured, figure: str) -> NDArray[np.float64] | None:
        """What each photo gives to a figure, in the order of their ids; ``None`` where that is not known."""
        source = row.sources[0]
        key = source.folder, source.row
        encoder = _encoder(source, figure)
        if encoder and not available(encoder):
            self._say(f"sACC by {encoder} was not tested: it is not on this machine")
            return None
        if figure not in self._values.get(key, {}):
            encoders = [encoder] if encoder else []
            self._values[key] = {**self._values.get(key, {}), **_contributions(source, encoders, "closed" in row.marks)}
        values = self._values[key].get(figure)
        if values is None:
            self._say(f"{figure} is no mean over photos, and was not tested")
            return None
        if abs(values.mean() - source.record[figure]) > _ROUNDING:
            self._say(f"{row.title}: its predictions do not give its {figure}, which was not tested")
            return None
        return values

    def _say(self, text: str) -> None:
        self.said[text] = None


def _encoder(source: Source, figure: str) -> str:
    """The sentence encoder of a figure; ``""`` where it has none."""
    scoring: Any = source.record.get("scoring") or {}
    encoders = scoring.get("encoders")
    of_figure = encoders.get(figure) if isinstance(encoders, Mapping) else None
    name = of_figure.get("encoder") if isinstance(of_figure, Mapping) else None
    return name if isinstance(name, str) else ""


def _contributions(source: Source, encoders: Sequence[str], closed: bool) -> Mapping[str, NDArray[np.float64]]:
    table = read_prediction_table(source.folder / "predictions.parquet").sort_by("sample_id")
    column = f"{source.row}_name"
    if column not in table.column_names:
        return {}
    pairs = zip(table[column].to_pylist(), table["true_name"].to_pylist(), strict=True)
    known = [(name or "", true_name) for name, true_name in pairs if true_name]
    names, truth = ([pair[place] for pair in known] for place in (0, 1))
    return contributions(names, truth, encoders=encoders, closed=closed) if truth else {}
