"""The figures of a sweep as a drawing: lines over a number that was varied, or a dot for each row."""

import statistics
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fgvr.errors import FgvrError
from fgvr.files import replacing
from fgvr.reports.printable import printable
from fgvr.reports.table import COLUMNS
from fgvr.sweeps.result import SCORES, Line, Tidy, is_figure, summarise
from fgvr.text import visible

# colours that people with any kind of colour vision tell apart (Okabe and Ito)
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_MARKERS = "os^Dv*P"
_STYLE: dict[Any, Any] = {
    "svg.hashsalt": "fgvr",
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
    "font.size": 10,
    "text.parse_math": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "savefig.dpi": 200,
}
# without the time and the program's version, the same results are the same bytes
_METADATA: dict[str, dict[str, None]] = {
    ".svg": {"Date": None},
    ".pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    ".png": {"Software": None},
}
_NOT_PERCENT = ("seconds", "label_seconds", "cost_usd", "classes", "mean_size", "coverage", "purity")
_SEEDS = "one standard deviation over seeds"
_PHOTOS = "the 95 % bootstrap interval over photos"


def axis_column(tidy: Tidy, x: str | None = None) -> str | None:
    """The varied column that is an axis to draw over.

    Args:
        tidy: The sweep's results.
        x: The option that is asked for, such as ``data.shots`` or ``shots``; the first column of numbers, of which
            there are three or more, if not given.

    Returns:
        The column; ``None`` where no option is asked for and no column is such a one.

    Raises:
        FgvrError: The sweep does not vary what is asked for, or it is no number.
    """
    if x is not None:
        found = [name for name in tidy.columns if x in (name, name.rpartition(".")[2]) or x.rpartition(".")[2] == name]
        if not found:
            raise FgvrError(
                f"The sweep does not vary {visible(x, 60)!r}; it varies "
                f"{visible(', '.join(tidy.columns), 200) or 'nothing'}."
            )
        if not all(is_figure(row[found[0]]) for row in tidy.rows):
            raise FgvrError(f"The values of {found[0]!r} are no numbers: without an axis, each row is drawn as a dot.")
        return found[0]
    for column in tidy.columns:
        values = {row[column] for row in tidy.rows}
        if len(values) > 2 and all(is_figure(value) for value in values):
            return column
    return None


def write_figure(tidy: Tidy, path: Path, figures: Sequence[str] = (), x: str | None = None) -> str:
    """Draw figures of a sweep, as figure 2 of the FGVR paper does: a line of means for each row, with a band around it.

    The band is one standard deviation over seeds; where there is one seed, the 95 % interval over photos. Where no
    number is varied, each row is a dot with such a bar.

    Args:
        tidy: The sweep's results.
        path: The file, which ends with ``.svg``, ``.pdf`` or ``.png``; the same results give the same bytes.
        figures: Keys of the figures, a panel each; cACC and an sACC if not given.
        x: See :func:`axis_column`.

    Returns:
        What is drawn, in a sentence.

    Raises:
        FgvrError: The sweep has no such figure, does not vary ``x``, or the file's name ends otherwise.
    """
    if path.suffix.lower() not in _METADATA:
        raise FgvrError(f"The name of the drawing is {str(path)!r}; expected one that ends with .svg, .pdf or .png.")
    if not tidy.rows:
        raise FgvrError("The table of the sweep has no row: there is nothing to draw.")
    column, lines = axis_column(tidy, x), summarise(tidy)
    panels = _panels(lines, figures)
    spreads: dict[str, None] = {}
    with rc_context(_STYLE), warnings.catch_warnings():
        # names may be in any script; an SVG is drawn with the reader's fonts
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from font")
        draw = _draw_dots if column is None else _draw_lines
        figure = draw(lines, panels, column or "", spreads)
        simulated = " (simulated labels)" if any(line.simulated for line in lines) else ""
        over = "" if column is None else f" over {column}"
        title = f"{' and '.join(_heading(key) for key in panels)}{over}"
        figure.suptitle(printable(f"{title}{simulated}"))
        with replacing(path) as temporary:
            suffix = path.suffix.lower()
            figure.savefig(temporary, format=suffix[1:], metadata=_METADATA[suffix])
    kind = "bar" if column is None else "band"
    around = f"; each {kind} is {' or '.join(spreads)}" if spreads else ""
    return f"{title}{simulated}: mean of each row{around}."


def _panels(lines: Sequence[Line], figures: Sequence[str]) -> list[str]:
    there = {key for line in lines for key in line.figures}
    if not figures:
        figures = [key for key in ("cacc", *SCORES[:2], *SCORES[2:]) if key in there][:2] or sorted(there)[:1]
    for key in figures:
        if key not in there:
            known = sorted(key for key in there if not key.endswith(("_low", "_high")))
            raise FgvrError(f"The sweep has no figure {visible(key, 60)!r}; it has {visible(', '.join(known), 400)}.")
    if not figures:
        raise FgvrError("No row of the sweep has a figure: there is nothing to draw.")
    return list(dict.fromkeys(figures))


