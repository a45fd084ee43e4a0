import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fgvr.errors import FgvrError
from fgvr.labelling.files import read_labels_file, write_labels
from fgvr.records import LabelRecord

LABELS = [
    LabelRecord("b.jpg", ("House Finch", "Heron, grey"), ("Haemorhous mexicanus", None), "", "raw", "m-1", 0.25, 1.5),
    LabelRecord("a.jpg", (), (), "refusal", '<b>I "cannot"</b>\n' * 1000),
    LabelRecord("c.jpg", ("Pug",), (None,), confidence=0.75, alternatives=("Boxer", "Bulldog"), corrected=True),
    LabelRecord("d.jpg", ("Pug",), (None,), requests=2, follow_ups=1, follow_ups_usd=0.25, name_before=""),
    LabelRecord("e.jpg", ("Mallard",), ("Anas platyrhynchos",), genus="Anas", individual="adult male", doubtful=True),
]


@pytest.mark.parametrize("labels", [LABELS, []])
def test_labels_come_back_as_they_were(tmp_path, labels):
    path = tmp_path / "not" / "yet" / "labels.parquet"
    write_labels(labels, path)
    assert read_labels_file(path) == labels
    assert [entry.name for entry in path.parent.iterdir()] == ["labels.parquet"]


def test_columns(tmp_path):
    write_labels(LABELS, tmp_path / "labels.parquet")
    assert pq.read_schema(tmp_path / "labels.parquet").names == [
        *("sample_id", "names", "scientific_names", "flag", "raw", "model", "cost_usd", "seconds"),
        *("confidence", "alternatives", "corrected"),
        *("requests", "follow_ups", "follow_ups_usd", "name_before"),
        *("genus", "individual", "doubtful"),
    ]


@pytest.mark.parametrize("first", ["confidence", "requests", "genus"])
def test_files_of_older_runs_are_read(tmp_path, first):
    path = tmp_path / "labels.parquet"
    write_labels(LABELS[:2], path)
    table = pq.read_table(path)
    pq.write_table(table.drop_columns(table.column_names[table.column_names.index(first) :]), path)
    assert read_labels_file(path) == LABELS[:2]


def test_a_missing_file(tmp_path):
    with pytest.raises(FgvrError, match=r"no .*labels\.parquet.*Run the label stage again"):
        read_labels_file(tmp_path / "labels.parquet")


def test_a_file_that_is_not_parquet(tmp_path):
    path = tmp_path / "labels.parquet"
    path.write_text("sample_id,names\n")
    with pytest.raises(FgvrError, match=r"labels\.parquet.*not a Parquet file.*Run the label stage again"):
        read_labels_file(path)


def test_a_file_without_its_columns(tmp_path):
    path = tmp_path / "labels.parquet"
    pq.write_table(pa.table({"sample_id": ["a.jpg"], "flag": [""]}), path)
    with pytest.raises(FgvrError, match=r"no column 'names'; it needs .*, and has sample_id, flag\. Run the label"):
        read_labels_file(path)


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("sample_id", ["a.jpg", None], r"row 1 \(None\): sample_id is empty"),
        ("sample_id", ["a.jpg", "a.jpg"], r"row 1 \(a\.jpg\): an earlier row is of the same photo"),
        ("names", [["Pug", None], []], r"row 0 .*: a name is empty"),
        ("names", [None, []], r"row 0 .*: names is empty"),
        ("scientific_names", [[None, None], []], r"row 0 .*: 2 in scientific_names, for 1 name"),
        ("cost_usd", [0.5, float("nan")], r"row 1 .*: cost_usd is nan; expected a finite number"),
        ("cost_usd", ["much", "more"], "column 'cost_usd' holds string; expected double"),
    ],
)
def test_a_row_that_is_no_label_is_refused_in_one_line(tmp_path, column, values, message):
    path = tmp_path / "labels.parquet"
    write_labels([LabelRecord("a.jpg", ("Pug",), (None,)), LabelRecord("b.jpg", ())], path)
    table = pq.read_table(path)
    pq.write_table(table.set_column(table.column_names.index(column), column, pa.array(values)), path)
    with pytest.raises(FgvrError, match=rf"labels\.parquet.*{message}.*Run the label stage again") as error:
        read_labels_file(path)
    assert "\n" not in str(error.value)
