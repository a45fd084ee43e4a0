"""The plots of a report, as SVG elements for an HTML page.

Colours are written as CSS variables of the page, so that a plot follows its light and dark themes. Names are drawn as
text by the browser, in the page's font.
"""

import io
import textwrap
import warnings
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

from fgvr.reports.analysis import Calibration, ClassResult
from fgvr.reports.printable import printable
from fgvr.reports.run_files import Curve
from fgvr.text import counted

_SVG = "http://www.w3.org/2000/svg"
_XLINK = "http://www.w3.org/1999/xlink"

# colours that stand for variables of the page's style sheet; matplotlib must be given real ones
_INK, _MUTED, _GRID, _PAPER = "#010101", "#020202", "#030303", "#040404"
_SERIES = ("#050501", "#050502", "#050503", "#050504", "#050505", "#050506")
_VARIABLES = {_INK: "--ink", _MUTED: "--muted", _GRID: "--line", _PAPER: "--paper"}
_VARIABLES |= {colour: f"--series-{number}" for number, colour in enumerate(_SERIES, start=1)}

_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "fgvr",
    "font.size": 9,
    "text.parse_math": False,
    "text.color": _INK,
    "axes.labelcolor": _MUTED,
    "axes.edgecolor": _GRID,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "grid.color": _GRID,
    "grid.linewidth": 0.6,
    "xtick.color": _GRID,
    "ytick.color": _GRID,
    "xtick.labelcolor": _MUTED,
    "ytick.labelcolor": _MUTED,
    "ytick.major.size": 0,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "legend.labelcolor": _INK,
    "figure.facecolor": "none",
    "figure.constrained_layout.use": True,
}

_MAX_NAME_LENGTH = 24
_MAX_LINE_LENGTH = 48
_SVG_DPI = 72  # matplotlib's own for SVG, whatever the figure's
_DASHES = ("-", "--", ":", "-.")
_WIDTH = 4.5


class Plot:
    """One plot: a figure to draw in, and the SVG of it.

    Example:
        >>> with Plot("loss", "Training loss: falls from 3 to 1") as plot:
        ...     _ = plot.axes.plot([1, 2], [3.0, 1.0])
        >>> plot.svg.startswith("<svg")
        True

    Args:
        name: Prefix of the ids in the SVG, unique on its page.
        description: What a reader who cannot see the plot is told.
        height: In inches.
    """

    axes: Axes
    svg: str

    def __init__(self, name: str, description: str, height: float = 2.6) -> None:
        self.name = name
        self.description = description
        self.height = height
        self.svg = ""
        self._style = matplotlib.rc_context(_STYLE)

    def __enter__(self) -> "Plot":
        self._style.__enter__()
        self.figure = Figure(figsize=(_WIDTH, self.height))
        self._canvas = FigureCanvasSVG(self.figure)
        self.axes = self.figure.add_subplot()
        return self

    def __exit__(self, *error: object) -> None:
        try:
            if error[0] is None:
                self.svg = self._draw()
        finally:
            self._style.__exit__(None, None, None)

    def _draw(self) -> str:
        stream = io.BytesIO()
        with warnings.catch_warnings():
            # the browser has the glyphs that matplotlib's own font lacks
            warnings.filterwarnings("ignore", message=r"Glyph .* missing from font")
            self._lay_out()
            self._canvas.print_svg(stream, metadata={"Date": None, "Creator": None})
        return _inline(stream.getvalue(), self.name, self.description)

    def _lay_out(self) -> None:
        """Place the axes; ``savefig`` would draw the whole figure once more to this end."""
        self.figure.dpi = _SVG_DPI
        if (engine := self.figure.get_layout_engine()) is not None:
            engine.execute(self.figure)
        self.figure.set_layout_engine("none")


