import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fgvr.errors import FgvrError
from fgvr.metrics.files import write_metrics
from fgvr.reports.table import COLUMNS
from fgvr.runs import RunFolder
from fgvr.sweeps.result import (
    Tidy,
    caption,
    format_summary,
    markdown_summary,
    own_row,
    read_tidy,
    summarise,
    summary_cells,
    tidy_rows,
    write_tidy,
)
from fgvr.vocabulary.build import known_vocabulary
from fgvr.vocabulary.files import write_vocabulary


def tidy(figures, columns=("candidates",), simulated=False):
    """A sweep: (values, seed) -> cACC of the row coop; zero_shot is 10 a value of the last column."""
    rows = []
    for (*values, seed), cacc in figures.items():
        shared = dict(zip(columns, values, strict=True)) | {"seed": seed, "simulated": simulated}
        name = "-".join(map(str, [*values, seed]))
        zero_shot = 10.0 * values[-1] if isinstance(values[-1], int) else 10.0
        rows += [
            {**shared, "row": "zero_shot", "cacc": zero_shot, "seconds": float(seed), "run": name},
            {**shared, "row": "coop", "cacc": cacc, "seconds": 5.0, "coverage": 0.5, "classes": 4, "run": name},
        ]
    return Tidy(tuple(columns), tuple(rows))


TABLE = tidy({("single", 0): 50.0, ("single", 1): 52.0, ("knn", 0): 60.0, ("knn", 1): 60.0})
SHOTS = tidy(
    {(sets, n, seed): 40.0 + n + seed for n in (1, 2, 10) for sets in ("knn", "single") for seed in (0, 1)},
    columns=("candidates", "shots"),
)


def test_mean_and_deviation_of_every_variant_and_one_line_for_what_is_not_concerned():
    assert summary_cells(TABLE) == [
        ["row", "candidates", "cACC", COLUMNS["seconds"], "coverage (%)", "classes"],
        ["zero_shot", "", "10.0", "0.5 ± 0.7", "-", "-"],
        ["coop", "single", "51.0 ± 1.4", "5.0", "50.0", "4"],
        ["coop", "knn", "60.0", "5.0", "50.0", "4"],
    ]
    assert caption(TABLE) == "Mean ± standard deviation over 2 seeds."


def test_a_row_keeps_the_columns_that_it_depends_on():
    lines = summarise(SHOTS)
    assert [line.values for line in lines if line.row == "zero_shot"] == [{"shots": 1}, {"shots": 2}, {"shots": 10}]
    assert [(line.row, dict(line.values)) for line in lines[:3]] == [
        ("zero_shot", {"shots": 1}),
        ("coop", {"candidates": "knn", "shots": 1}),
        ("coop", {"candidates": "single", "shots": 1}),
    ]


def test_the_runs_own_row_is_never_joined_though_it_is_the_same():
    same = tidy({("single", 0): 50.0, ("knn", 0): 50.0})
    assert [line.row for line in summarise(same)] == ["zero_shot", "coop", "coop"]
    assert caption(same) == "Seed 0."
    assert "±" not in format_summary(same)


def test_seeds_that_are_missing_are_counted():
    cells = summary_cells(tidy({("single", 0): 50.0, ("single", 1): 52.0, ("knn", 0): 60.0}))
    assert [(row[0], row[-1]) for row in cells[1:]] == [
        *(("zero_shot", "2 of 2"), ("coop", "2 of 2"), ("zero_shot", "1 of 2"), ("coop", "1 of 2"))
    ]


@pytest.mark.parametrize(
    "runs",
    [
        [("knn", 1, 0), ("knn", 2, 1)],
        [("knn", 1, 0), ("knn", 2, 1), ("single", 1, 1), ("single", 2, 0)],
    ],
)
def test_rows_without_a_run_of_the_same_seed_are_not_joined(runs):
    lines = summarise(tidy(dict.fromkeys(runs, 50.0), ("candidates", "shots")))
    assert [tuple(line.values.values()) for line in lines if line.row == "zero_shot"] == [run[:2] for run in runs]


def test_what_is_simulated_says_so(tmp_path):
    simulated = tidy({("a|b", 0): 50.0, ("c", 0): 52.0}, simulated=True)
    assert "Simulated labels, with simulated costs and times." in format_summary(simulated)
    text = markdown_summary(simulated)
    assert "| coop (simulated) | a\\|b |" in text
    assert text.endswith("Simulated labels, with simulated costs and times.")


def test_lines_are_aligned():
    lines = format_summary(TABLE).splitlines()
    assert lines[0].index("candidates") == lines[2].index("single")
    assert len({len(line) for line in lines[:-1]}) == 1


