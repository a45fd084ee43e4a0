"""The result of a sweep: one tidy table over all runs, and the summary of it that people read."""

import csv
import json
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from fgvr.errors import FgvrError
from fgvr.files import replacing
from fgvr.metrics.files import read_metrics
from fgvr.parquet import read_parquet
from fgvr.reports.run_files import LABELER
from fgvr.reports.table import COLUMNS, row_title
from fgvr.runs import RunFolder
from fgvr.tables import write_csv
from fgvr.vocabulary.files import read_vocabulary

QUALITY = ("coverage", "purity", "mean_size")
"""What a run logs of its candidate sets, and the tidy table has for the run's own row."""

SCORES = ("accuracy", "sacc_all_mpnet_base_v2", "sacc_all_minilm_l6_v2", "cacc", "siou")
"""Figures by which rows are compared; of these, the tidy table has the ends of the intervals over photos, too."""

_HEADINGS = {key: COLUMNS[key] for key in (*SCORES, "agreement", "label_seconds", "seconds", "cost_usd")}
_HEADINGS |= {"coverage": "coverage (%)", "classes": "classes"}
_COSTS = ("label_seconds", "cost_usd")
_ADVICE = "Run the sweep again: it writes it."

TidyRow = Mapping[str, Any]


@dataclass(frozen=True)
class Tidy:
    """A sweep's results, one line for each run and row of its result table.

    Attributes:
        columns: What the sweep varies.
        rows: Column -> value, for each line: the varied columns, ``seed``, ``row``, every figure of ``metrics.json``,
            ``<figure>_low`` and ``<figure>_high`` of the 95 % intervals of scores,
            ``coverage``, ``purity`` (0 to 1) and ``mean_size`` of the candidate sets on the run's own row, ``classes``,
            ``simulated``, ``oracle``, ``captions`` where a row has some, and ``run``, the folder's name.
    """

    columns: tuple[str, ...]
    rows: tuple[TidyRow, ...]


@dataclass(frozen=True)
class Line:
    """One line of the summary.

    Attributes:
        row: Row of the result table.
        values: Varied column -> value; without those columns that make no difference to the row.
        figures: Figure -> its value for each seed, the ends of intervals among them.
        seeds: Number of seeds.
        simulated: Whether it rests on simulated labels.
        oracle: Whether true names were trained on, or allowed to choose what was trained.
        captions: The captions whose words are its names, where it has such.
    """

    row: str
    values: Mapping[str, Any]
    figures: Mapping[str, tuple[float, ...]]
    seeds: int
    simulated: bool
    oracle: bool = False
    captions: str | None = None

    @property
    def name(self) -> str:
        """The row's name as it is shown."""
        return row_title(self.row, {key: getattr(self, key) for key in ("simulated", "oracle", "captions")})


def own_row(rows: Iterable[str]) -> str:
    """The row of a result table that its run is about: the last one that is not the labeler's.

    Example:
        >>> own_row(["zero_shot", "coop", "labeler"])
        'coop'
    """
    return [row for row in rows if row != LABELER][-1]


def tidy_rows(folder: RunFolder, values: Mapping[str, Any], seed: int) -> list[dict[str, Any]]:
    """The lines of one run.

    Args:
        folder: The run, with ``metrics.json``.
        values: Varied column -> value.
        seed: Its seed.

    Raises:
        FgvrError: A file of the run cannot be read.
    """
    metrics = read_metrics(folder.metrics)
    lines = []
    for row, record in metrics.items():
        figures = {key: value for key, value in record.items() if is_figure(value)} | _ends(record)
        quality = _logged_quality(folder.path / "logs") if row == own_row(metrics) else {}
        lines.append(
            {
                **values,
                "seed": seed,
                "row": row,
                **figures,
                **quality,
                "classes": None if row == LABELER else _classes(folder, row),
                "simulated": record.get("simulated") is True,
                "oracle": record.get("oracle") is True,
                **({"captions": record["captions"]} if record.get("captions") else {}),
                "run": folder.path.name,
            }
        )
    return lines


def _classes(folder: RunFolder, row: str) -> int | None:
    """Size of the vocabulary of a row: of its own where it is a compared one."""
    compared = RunFolder(folder.path / "compare" / row).vocabulary
    is_name = Path(row).name == row and row not in (".", "..")
    file = compared if is_name and compared.is_file() else folder.vocabulary
    return len(read_vocabulary(file)) if file.is_file() else None


