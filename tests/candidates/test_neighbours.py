import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from fgvr.candidates.neighbours import Neighbours, find_neighbours, read_neighbours, spread, write_neighbours
from fgvr.errors import FgvrError


def unit(count, dim=8, seed=0):
    features = np.random.default_rng(seed).normal(size=(count, dim)).astype(np.float32)
    return features / np.linalg.norm(features, axis=1, keepdims=True)


def test_they_are_the_nearest_others_and_come_in_order():
    features = unit(40)
    features[7] = features[3]  # the same photo twice: each is the other's neighbour and not its own
    ids = [f"{i:02}.jpg" for i in range(40)]
    found = find_neighbours(ids, features, k=5)
    assert [row.sample_id for row in found] == ids
    similarity = features.astype(np.float64) @ features.T
    np.fill_diagonal(similarity, -2)
    for row, values in zip(found, similarity, strict=True):
        assert list(row.neighbours) == [ids[i] for i in np.argsort(-values, kind="stable")[:5]]
        np.testing.assert_allclose(row.similarity, np.sort(values)[::-1][:5], atol=1e-6)
    assert found[3].neighbours[0] == "07.jpg"


def test_of_many_photos_some_are_taken_evenly():
    ids = [str(i) for i in range(50)]
    found = find_neighbours(ids, unit(50), limit=5)
    assert [int(row.sample_id) for row in found] == sorted(spread(50, 5))
    everything = {row.sample_id: row for row in find_neighbours(ids, unit(50))}
    for row in found:
        assert row.neighbours == everything[row.sample_id].neighbours
        np.testing.assert_allclose(row.similarity, everything[row.sample_id].similarity, atol=1e-6)


@pytest.mark.parametrize(("total", "most"), [(1, 5), (10, 10), (1000, 100), (1000, 64)])
def test_every_beginning_is_spread(total, most):
    order = spread(total, most)
    assert len(order) == len(set(order)) == min(total, most)
    for part in (order[: len(order) // 2], order):
        gaps = np.diff(sorted([*part, total]))
        assert not len(part) or gaps.max() <= 4 * max(total / len(part), 1)
    assert spread(0, most) == []


@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_photos_have_few_neighbours(count):
    found = find_neighbours([str(i) for i in range(count)], unit(count))
    assert [len(row.neighbours) for row in found] == [count - 1] * count


def test_round_trip(tmp_path):
    rows = [Neighbours("a.jpg", ("b.jpg",), (0.5,)), Neighbours("b.jpg", (), ())]
    write_neighbours(rows, tmp_path / "run" / "neighbours.parquet")
    assert read_neighbours(tmp_path / "run" / "neighbours.parquet") == rows
    table = pq.read_table(tmp_path / "run" / "neighbours.parquet")
    assert table.schema.types == [pa.string(), pa.list_(pa.string()), pa.list_(pa.float32())]
    assert table.column_names == ["sample_id", "neighbours", "similarity"]


GOOD = {"sample_id": ["a"], "neighbours": [["b", "c"]], "similarity": [[0.5, 0.25]]}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"similarity": None}, "no column 'similarity'"),
        ({"similarity": ["near"]}, "column 'similarity' holds string; expected list<"),
        ({"sample_id": [None]}, r"row 0 \(None\): expected a sample_id"),
        ({"similarity": [[0.5]]}, r"row 0 \(a\): expected .* one similarity from -1 to 1 for each neighbour"),
        ({"similarity": [[0.5, float("nan")]]}, r"row 0 \(a\): expected .* from -1 to 1"),
        ({"neighbours": [["b", None]]}, r"row 0 \(a\)"),
    ],
)
def test_errors_name_the_file_and_the_row(tmp_path, change, message):
    path = tmp_path / "neighbours.parquet"
    pq.write_table(pa.table({name: values for name, values in (GOOD | change).items() if values is not None}), path)
    with pytest.raises(FgvrError, match=f"(?s)neighbours.parquet.*{message}"):
        read_neighbours(path)


def test_a_file_that_is_not_there_or_not_parquet(tmp_path):
    path = tmp_path / "neighbours.parquet"
    with pytest.raises(FgvrError, match="There is no"):
        read_neighbours(path)
    path.write_text("no")
    with pytest.raises(FgvrError, match="not a Parquet file"):
        read_neighbours(path)
