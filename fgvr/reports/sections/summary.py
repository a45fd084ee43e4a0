"""Section "Summary": the figures that matter, and the table that the run printed.

It gathers from labels and candidates, so it stands above their sections.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from fgvr.reports import plots
from fgvr.reports.sections.candidates import Candidates
from fgvr.reports.sections.labels import Labels
from fgvr.reports.sections.reported_run import SIMULATED, ReportedRun
from fgvr.reports.sections.sortable_table import MINUS, Column, Table, table
from fgvr.reports.table import COLUMNS, figure_notes, fusion_said, table_cells
from fgvr.text import verb
from fgvr.vocabulary.build import labels_as_indices


@dataclass(frozen=True)
class Tile:
    """A figure that matters.

    Attributes:
        label: What it is.
        value: The figure.
        note: What to compare it with.
    """

    label: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class Summary:
    """The run in short.

    Attributes:
        run: The run.
        labels: Its labels.
        candidates: Its candidate sets.
    """

    run: ReportedRun
    labels: Labels
    candidates: Candidates

    @cached_property
    def fixed_and_broken(self) -> tuple[int, int] | None:
        """Photos that are right in the own row alone, and those that are right in the baseline alone."""
        if self.run.judged is None or self.run.judged_baseline is None:
            return None
        now, before = self.run.judged.right, self.run.judged_baseline.right
        return int((now & ~before).sum()), int((before & ~now).sum())

    @cached_property
    def result_table(self) -> Table | None:
        """The table that the run printed."""
        if not self.run.files.metrics:
            return None
        head, *body = table_cells(self.run.files.metrics)
        columns = [Column(head[0] or "row")]
        for number, title in enumerate(head[1:], start=1):
            columns.append(Column(title, "text" if any(_figure(cells[number]) is None for cells in body) else "number"))
        return table("Result", columns, body)

    @cached_property
    def result_plot(self) -> str:
        """The figures as a plot."""
        figures: dict[str, dict[str, float]] = {}
        for key, heading in COLUMNS.items():
            for row, record in self.run.files.metrics.items():
                value = record.get(key)
                if key.startswith(("accuracy", "sacc", "cacc", "siou")) and isinstance(value, int | float):
                    figures.setdefault(heading, {})[row] = value
        note = SIMULATED if any(SIMULATED in self.run.note(row) for row in self.run.files.metrics) else ""
        return plots.result_plot(figures, self.run.own or "", note) if figures else ""

    @property
    def agreement_notes(self) -> list[str]:
        """What the columns of the result table mean that need no true names."""
        return figure_notes(self.run.files.metrics)

    @property
    def warning(self) -> str:
        """What is to be said of the own row, where it agrees less with the names than it could."""
        warning = self.run.files.metrics.get(self.run.own or "", {}).get("warning", "")
        return warning if isinstance(warning, str) else ""

    @property
    def fusion(self) -> str:
        """What the own row is made of, where that was chosen."""
        fusion = self.run.files.metrics.get(self.run.own or "", {}).get("fusion")
        return fusion_said(fusion) if isinstance(fusion, dict) else ""

    @cached_property
    def predicted(self) -> int:
        """How many photos were given a name."""
        return len(self.run.files.predictions.sample_ids) if self.run.files.predictions else 0

    @cached_property
    def tiles(self) -> list[Tile]:
        """The figures that matter, the most important first."""
        tiles = []
        own = self.run.files.metrics.get(self.run.own or "", {})
        for key in (key for key in COLUMNS if key.startswith(("sacc", "cacc"))):
            if isinstance(own.get(key), int | float):
                tiles.append(Tile(COLUMNS[key], f"{own[key]:.1f}", self._against(key)))
        if self.run.judged is None:
            tiles += self._without_truth(own)
        row = self.run.own_predictions
        if row is not None:
            if self.run.judged is None and np.isfinite(row.scores).any():
                tiles.append(Tile("mean score", f"{np.nanmean(row.scores):.0%}", "how sure the run is of its names"))
            known = (
                f"{(true := len(set(self.run.judged.truth))):,} true {verb(true, 'class', 'classes')}"
                if self.run.judged
                else "true names unknown"
            )
            tiles.append(
                Tile(
                    "photos named",
                    f"{self.predicted:,}",
                    f"{(given := len(set(row.names))):,} {verb(given, 'name', 'names')}; {known}",
                )
            )
        if self.run.files.labels:
            share = self.labels.usable / max(1, len(self.labels.asked))
            tiles.append(
                Tile(
                    "usable replies",
                    f"{share:.0%}",
                    f"of {(asked := len(self.labels.asked)):,} support {verb(asked, 'photo', 'photos')}",
                )
            )
        if self.candidates.quality is not None:
            note = f"{self.candidates.quality.mean_size:.1f} names in a set"
            if self.candidates.quality.coverage is not None:
                tiles.append(Tile("candidate coverage", f"{self.candidates.quality.coverage:.0%}", note))
            else:
                tiles.append(
                    Tile("candidate names", f"{self.candidates.quality.mean_size:.1f}", "in a set, on average")
                )
        if self.run.files.labels:
            tiles.append(
                Tile("labels, US$", f"{self.labels.cost_usd:.2f}", f"{self.labels.label_seconds:,.0f} s of requests")
            )
        return tiles

    @cached_property
    def renamed(self) -> int | None:
        """Support photos that the run names otherwise than the labeler has, where it names support photos."""
        predictions, row, vocabulary = self.run.files.predictions, self.run.own_predictions, self.run.files.vocabulary
        if predictions is None or row is None or vocabulary is None:
            return None
        labels = self.run.files.labels
        given = {
            label.sample_id: vocabulary.names[classes[0]]
            for label, classes in zip(labels, labels_as_indices(labels, vocabulary), strict=True)
            if classes
        }
        both = [
            (given[sample_id], name)
            for sample_id, name in zip(predictions.sample_ids, row.names, strict=True)
            if sample_id in given
        ]
        return sum(name != predicted for name, predicted in both) if both else None

    def _without_truth(self, own: Mapping[str, Any]) -> list[Tile]:
        """What can be said of the own row without any true name."""
        tiles = []
        if isinstance(own.get("agreement"), int | float):
            notes = {
                "unseen": "of the support photos get the labeler's name when they are left out",
                "held out": "of the photos that were held out get the labeler's name",
                "seen": "of the support photos get the labeler's name, which was learned",
            }
            share = f"{own['agreement']:.0f}%"
            tiles.append(Tile("agreement", share, notes.get(str(own.get("agreement_of")), "")))
        if isinstance(own.get("neighbour_agreement"), int | float):
            share = f"{own['neighbour_agreement']:.0f}%"
            tiles.append(
                Tile("like their neighbours", share, "of the photos get the name of the nearest support photo")
            )
        if isinstance(own.get("left_candidates"), int | float):
            share = f"{own['left_candidates']:.0f}%"
            tiles.append(Tile("outside their candidates", share, "of the support photos, when they are left out"))
        if self.renamed is not None:
            note = "support photos got another name than the labeler's"
            tiles.append(Tile("renamed", f"{self.renamed:,}", note))
        return tiles

    def _against(self, key: str) -> str:
        own, other = (self.run.files.metrics.get(row or "", {}).get(key) for row in (self.run.own, self.run.baseline))
        if not isinstance(own, int | float) or not isinstance(other, int | float):
            return "of 100"
        return f"{own - other:+.1f} against {self.run.baseline}".replace("-", MINUS)


def _figure(cell: str) -> float | None:
    """The number in a cell of the result table; a dash counts as none that is known, a star and ± not."""
    try:
        return float("nan") if cell == "-" else float(cell.partition(" ±")[0].removesuffix("*"))
    except ValueError:
        return None
