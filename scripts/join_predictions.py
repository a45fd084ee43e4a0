"""Put rows of several runs beside each other, so that they can be tested against each other on the same photos.

    python scripts/join_predictions.py --output joined.csv zero_shot=runs/a/0:zero_shot ow=runs/judge/b/0:ow_recorded
    fgvr evaluate --predictions joined.csv --truth manifest.csv --against zero_shot

Each row is NAME=RUN:ROW, a row of the run's ``predictions.parquet``. Photos that not all of them have are left out.
"""

import argparse
from pathlib import Path

from fgvr.errors import FgvrError
from fgvr.reports.predictions import read_prediction_table
from fgvr.runs import RunFolder
from fgvr.tables import write_csv
from fgvr.text import counted


def names_of(row: str) -> tuple[str, dict[str, str]]:
    """The name of a row, and sample id -> what it says.

    Raises:
        FgvrError: It is not of the form, or the run has no such row.
    """
    name, equals, place = row.partition("=")
    run, colon, column = place.rpartition(":")
    if not (equals and colon):
        raise FgvrError(f"{row!r} is no row: expected NAME=RUN:ROW.")
    table = read_prediction_table(RunFolder(Path(run)).predictions)
    if f"{column}_name" not in table.column_names:
        raise FgvrError(f"{run} has no row {column!r}; its columns are {', '.join(table.column_names)}.")
    said = zip(table["sample_id"].to_pylist(), table[f"{column}_name"].to_pylist(), strict=True)
    return name, {sample_id: found or "" for sample_id, found in said}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("rows", nargs="+", metavar="NAME=RUN:ROW")
    parser.add_argument("--output", type=Path, required=True)
    args = parser.parse_args()
    try:
        rows = dict(names_of(row) for row in args.rows)
        shared = sorted(set.intersection(*(set(row) for row in rows.values())))
        cells = [[sample_id, *(row[sample_id] for row in rows.values())] for sample_id in shared]
        write_csv(args.output, ["sample_id", *(f"{name}_name" for name in rows)], cells)
    except FgvrError as error:
        parser.error(str(error))
    print(f"{counted(len(shared), 'photo')}, {counted(len(rows), 'row')}: {args.output}")


if __name__ == "__main__":
    main()
