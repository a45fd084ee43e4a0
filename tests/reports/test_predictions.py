import csv

import pyarrow.parquet as pq

from fgvr.records import Prediction
from fgvr.reports.predictions import write_predictions
from fgvr.tables import read_csv

NAMES = ['=HYPERLINK("http://example.org")', "@home", "-0.5", "+1", "'=quoted", "K\u00e4fer, gr\u00fcn", "a\nb"]
PREDICTIONS = [
    Prediction(
        f"{index}.jpg", "test", None if index else "=1", {"coop": name}, {"coop": 0.1 if index else float("nan")}
    )
    for index, name in enumerate(NAMES)
]


def test_a_spreadsheet_runs_nothing_and_names_come_back(tmp_path):
    write_predictions(PREDICTIONS, tmp_path / "predictions.csv")
    with (tmp_path / "predictions.csv").open(encoding="utf-8-sig", newline="") as stream:
        header, *rows = csv.reader(stream)
    assert header == ["sample_id", "split", "true_name", "coop_name", "coop_score"]
    assert not [cell for row in rows for cell in row if cell[:1] in ("=", "+", "-", "@")]
    assert [row[4] for row in rows] == ["", *["0.1"] * 6]
    table = read_csv(tmp_path / "predictions.csv")
    assert [row.cells["coop_name"] for row in table.rows] == NAMES
    assert table.rows[0].cells["true_name"] == "=1"


def test_parquet_has_the_names_as_they_are(tmp_path):
    write_predictions(PREDICTIONS, tmp_path / "predictions.parquet")
    assert pq.read_table(tmp_path / "predictions.parquet")["coop_name"].to_pylist() == NAMES
