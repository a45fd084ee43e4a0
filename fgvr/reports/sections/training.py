"""Section "Training": the figures that the run logged, epoch by epoch.

It stands alone because it needs nothing but the logs: neither names nor photos.
"""

from collections import defaultdict

from fgvr.reports import plots
from fgvr.reports.run_files import Curve
from fgvr.reports.sections.reported_run import ReportedRun
from fgvr.reports.table import COLUMNS


def curve_plots(run: ReportedRun) -> list[str]:
    """A plot of the training loss, and one of each figure of the validation photos."""
    drawn: dict[str, dict[str, Curve]] = defaultdict(dict)
    for row, curves in run.files.curves.items():
        for figure, curve in curves.items():
            drawn[figure][row or run.own or "this run"] = curve
    series = plots.series_of(list(run.files.metrics), run.own or "this run")
    titles = {"train/loss": "Training loss"}
    titles |= {f"val/{key}": f"{heading} of the validation photos" for key, heading in COLUMNS.items()}
    return [
        plots.curve_plot(f"curve{number}", titles[figure], drawn[figure], series, run.note())
        for number, figure in enumerate(titles)
        if figure in drawn
    ]