def write_tidy(tidy: Tidy, folder: Path) -> None:
    """Write ``sweep.parquet`` and ``sweep.csv``, each whole or not at all."""
    found = {key for row in tidy.rows for key in row}
    captions = ("captions",) if "captions" in found else ()
    first, last = (*tidy.columns, "seed", "row"), (*QUALITY, "classes", "simulated", "oracle", *captions, "run")
    figures = [key for key in COLUMNS if key in found and key not in first]
    figures += sorted(found - {*first, *last, *figures})
    table = pa.table({key: _array([row.get(key) for row in tidy.rows]) for key in (*first, *figures, *last)})
    with replacing(folder / "sweep.parquet") as path:
        pq.write_table(table, path)
    write_csv(
        folder / "sweep.csv", table.column_names, zip(*(column.to_pylist() for column in table.columns), strict=True)
    )


def read_tidy(folder: Path) -> Tidy:
    """Read ``sweep.parquet``.

    Args:
        folder: The sweep's folder.

    Raises:
        FgvrError: There is none, or it is not what :func:`write_tidy` writes.
    """
    path = folder / "sweep.parquet"
    if not path.is_file():
        raise FgvrError(f"There is no {str(path)!r}; a sweep writes it when a run has finished.")
    table = read_parquet(path, _ADVICE)
    lacking = [name for name in ("seed", "row", "run") if name not in table.column_names]
    if lacking:
        raise FgvrError(f"{path} is not the table of a sweep: it has no column {lacking[0]!r}. {_ADVICE}")
    rows = table.to_pylist()
    for number, row in enumerate(rows, start=1):
        texts = all(isinstance(row[name], str) for name in ("row", "run"))
        if not texts or type(row["seed"]) is not int or row["run"] in ("", ".", "..") or set(row["run"]) & set("/\\"):
            raise FgvrError(
                f"{path}, row {number}: expected a whole number as seed, and texts as row and as run, which is the "
                f"name of a folder beside it. {_ADVICE}"
            )
    return Tidy(tuple(table.column_names[: table.column_names.index("seed")]), tuple(rows))


def summarise(tidy: Tidy) -> list[Line]:
    """A line for each row and variant, in the order of the runs.

    What is varied may not concern a row that a run has beside its own: zero-shot is the same for every candidate
    strategy. Where all scores are equal whatever a column's value, the row has one line for all of them; not where runs
    are missing, because then nobody knows.
    """
    own = _own_rows(tidy)
    lines: dict[tuple[str, tuple[Any, ...]], Line] = {}
    for row in dict.fromkeys(line["row"] for line in tidy.rows):
        mine = [line for line in tidy.rows if line["row"] == row]
        columns = list(tidy.columns)
        if row not in own:
            for column in tidy.columns:
                fewer = [other for other in columns if other != column]
                if len({line[column] for line in mine}) > 1 and _agree(mine, fewer, column):
                    columns = fewer
        for values, group in _grouped(mine, columns).items():
            lines[row, values] = _line(row, dict(zip(columns, values, strict=True)), group, tidy.columns)
    order: dict[int, int] = {}
    for number, tidy_row in enumerate(tidy.rows):
        for line in lines.values():
            if line.row == tidy_row["row"] and all(tidy_row[key] == value for key, value in line.values.items()):
                order.setdefault(id(line), number)
    return sorted(lines.values(), key=lambda line: order[id(line)])


def summary_cells(tidy: Tidy) -> list[list[str]]:
    """Headings and lines of the summary as text: mean, and standard deviation (n - 1) where the seeds differ."""
    lines = summarise(tidy)
    found = {key for line in lines for key, values in line.figures.items() if key not in _COSTS or any(values)}
    shown = [key for key in _HEADINGS if key in found]
    seeds = len({row["seed"] for row in tidy.rows})
    incomplete = any(line.seeds < seeds for line in lines)
    cells = [["row", *tidy.columns, *(_HEADINGS[key] for key in shown), *(["runs"] if incomplete else [])]]
    for line in lines:
        values = [str(line.values.get(column, "")) for column in tidy.columns]
        figures = [_mean(key, line.figures.get(key, ())) for key in shown]
        cells.append([line.name, *values, *figures, *([f"{line.seeds} of {seeds}"] if incomplete else [])])
    return cells


def caption(tidy: Tidy) -> str:
    """What the summary shows, in a sentence or two."""
    seeds = sorted({row["seed"] for row in tidy.rows})
    text = f"Seed {seeds[0]}." if len(seeds) == 1 else f"Mean ± standard deviation over {len(seeds)} seeds."
    return (
        f"{text} Simulated labels, with simulated costs and times."
        if any(row["simulated"] for row in tidy.rows)
        else text
    )