def test_the_files_hold_what_the_runs_said(tmp_path):
    folder = RunFolder(tmp_path / "knn-seed1")
    (folder.path / "logs/version_0").mkdir(parents=True)
    record = {"cacc": 61.5, "cost_usd": 0, "candidates": "knn", "simulated": True, "scoring": {"photos": 3}}
    folder.metrics.write_text(json.dumps({"zero_shot": {"cacc": 50}, "coop": record, "labeler": {"cacc": 70.5}}))
    quality = "step,candidates/coverage,candidates/mean_size,train/loss\n0,,,2.5\n1,0.75,1.5,\n"
    (folder.path / "logs/version_0/metrics.csv").write_text(quality)
    rows = tidy_rows(folder, {"candidates": "knn", "k": 3}, 1)
    write_tidy(Tidy(("candidates", "k"), tuple(rows)), tmp_path)
    table = pq.read_table(tmp_path / "sweep.parquet")
    assert table.column_names == [
        *("candidates", "k", "seed", "row", "cacc", "cost_usd"),
        *("coverage", "purity", "mean_size", "classes", "simulated", "oracle", "run"),
    ]
    assert str(table.schema.field("k").type) == "int64"
    read = read_tidy(tmp_path)
    assert read.columns == ("candidates", "k")
    assert [row["row"] for row in read.rows] == ["zero_shot", "coop", "labeler"]
    assert [row["coverage"] for row in read.rows] == [None, 0.75, None]
    assert [row["simulated"] for row in read.rows] == [False, True, False]
    assert read.rows[1]["run"] == "knn-seed1"
    assert len((tmp_path / "sweep.csv").read_text().splitlines()) == 4
    assert own_row(row["row"] for row in read.rows) == "coop"


def test_a_column_of_numbers_and_words_is_written_as_words(tmp_path):
    write_tidy(tidy({("all", 0): 1.0, (3, 0): 2.0}, columns=("shots",)), tmp_path)
    assert [row["shots"] for row in read_tidy(tmp_path).rows] == ["all", "all", "3", "3"]


def test_a_folder_without_a_table_is_named(tmp_path):
    with pytest.raises(FgvrError, match=r"There is no .*sweep\.parquet"):
        read_tidy(tmp_path)
    (tmp_path / "sweep.parquet").write_bytes(b"PAR1")
    with pytest.raises(FgvrError, match="not a Parquet file"):
        read_tidy(tmp_path)


@pytest.mark.parametrize(
    "change",
    [{"run": ".."}, {"run": "a/b"}, {"run": "a\\b"}, {"run": None}, {"row": 3}, {"seed": "0"}, {"seed": None}],
)
def test_a_table_that_leads_elsewhere_is_refused(tmp_path, change):
    row = {"k": 1, "seed": 0, "row": "coop", "cacc": 50.0, "run": "k1"} | change
    pq.write_table(pa.table({key: [value] for key, value in row.items()}), tmp_path / "sweep.parquet")
    with pytest.raises(FgvrError, match="row 1: expected a whole number as seed"):
        read_tidy(tmp_path)
    pq.write_table(pa.table({"seed": [0], "row": ["coop"]}), tmp_path / "sweep.parquet")
    with pytest.raises(FgvrError, match="it has no column 'run'"):
        read_tidy(tmp_path)


def test_the_ends_of_intervals_are_kept_and_not_shown(tmp_path):
    folder = RunFolder(tmp_path / "one")
    folder.path.mkdir()
    record = {"cacc": 61.5, "nmi": 20.0, "intervals": {"cacc": [60.0, 63.0], "nmi": [19.0, 21.0]}}
    folder.metrics.write_text(json.dumps({"coop": record}))
    rows = tidy_rows(folder, {"k": 3}, 1)
    assert {key: rows[0][key] for key in rows[0] if key.endswith(("_low", "_high"))} == {
        "cacc_low": 60.0,
        "cacc_high": 63.0,
    }
    table = Tidy(("k",), tuple(rows))
    assert summarise(table)[0].figures == {"cacc": (61.5,), "nmi": (20.0,), "cacc_low": (60.0,), "cacc_high": (63.0,)}
    assert summary_cells(table) == [["row", "k", "cACC"], ["coop", "3", "61.5"]]


def test_a_row_of_captions_says_whose(tmp_path):
    """In the table of a sweep, and after it was written and read."""
    rows = tuple({**row, **({"captions": "wordnet glosses"} if row["row"] == "coop" else {})} for row in TABLE.rows)
    write_tidy(Tidy(TABLE.columns, rows), tmp_path)
    for table in (Tidy(TABLE.columns, rows), read_tidy(tmp_path)):
        assert [row[0] for row in summary_cells(table)[1:3]] == ["zero_shot", "coop (captions: wordnet glosses)"]
    write_tidy(TABLE, tmp_path)
    assert "captions" not in pq.read_table(tmp_path / "sweep.parquet").column_names


def test_a_compared_row_has_its_own_number_of_classes(tmp_path):
    folder = RunFolder(tmp_path)
    compared = RunFolder(tmp_path / "compare" / "words")
    compared.path.mkdir(parents=True)
    write_vocabulary(known_vocabulary(["Pug", "Auk"]), folder.vocabulary)
    write_vocabulary(known_vocabulary(["Pug", "Auk", "Emu"]), compared.vocabulary)
    write_metrics(folder.metrics, {"zero_shot": {"cacc": 1.0}, "words": {"cacc": 2.0}})
    assert [row["classes"] for row in tidy_rows(folder, {}, 0)] == [2, 3]
