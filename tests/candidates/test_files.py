import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fgvr.candidates.files import read_candidates, write_candidates
from fgvr.errors import FgvrError
from fgvr.records import CandidateSets

NAMES = ["Beagle", "Basset Hound", "Pug"]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "candidates.parquet"


def rows(**changes):
    columns = {
        "sample_id": ["dogs/a.jpg", "dogs/b.jpg"],
        "candidates": [["Beagle", "Pug"], ["Pug"]],
        "weights": [[0.5, 0.5], [1.0]],
    }
    return {name: values for name, values in (columns | changes).items() if values is not None}


def test_round_trip(path):
    sets = CandidateSets.from_lists(["a.jpg", "b.jpg"], [[2, 0], [1]], weights=[[0.75, 0.25], [1.0]])
    write_candidates(sets, NAMES, path)
    again = read_candidates(path, NAMES)
    assert again.sample_ids == sets.sample_ids
    for part in ("offsets", "indices", "weights"):
        assert getattr(again, part).tolist() == getattr(sets, part).tolist()
        assert getattr(again, part).dtype == getattr(sets, part).dtype


def test_the_file_is_what_other_tools_expect(path):
    write_candidates(CandidateSets.from_lists(["a.jpg", "b.jpg"], [[2, 0], [1]]), NAMES, path)
    assert pq.read_table(path).to_pydict() == {
        "sample_id": ["a.jpg", "b.jpg"],
        "candidates": [["Pug", "Beagle"], ["Basset Hound"]],
        "weights": [[0.5, 0.5], [1.0]],
    }
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_the_order_of_the_vocabulary_may_change(path):
    write_candidates(CandidateSets.from_lists(["a.jpg"], [[2, 0]]), NAMES, path)
    assert read_candidates(path, NAMES[::-1]).indices.tolist() == [0, 2]


def test_types_of_other_tools_are_taken(path):
    table = pa.table(rows(note=["x", "y"])).cast(
        pa.schema(
            [
                ("sample_id", pa.large_string()),
                ("candidates", pa.large_list(pa.string())),
                ("weights", pa.list_(pa.float64())),
                ("note", pa.string()),
            ]
        )
    )
    pq.write_table(table, path)
    sets = read_candidates(path, NAMES)
    assert sets.indices.tolist() == [0, 2, 2]
    assert sets.weights.tolist() == [0.5, 0.5, 1.0]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (rows(weights=None), "no column 'weights'"),
        (rows(weights=["half", "one"]), r"column 'weights' holds string; expected list<.*float"),
        (rows(candidates=[["Beagle", "Pugg"], ["Pug"]]), r"row 0 \(dogs/a.jpg\): 'Pugg' .* mean 'Pug'\?"),
        (rows(candidates=[["Beagle", "Pug"], ["Xyz"]]), r"row 1 \(dogs/b.jpg\): 'Xyz' .* another vocabulary\?"),
        (rows(candidates=[["Beagle", "Pug"], [None]]), r"row 1 \(dogs/b.jpg\): 'None'"),
        (rows(weights=[[0.5, 0.5], [0.5, 0.5]]), r"row 1 \(dogs/b.jpg\): there are not as many weights"),
        (rows(weights=[[0.5, 0.5], [None]]), "dogs/b.jpg"),
        (rows(weights=[[0.5, 0.9], [1.0]]), "dogs/a.jpg"),
        (rows(candidates=[["Beagle", "Beagle"], ["Pug"]]), "dogs/a.jpg"),
        (rows(candidates=[["Beagle", "Pug"], []], weights=[[0.5, 0.5], []]), "dogs/b.jpg"),
        (rows(candidates=[["Beagle", "Pug"], None], weights=[[0.5, 0.5], None]), "dogs/b.jpg"),
        (rows(sample_id=["dogs/a.jpg", None]), r"row 1 .*sample_id is empty"),
        (rows(sample_id=["dogs/a.jpg", "dogs/a.jpg"]), r"row 1 \(dogs/a.jpg\): an earlier row"),
    ],
)
def test_errors_name_the_file_and_the_row(path, table, message):
    pq.write_table(pa.table(table), path)
    with pytest.raises(FgvrError, match=f"(?s)candidates.parquet.*{message}"):
        read_candidates(path, NAMES)


def test_a_file_that_is_not_there_or_not_parquet(path):
    with pytest.raises(FgvrError, match=r"There is no .*The candidates stage writes it"):
        read_candidates(path, NAMES)
    path.write_text("sample_id,candidates\n")
    with pytest.raises(FgvrError, match="not a Parquet file"):
        read_candidates(path, NAMES)