def series_of(rows: Sequence[str], own: str) -> dict[str, int]:
    """Row -> number of its colour, the same in every plot of a report: 0 is the own row's.

    Args:
        rows: Rows in the order of the table.
        own: The run's own row.

    Example:
        >>> series_of(["zero_shot", "coop_single", "coop"], own="coop")
        {'coop': 0, 'zero_shot': 1, 'coop_single': 2}
    """
    others = [row for row in rows if row != own]
    return {own: 0} | {row: 1 + number % (len(_SERIES) - 1) for number, row in enumerate(others)}


def result_plot(figures: Mapping[str, Mapping[str, float]], own: str, note: str = "") -> str:
    """The figures of each row of the table, side by side.

    Args:
        figures: Heading of the figure -> row -> value from 0 to 100.
        own: The run's own row, which is emphasised.
        note: To be added to the title.
    """
    rows = list(dict.fromkeys(row for values in figures.values() for row in values))
    headings = list(figures)
    step = 0.8 / max(len(rows), 1)
    with Plot("results", _said(figures), height=1.1 + 0.17 * len(headings) * (len(rows) + 1)) as plot:
        for number, row in enumerate(rows):
            places = [place + (number - (len(rows) - 1) / 2) * step for place in range(len(headings))]
            values = [figures[heading].get(row, np.nan) for heading in headings]
            colour = _SERIES[series_of(rows, own)[row]]
            plot.axes.barh(places, values, height=step * 0.86, color=colour, label=_short(row))
            for place, value in zip(places, values, strict=True):
                if np.isfinite(value):
                    plot.axes.text(value + 1, place, f"{value:.1f}", va="center", fontsize=8, color=_INK)
        plot.axes.set(xlim=(0, 108), yticks=range(len(headings)), xticks=range(0, 101, 20))
        plot.axes.set_yticks(range(len(headings)), headings, color=_INK)
        plot.axes.invert_yaxis()
        plot.axes.grid(visible=False, axis="y")
        _title(plot.axes, "Figures of each row, 0 to 100", note)
        if len(rows) > 1:
            plot.figure.legend(loc="outside lower center", ncols=min(len(rows), 3))
    return plot.svg


def curve_plot(name: str, title: str, curves: Mapping[str, Curve], series: Mapping[str, int], note: str = "") -> str:
    """A logged figure over the epochs, one line for each row of the table.

    Args:
        name: Unique on the page.
        title: What is shown.
        curves: Row -> curve, the run's own first.
        series: From :func:`series_of`.
        note: To be added to the title.
    """
    last = ", ".join(f"{row}: {curve.values[0]:.3g} to {curve.values[-1]:.3g}" for row, curve in curves.items())
    with Plot(name, f"{title} from the first epoch to the last. {last}") as plot:
        for number, (row, curve) in enumerate(curves.items()):
            style: dict[str, Any] = {
                "color": _SERIES[series.get(row, 0)],
                "linestyle": _DASHES[number % len(_DASHES)],
                "lw": 1.8,
            }
            marker = "o" if len(curve.epochs) < 30 else ""
            plot.axes.plot(curve.epochs, curve.values, marker=marker, markersize=3.5, label=_short(row), **style)
        plot.axes.set_xlabel("epoch")
        plot.axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        _title(plot.axes, title, note)
        if len(curves) > 1:
            plot.figure.legend(loc="outside lower center", ncols=min(len(curves), 3))
    return plot.svg