def _draw_lines(lines: Sequence[Line], panels: Sequence[str], column: str, spreads: dict[str, None]) -> Figure:
    figure = Figure(figsize=(4.4 * len(panels), 3.8), layout="constrained")
    along = _series(lines, column)
    level = [line for line in lines if column not in line.values]
    names = [*along, *(_name(line) for line in level)]
    handles: dict[str, Any] = {}
    for place, key in enumerate(panels, start=1):
        axes = _axes(figure, len(panels), place)
        axes.set_xlabel(printable(column))
        axes.set_ylabel(_with_unit(key))
        axes.set_xticks(sorted({line.values[column] for series in along.values() for line in series}))
        for name, series in along.items():
            points = [line for line in series if key in line.figures]
            if not points:
                continue
            colour, marker = _look(names.index(name))
            values = [line.values[column] for line in points]
            ends = [_ends(line, key, spreads) for line in points]
            (handles[name],) = axes.plot(
                values, [_mean(line, key) for line in points], color=colour, marker=marker, markersize=4.5
            )
            low, high = zip(*ends, strict=True)
            axes.fill_between(values, low, high, color=colour, alpha=0.18, linewidth=0)
        for line in level:
            if key in line.figures:
                colour, _ = _look(names.index(_name(line)))
                handles[_name(line)] = axes.axhline(_mean(line, key), color=colour, linestyle="--", linewidth=1.2)
                axes.axhspan(*_ends(line, key, spreads), color=colour, alpha=0.1, linewidth=0)
    # matplotlib leaves out a label that begins with an underscore
    labels = [f" {name}" if name.startswith("_") else name for name in handles]
    figure.legend(
        list(handles.values()), labels, loc="outside lower center", ncols=max(1, min(3, len(labels))), frameon=False
    )
    return figure


def _draw_dots(lines: Sequence[Line], panels: Sequence[str], column: str, spreads: dict[str, None]) -> Figure:
    names = [_name(line) for line in lines]
    figure = Figure(figsize=(2.4 + 3.2 * len(panels), 1.3 + 0.32 * len(names)), layout="constrained")
    for place, key in enumerate(panels, start=1):
        axes = _axes(figure, len(panels), place)
        axes.set_xlabel(_with_unit(key))
        axes.set_yticks(range(len(names)), names if place == 1 else [""] * len(names))
        axes.set_ylim(len(names) - 0.5, -0.5)
        for number, line in enumerate(lines):
            if key not in line.figures:
                continue
            mean, (low, high) = _mean(line, key), _ends(line, key, spreads)
            colour, _ = _look(list(dict.fromkeys(line.row for line in lines)).index(line.row))
            axes.errorbar(
                [mean],
                [number],
                xerr=[[max(0.0, mean - low)], [max(0.0, high - mean)]],
                fmt="o",
                color=colour,
                capsize=3,
            )
    return figure


def _axes(figure: Figure, panels: int, place: int) -> Axes:
    axes = figure.add_subplot(1, panels, place)
    axes.grid(alpha=0.3)
    axes.set_axisbelow(True)
    return axes


def _look(number: int) -> tuple[str, str]:
    """Colour and marker of a line; the two repeat together only after as many lines as both have pairs."""
    return _COLOURS[number % len(_COLOURS)], _MARKERS[(number + number // len(_COLOURS)) % len(_MARKERS)]


def _series(lines: Sequence[Line], column: str) -> dict[str, list[Line]]:
    """Legend -> lines along the axis: those that differ in nothing but it."""
    series: dict[str, list[Line]] = {}
    for line in lines:
        if column in line.values:
            series.setdefault(_name(line, column), []).append(line)
    return {name: sorted(found, key=lambda line: line.values[column]) for name, found in series.items()}


def _name(line: Line, but: str = "") -> str:
    values = [str(value) for key, value in line.values.items() if key != but]
    return printable(", ".join([line.name, *values]), 60)


def _mean(line: Line, key: str) -> float:
    return statistics.mean(line.figures[key])


def _ends(line: Line, key: str, spreads: dict[str, None]) -> tuple[float, float]:
    """Both ends of what is drawn around a mean; the mean itself where nothing is known."""
    values, mean = line.figures[key], _mean(line, key)
    if len(values) > 1:
        spreads[_SEEDS] = None
        half = statistics.stdev(values)
        return mean - half, mean + half
    low, high = (line.figures.get(f"{key}_{end}", ()) for end in ("low", "high"))
    if len(low) == len(high) == 1:
        spreads[_PHOTOS] = None
        return low[0], high[0]
    return mean, mean


def _heading(key: str) -> str:
    return COLUMNS.get(key, key)


def _with_unit(key: str) -> str:
    return printable(_heading(key) if key in _NOT_PERCENT else f"{_heading(key)} (%)")
