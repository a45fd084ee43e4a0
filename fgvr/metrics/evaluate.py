"""Scoring anybody's predictions: two tables, joined by photo."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from fgvr.datasets.base import split_name
from fgvr.errors import FgvrError
from fgvr.metrics.comparison import RowTest, compare_rows
from fgvr.metrics.intervals import RESAMPLES
from fgvr.metrics.measure import measure
from fgvr.metrics.protocol import scoring
from fgvr.metrics.specificity import specificity
from fgvr.photo_paths import PhotoPaths, posix_path
from fgvr.tables import Row, Table, read_csv
from fgvr.text import composed, counted, visible
from fgvr.wordnet import read_wordnet

ID_COLUMNS = ("sample_id", "file")
TRUTH_COLUMNS = ("class_name", "true_name")
PREDICTION_COLUMNS = ("name", "prediction")


@dataclass(frozen=True)
class Evaluation:
    """What came of an evaluation.

    Attributes:
        rows: Row name -> its figures; see :func:`fgvr.metrics.protocol.score`.
        scoring: What they were measured with: photos, classes, split, encoders.
        columns: Row name -> the column that its names came from.
        true_column: The column that the true names came from.
        unused: Predictions of photos that the truth does not have.
        empty: Row name -> photos with an empty name, where there are any.
        intervals: Row name -> figure -> lower and upper bound of its 95 % bootstrap interval.
        against: The row that the others were tested against; ``None`` for no tests.
        tests: Row name -> figure -> its test against that row.
        unscored: Row name -> photos without a score from 0 to 1, where only some have one; their row has no ``ece``.
    """

    rows: Mapping[str, Mapping[str, float]]
    scoring: Mapping[str, Any]
    columns: Mapping[str, str]
    true_column: str
    unused: int
    empty: Mapping[str, int]
    intervals: Mapping[str, Mapping[str, tuple[float, float]]] = field(default_factory=dict)
    against: str | None = None
    tests: Mapping[str, Mapping[str, RowTest]] = field(default_factory=dict)
    unscored: Mapping[str, int] = field(default_factory=dict)

    @property
    def records(self) -> dict[str, dict[str, Any]]:
        """The rows as ``metrics.json`` has them: figures, ``intervals``, ``against`` and ``scoring``."""
        records: dict[str, dict[str, Any]] = {}
        for row, figures in self.rows.items():
            records[row] = dict(figures)
            if row in self.intervals:
                records[row]["intervals"] = {figure: list(bounds) for figure, bounds in self.intervals[row].items()}
            if row in self.tests:
                tests = {figure: asdict(test) for figure, test in self.tests[row].items()}
                records[row]["against"] = {"row": self.against, "tests": tests}
            records[row]["scoring"] = self.scoring
        return records


def evaluate(
    predictions: Path | str,
    truth: Path | str,
    split: str | None = None,
    encoder: list[str] | str | None = None,
    encoding: str | None = None,
    closed: bool = False,
    against: str | None = None,
    finer_compat: bool = False,
    cacc_resolved: bool = False,
    resamples: int = RESAMPLES,
    wordnet: Path | str | None = None,
) -> Evaluation:
    """Score predicted class names: sACC, cACC, sIOU and others, each with its 95 % bootstrap interval.

    Both files are CSV or Parquet with a column ``sample_id`` (or ``file``), the photo's path below the data set's root,
    or another path in one of them that ends like the path of one photo of the other. Every photo of the truth needs a
    prediction; an empty one is scored as an empty name. Predictions of other photos are left out.

    Args:
        predictions: Table with a column ``name`` (or ``prediction``) or, without it, a column ``<row>_name`` for each
            row of the result. The ``predictions.parquet`` of a run is one.
        truth: Table with a column ``class_name`` (or ``true_name``) and, for ``split``, ``split``. The
            ``manifest.csv`` of a data set is one.
        split: Score the photos of this split only.
        encoder: Sentence encoder for sACC: ``all-MiniLM-L6-v2``, ``all-mpnet-base-v2`` or a directory, or a list of
            several; an empty list for no sACC. Without it, whichever of the two is on this machine.
        encoding: Encoding of CSV files, such as ``"cp1252"``, that are not UTF-8 or UTF-16.
        closed: Whether predictions were chosen from a list of names that holds the true ones: adds the accuracy.
        against: A row; every other row is tested against it: see :func:`fgvr.metrics.comparison.compare_rows`.
        finer_compat: For sACC and sIOU, shift the true names of Stanford Cars by one class, as FineR's public
            evaluation does.
        cacc_resolved: Also give the interval ``cacc_resolved``, with the matching of cACC solved anew for each of (at
            most 200) resamples.
        resamples: Resamples of the bootstrap; 0 for no intervals.
        wordnet: Folder of a WordNet, or ``"auto"`` for one that is installed: adds how deep in it predicted names are,
            see :func:`fgvr.metrics.specificity.specificity`.

    Raises:
        FgvrError: A file cannot be read or lacks a column, a photo is listed twice or lacks its name or prediction, an
            encoder or WordNet is not available, there is no row ``against`` or no other one, ``resamples`` is negative,
            or with ``finer_compat`` a true name is none of Stanford Cars'.
    """
    if resamples < 0:
        raise FgvrError(f"resamples is {resamples}; expected 0 or more.")
    if isinstance(encoder, str):
        encoder = [encoder]
    if split is not None:
        split = split_name(split) or split
    predicted, true = (_read_table(Path(path), encoding) for path in (predictions, truth))
    true_column, columns = _column(true, TRUTH_COLUMNS), _prediction_columns(predicted)
    true_names = _true_names(true, true_column, split)
    predicted_rows = _matched(_rows_by_id(predicted), true_names, predicted)
    missing = [sample_id for sample_id in true_names if sample_id not in predicted_rows]
    if missing:
        raise FgvrError(
            f"{predictions} has no prediction for {len(missing)} of {counted(len(true_names), 'photo')} of {truth}, "
            f"the first {missing[0]!r} (its own first is {next(iter(predicted_rows))!r}). Predict all of them, or "
            "choose photos by their split."
        )
    names = list(true_names.values())
    rows = {row: [predicted_rows[id_].cells[column] for id_ in true_names] for row, column in columns.items()}
    scores = {
        row: _scores(predicted, column, (predicted_rows[id_] for id_ in true_names)) for row, column in columns.items()
    }
    measured = {
        row: measure(given, names, encoder, closed, _whole(scores[row]), finer_compat) for row, given in rows.items()
    }
    contributions = {row: each.contributions for row, each in measured.items()}
    figures = {row: each.figures for row, each in measured.items()}
    if wordnet is not None:
        nouns = read_wordnet(None if wordnet == "auto" else Path(wordnet), "wordnet")
        for row, given in rows.items():
            figures[row] = figures[row] | specificity(given, nouns, names).figures()
    return Evaluation(
        rows=figures,
        scoring=scoring(names, encoder, split, finer_compat),
        columns=columns,
        true_column=true_column,
        unused=len(predicted_rows) - len(names),
        empty={row: given.count("") for row, given in rows.items() if "" in given},
        intervals=(
            {row: each.intervals(resamples, cacc_resolved=cacc_resolved) for row, each in measured.items()}
            if resamples
            else {}
        ),
        against=against,
        tests={} if against is None else compare_rows(contributions, against),
        unscored={row: without for row, given in scores.items() if 0 < (without := given.count(None)) < len(given)},
    )


def _scores(table: Table, column: str, rows: Iterable[Row]) -> list[float | None]:
    """The score beside each name, where it is a number from 0 to 1."""
    beside = f"{column.removesuffix('_name')}_score" if column.endswith("_name") else "score"
    return [_probability(row.cells[beside]) for row in rows] if beside in table.header else []


def _probability(cell: str) -> float | None:
    try:
        score = float(cell)
    except ValueError:
        return None
    # the last digit of a sum of probabilities may be any
    return score if -0.001 < score < 1.001 else None


def _whole(scores: Sequence[float | None]) -> list[float] | None:
    """The scores, where every photo has one."""
    there = [score for score in scores if score is not None]
    return there if there and len(there) == len(scores) else None


def _true_names(table: Table, column: str, split: str | None) -> dict[str, str]:
    """Sample id -> true name of the photos of the split."""
    rows = _rows_by_id(table)
    if split is not None:
        split_column = _column(table, ["split"])
        splits = {id_: split_name(row.cells[split_column]) or row.cells[split_column] for id_, row in rows.items()}
        rows = {id_: row for id_, row in rows.items() if splits[id_] == split}
        if not rows:
            has = ", ".join(sorted(set(splits.values())))
            raise FgvrError(f"{table.path} has no photo of split {split!r}; it has: {has}.")
    true_names = {id_: table.line(row, column) for id_, row in rows.items()}
    for id_, true_name in true_names.items():
        if not true_name:
            raise FgvrError(f"{table.place(rows[id_])}: {id_!r} has no true name. Name it, or delete the row.")
    return true_names


def _prediction_columns(table: Table) -> dict[str, str]:
    """Row of the result -> column with its predicted names."""
    for column in PREDICTION_COLUMNS:
        if column in table.header:
            return {"predictions": column}
    found = {
        column.removesuffix("_name"): column
        for column in table.header
        if column.endswith("_name") and column not in ("_name", *TRUTH_COLUMNS)
    }
    if not found:
        raise _missing_column(table, [*PREDICTION_COLUMNS, "<row>_name (such as coop_name)"])
    return found


def _column(table: Table, names: Sequence[str]) -> str:
    """The first of these columns that the table has."""
    for name in names:
        if name in table.header:
            return name
    raise _missing_column(table, names)


def _missing_column(table: Table, names: Sequence[str]) -> FgvrError:
    return FgvrError(
        f"{table.path} has no column {' or '.join(names)} of text; it has: {visible(', '.join(table.header), 200)}."
    )


def _rows_by_id(table: Table) -> dict[str, Row]:
    """Sample id -> its row.

    Raises:
        FgvrError: An id is empty or there twice.
    """
    column = _column(table, ID_COLUMNS)
    rows: dict[str, Row] = {}
    for row in table.rows:
        cell = table.line(row, column)
        if not cell:
            raise FgvrError(f"{table.place(row)}: the photo's id is empty; expected the same id as in the other file.")
        sample_id = posix_path(cell)
        if sample_id in rows:
            raise FgvrError(
                f"{table.place(row)}: {sample_id!r} is in row {rows[sample_id].number} already. Delete one of the two "
                "rows."
            )
        rows[sample_id] = row
    return rows


def _matched(predicted: Mapping[str, Row], true_names: Collection[str], table: Table) -> dict[str, Row]:
    """The predictions by the ids of the truth, where the path of one ends in that of the other.

    Raises:
        FgvrError: Two predictions may be of one photo, or one of two.
    """
    missing = [sample_id for sample_id in true_names if sample_id not in predicted]
    if not missing:
        return dict(predicted)
    paths = PhotoPaths(missing)
    rows: dict[str, Row] = {}
    for written, row in predicted.items():
        meant = [] if written in true_names else paths.find(written)
        if len(meant) > 1:
            raise FgvrError(
                f"{table.place(row)}: {written!r} may be {meant[0]!r} or {meant[1]!r}; give the whole path."
            )
        first = rows.setdefault(meant[0] if meant else written, row)
        if first is not row:
            raise FgvrError(
                f"{table.place(row)}: {written!r} may be {meant[0]!r}, and so may that of row {first.number}; give the "
                "whole path."
            )
    return rows


def _read_table(path: Path, encoding: str | None) -> Table:
    match path.suffix.lower():
        case ".csv":
            table = read_csv(path, encoding=encoding, option="encoding")
        case ".parquet":
            table = _read_parquet(path)
        case _:
            raise FgvrError(f"{path}: expected a file that ends in .csv or .parquet.")
    if not table.rows:
        raise FgvrError(f"{path} is empty: expected a header and one row per photo.")
    return table


def _read_parquet(path: Path) -> Table:
    from fgvr.parquet import read_parquet  # pyarrow is not needed for CSV

    table = read_parquet(path, "Write it again.")
    columns = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        cells = column.to_pylist()
        # of what is beside the names only scores are read
        if name.endswith("score") and any(isinstance(cell, float) for cell in cells):
            cells = [repr(cell) if isinstance(cell, float) else cell for cell in cells]
        if all(cell is None or isinstance(cell, str) for cell in cells):
            columns[name] = [composed(cell or "").strip() for cell in cells]
    rows = [Row(index + 1, {name: cells[index] for name, cells in columns.items()}) for index in range(table.num_rows)]
    return Table(path, list(columns), rows)