def format_summary(tidy: Tidy) -> str:
    """The summary with aligned columns, for a terminal, and its caption below."""
    cells = summary_cells(tidy)
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    left = len(tidy.columns) + 1
    lines = []
    for row in cells:
        padded = [cell.ljust(width) for cell, width in zip(row[:left], widths[:left], strict=True)]
        padded += [cell.rjust(width) for cell, width in zip(row[left:], widths[left:], strict=True)]
        lines.append("  ".join(padded).rstrip())
    return "\n".join([*lines, caption(tidy)])


def markdown_summary(tidy: Tidy) -> str:
    """The summary as a Markdown table, with its caption below."""
    cells = [[cell.replace("|", "\\|") for cell in row] for row in summary_cells(tidy)]
    head, *body = [f"| {' | '.join(row)} |" for row in cells]
    return "\n".join([head, "|---" * len(cells[0]) + "|", *body, "", caption(tidy)])


def _ends(record: Mapping[str, Any]) -> dict[str, float]:
    """The ends of the intervals of scores."""
    intervals = record.get("intervals")
    found = intervals if isinstance(intervals, Mapping) else {}
    return {
        f"{key}_{end}": value
        for key in SCORES
        if key in found
        for end, value in zip(("low", "high"), found[key], strict=True)
    }


def _own_rows(tidy: Tidy) -> set[str]:
    """Rows that are some run's own."""
    return {own_row([row["row"] for row in rows]) for rows in _grouped(tidy.rows, ["run"]).values()}


def _agree(lines: Sequence[TidyRow], columns: Sequence[str], column: str) -> bool:
    """Whether lines equal in ``columns`` and seed are there for every value of ``column``, with equal scores.

    Where nothing is scored, because no true names are known, there is nothing to agree in.
    """
    if not any(is_figure(line.get(key)) for line in lines for key in SCORES):
        return False
    every = {line[column] for line in lines}
    return all(
        {line[column] for line in group} == every
        and len({tuple(line.get(key) for key in SCORES) for line in group}) == 1
        for group in _grouped(lines, [*columns, "seed"]).values()
    )


def _line(row: str, values: Mapping[str, Any], group: Sequence[TidyRow], varied: Sequence[str]) -> Line:
    by_seed = _grouped(group, ["seed"])
    figures = {}
    for key in {key for line in group for key, value in line.items() if is_figure(value)} - {"seed", *varied}:
        # lines of one seed agree in scores; their seconds are averaged
        of_seeds = [[line[key] for line in lines if is_figure(line.get(key))] for lines in by_seed.values()]
        figures[key] = tuple(statistics.mean(found) for found in of_seeds if found)
    # tables of before there was an option for it have no such column
    simulated, oracle = (any(line.get(mark) for line in group) for mark in ("simulated", "oracle"))
    captions = next((line["captions"] for line in group if line.get("captions")), None)
    return Line(row, values, figures, len(by_seed), simulated, oracle, captions)


def _mean(key: str, values: Sequence[float]) -> str:
    if not values:
        return "-"
    scale, digits = (100 if key == "coverage" else 1), {"cost_usd": 2, "classes": 0}.get(key, 1)
    mean = f"{scale * statistics.mean(values):.{digits}f}"
    if max(values) == min(values):
        return mean
    return f"{mean} ± {scale * _deviation(values):.{digits}f}"


def _deviation(values: Sequence[float]) -> float:
    return statistics.stdev(values) if len(values) > 1 else 0.0


def _grouped(rows: Iterable[TidyRow], columns: Sequence[str]) -> dict[tuple[Any, ...], list[TidyRow]]:
    groups: dict[tuple[Any, ...], list[TidyRow]] = {}
    for row in rows:
        groups.setdefault(tuple(row[column] for column in columns), []).append(row)
    return groups


def is_figure(value: Any) -> bool:
    """Whether a value is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _array(values: Sequence[Any]) -> pa.Array:
    """A column: numbers or booleans where all values are, else text."""
    known = [value for value in values if value is not None]
    if all(isinstance(value, bool) for value in known) or all(is_figure(value) for value in known):
        numbers = any(isinstance(value, float) for value in known)
        return pa.array(values, pa.float64() if numbers or not known else None)
    return pa.array([value if value is None or isinstance(value, str) else json.dumps(value) for value in values])


def _logged_quality(logs: Path) -> dict[str, float]:
    """What the candidate sets are worth, as the run logged it when its training began."""
    for path in sorted(logs.glob("version_*/metrics.csv")):
        with path.open(newline="", encoding="utf-8", errors="replace") as stream:
            for row in csv.DictReader(stream):
                if row.get("candidates/mean_size"):
                    cells = {name: row.get(f"candidates/{name}") for name in QUALITY}
                    return {name: float(cell) for name, cell in cells.items() if cell}
    return {}
