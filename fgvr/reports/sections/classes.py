"""Section "Classes": how each true class fared, or, where no true name is known, how often each name was predicted.

This is accuracy class by class; pairs of classes and single photos have sections of their own.
"""

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from fgvr.reports import plots
from fgvr.reports.analysis import calibration, class_results, name_results
from fgvr.reports.sections.reported_run import ReportedRun
from fgvr.reports.sections.sortable_table import Column, Table, table
from fgvr.reports.sections.vocabulary import ReportedVocabulary
from fgvr.vocabulary.build import fold_name


@dataclass(frozen=True)
class Classes:
    """The classes of the evaluated photos.

    Attributes:
        run: The run.
        vocabulary: The section on its classes.
    """

    run: ReportedRun
    vocabulary: ReportedVocabulary

    @cached_property
    def class_table(self) -> Table | None:
        """The true classes, the worst first; or, where no true name is known, the predicted ones."""
        if self.run.judged is not None:
            columns = [Column("true class"), Column("photos", ",d"), Column("accuracy", ".0%")]
            if self.run.judged_baseline is not None:
                columns += [Column(str(self.run.baseline), ".0%"), Column("change", "+.0%")]
            columns += [Column("most often called"), Column("photos called so", ",d"), Column("mean score", ".0%")]
            rows = []
            for result in self._class_results:
                compared = () if result.before is None else (result.before, result.accuracy - result.before)
                called = result.commonest, result.commonest_images, _finite(result.score)
                rows.append((result.name, result.images, result.accuracy, *compared, *called))
            return table("True classes, the worst first", columns, rows)
        row = self.run.own_predictions
        if row is None:
            return None
        given = self.vocabulary.first_names
        columns = [Column("name"), Column("photos", ",d"), Column("mean score", ".0%"), Column("lowest score", ".0%")]
        columns += [Column("support photos labelled so", ",d")]
        by_class: Counter[int | str] = Counter()
        for name, count in given.items():
            by_class[self.vocabulary.class_of.get(fold_name(name), name)] += count
        named = []
        for result in name_results(row):
            labelled = by_class[self.vocabulary.class_of.get(fold_name(result.name), result.name)] if given else None
            named.append((result.name, result.images, _finite(result.score), _finite(result.lowest), labelled))
        return table("Predicted names, the commonest first", columns, named)

    @cached_property
    def _class_results(self) -> list[Any]:
        assert self.run.judged is not None
        return class_results(self.run.judged, self.run.judged_baseline)

    @cached_property
    def change_plot(self) -> str:
        """What each class gained or lost against the baseline."""
        if self.run.own is None or self.run.baseline is None or self.run.judged_baseline is None:
            return ""
        return plots.change_plot(self._class_results, self.run.own, self.run.baseline, self.run.note(self.run.own))

    @cached_property
    def class_plots(self) -> list[str]:
        """Accuracy per class, and score against accuracy."""
        if self.run.judged is None or self.run.own is None:
            return []
        note = self.run.note(self.run.own)
        drawn = [
            plots.class_plot(
                self._class_results, self.run.own, self.run.baseline if self.run.judged_baseline else None, note
            )
        ]
        bins = calibration(self.run.judged)
        if bins.score:
            drawn.append(plots.calibration_plot(bins, self.run.own, note))
        return drawn


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