def vocabulary_plot(before: Sequence[int], after: Sequence[int], note: str = "") -> str:
    """Photos per name as given and per class, each from the commonest to the rarest.

    Args:
        before: Photos of each spelling.
        after: Photos of each class.
        note: To be added to the title.
    """
    description = (
        f"{counted(len(before), 'spelling')} before cleaning, {counted(len(after), 'class', 'classes')} after it."
    )
    with Plot("space", f"Photos per class, from the commonest to the rarest. {description}") as plot:
        for counts, colour, dashes, label in (
            (before, _SERIES[1], "--", f"as spelled ({len(before):,})"),
            (after, _SERIES[0], "-", f"classes ({len(after):,})"),
        ):
            ordered = sorted((count for count in counts if count), reverse=True)
            plot.axes.step(
                range(1, len(ordered) + 1), ordered, where="mid", color=colour, linestyle=dashes, lw=1.8, label=label
            )
        plot.axes.set(xlabel="rank of the name", ylabel="photos", yscale="log")
        # a logarithmic axis labels its minor ticks with formulas where there are few major ones
        plot.axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        plot.axes.yaxis.set_major_formatter("{x:g}")
        plot.axes.yaxis.set_minor_formatter(NullFormatter())
        plot.axes.set_ylim(bottom=0.9)
        plot.axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        _title(plot.axes, "Photos per name, before and after cleaning", note)
        plot.axes.legend(loc="upper right")
    return plot.svg


def set_size_plot(sizes: Sequence[int], covered: Sequence[bool | None], note: str = "") -> str:
    """Candidate sets by size, and how many hold the true name.

    Args:
        sizes: Number of candidates of each set.
        covered: Whether each holds the true name; ``None`` where that is unknown.
        note: To be added to the title.
    """
    widest = max(sizes)
    ticks = np.arange(1, widest + 1)
    parts = [("true name among them", True), ("true name missing", False), ("true name unknown", None)]
    with Plot(
        "sizes", f"Sizes of {counted(len(sizes), 'candidate set')}, from {min(sizes)} to {counted(widest, 'name')}."
    ) as plot:
        bottom = np.zeros(widest)
        for (label, value), colour, hatch in zip(parts, (*_SERIES[:2], _MUTED), ("", "///", ""), strict=True):
            chosen = [size for size, known in zip(sizes, covered, strict=True) if known is value]
            counts = np.bincount(chosen, minlength=widest + 1)[1:]
            if counts.any():
                plot.axes.bar(
                    *(ticks, counts),
                    bottom=bottom,
                    width=0.78,
                    color=colour,
                    label=label,
                    hatch=hatch,
                    ec=_PAPER,
                    lw=0.6,
                )
                bottom += counts
        plot.axes.set(xlabel="names in the set", ylabel="photos")
        plot.axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        plot.axes.grid(visible=False, axis="x")
        _title(plot.axes, "Candidate sets by size", note)
        plot.figure.legend(loc="outside lower center", ncols=2)
    return plot.svg


def class_plot(results: Sequence[ClassResult], row: str, before: str | None, note: str = "") -> str:
    """Accuracy of each true class, the best first, beside the accuracies of the row that is compared with.

    Args:
        results: Of each class.
        row: The row that they are of.
        before: The row that ``results[i].before`` is of.
        note: To be added to the title.
    """
    with Plot(
        "classes", f"Accuracy of {counted(len(results), 'class', 'classes')}, from the best to the worst."
    ) as plot:
        lines = [(row, [result.accuracy for result in results], _SERIES[0], "-")]
        if before is not None:
            lines.append((before, [result.before or 0.0 for result in results], _SERIES[1], "--"))
        for label, shares, colour, dashes in lines:
            ordered = 100 * np.array(sorted(shares, reverse=True))
            plot.axes.step(
                range(1, len(ordered) + 1),
                ordered,
                where="mid",
                color=colour,
                linestyle=dashes,
                lw=1.8,
                label=_short(label),
            )
        plot.axes.set(xlabel="classes, each row from its best to its worst", ylabel="accuracy (%)", ylim=(-3, 103))
        _title(plot.axes, "Accuracy per class", note)
        if before is not None:
            plot.axes.legend(loc="lower left")
    return plot.svg


