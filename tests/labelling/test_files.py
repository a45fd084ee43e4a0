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
    with pytest.raises(FgvrError, match=r"no .*labels\.parquet.*the label stage writes it"):
        read_labels_file(tmp_path / "labels.parquet")


def test_a_file_that_is_not_parquet(tmp_path):
    path = tmp_path / "labels.parquet"
    path.write_text("sample_id,names\n")
    with pytest.raises(FgvrError, match=r"labels\.parquet.*not a Parquet file.*run the label stage again"):
        read_labels_file(path)


def test_a_file_without_its_columns(tmp_path):
    path = tmp_path / "labels.parquet"
    pq.write_table(pa.table({"sample_id": ["a.jpg"], "flag": [""]}), path)
    with pytest.raises(FgvrError, match=r"lacks the column\(s\) names, scientific_names, raw.*has sample_id, flag"):
        read_labels_file(path)