def change_plot(results: Sequence[ClassResult], row: str, before: str, note: str = "") -> str:
    """How much each class gained or lost against another row, the greatest gain first.

    Args:
        results: Of each class, with ``before``.
        row: The row that they are of.
        before: The row that is compared with.
        note: To be added to the title.
    """
    changes = 100 * np.array(sorted((result.accuracy - (result.before or 0.0) for result in results), reverse=True))
    gained, lost = int((changes > 0).sum()), int((changes < 0).sum())
    with Plot("change", f"{counted(gained, 'class', 'classes')} gained against {before}, {lost} lost.") as plot:
        colours = np.where(changes > 0, _SERIES[0], _SERIES[1])
        plot.axes.bar(range(1, len(changes) + 1), changes, width=0.8, color=list(colours))
        plot.axes.axhline(0, color=_MUTED, lw=0.8)
        plot.axes.set(xlabel="classes, from the greatest gain to the greatest loss", ylabel="points")
        plot.axes.grid(visible=False, axis="x")
        _title(
            plot.axes,
            f"{_short(row)} against {_short(before)}:\n{counted(gained, 'class', 'classes')} gained, {lost} lost",
            note,
        )
    return plot.svg


def calibration_plot(bins: Calibration, row: str, note: str = "") -> str:
    """Mean score of photos against how many of them are right; the diagonal is where both are equal.

    Args:
        bins: From :func:`~fgvr.reports.analysis.calibration`.
        row: The row that they are of.
        note: To be added to the title.
    """
    with Plot("calibration", f"Accuracy at each level of the scores of {row}.") as plot:
        plot.axes.plot([0, 100], [0, 100], color=_MUTED, lw=1, linestyle=":")
        score, accuracy = (100 * np.array(values) for values in (bins.score, bins.accuracy))
        plot.axes.plot(score, accuracy, color=_SERIES[0], marker="o", markersize=4.5, lw=1.8)
        plot.axes.set(xlabel="mean score (%)", ylabel="right (%)", xlim=(0, 102), ylim=(0, 102))
        _title(plot.axes, "Score against accuracy", note)
    return plot.svg


def _title(axes: Axes, title: str, note: str) -> None:
    """A title of the whole figure: beside wide labels of an axis, one of the axes would run out of the figure."""
    lines = [part for line in title.splitlines() for part in textwrap.wrap(line, _MAX_LINE_LENGTH)]
    text = "\n".join([*lines, f"({note})"] if note else lines)
    figure = axes.figure
    assert isinstance(figure, Figure), "axes of a figure"
    figure.suptitle(text, x=0.01, ha="left", fontsize=9.5, fontweight="bold", color=_INK)


def _short(name: str) -> str:
    name = printable(name)
    return name if len(name) <= _MAX_NAME_LENGTH else f"{name[: _MAX_NAME_LENGTH - 1]}\u2026"


def _said(figures: Mapping[str, Mapping[str, float]]) -> str:
    return "; ".join(
        f"{heading}: {', '.join(f'{row} {value:.1f}' for row, value in values.items())}"
        for heading, values in figures.items()
    )


def _inline(svg: bytes, name: str, description: str) -> str:
    """The SVG element for a page that holds other ones: own ids, the page's colours, no style sheet of its own."""
    root = ElementTree.fromstring(svg)
    for parent in root.iter():
        for child in list(parent):
            # a style sheet in an inline SVG would be one of the whole page
            if child.tag in (f"{{{_SVG}}}metadata", f"{{{_SVG}}}style"):
                parent.remove(child)
    for element in root.iter():
        for key, value in element.attrib.items():
            if key == "id":
                value = f"{name}-{value}"
            elif key == f"{{{_XLINK}}}href":
                value = f"#{name}-{value.removeprefix('#')}"
            value = value.replace("url(#", f"url(#{name}-")
            for colour, variable in _VARIABLES.items():
                value = value.replace(colour, f"var({variable})")
            # presentation attributes know no variables
            element.set(key, value)
    for key in ("width", "height", "version"):
        root.attrib.pop(key, None)
    root.set("role", "img")
    root.set("aria-label", printable(description))
    ElementTree.register_namespace("", _SVG)
    ElementTree.register_namespace("xlink", _XLINK)
    return ElementTree.tostring(root, encoding="unicode")
