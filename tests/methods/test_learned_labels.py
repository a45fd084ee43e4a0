import pyarrow.parquet as pq
import torch

from fgvr.methods.learned_labels import SCHEMA, write_pseudo_labels


def test_a_label_is_a_row_and_a_photo_that_is_not_learned_from_is_none(tmp_path):
    learned = {1: torch.tensor([[-1, 1], [0, -1]]), 0: torch.tensor([[0, -1], [0, -1]])}
    write_pseudo_labels(learned, ["a.png", "b.png"], ("Blue Jay", "Wren"), tmp_path / "pseudo_labels.parquet")
    table = pq.read_table(tmp_path / "pseudo_labels.parquet")
    assert table.schema.equals(SCHEMA)
    assert [tuple(row.values()) for row in table.to_pylist()] == [
        (1, 1, "a.png", "Blue Jay"),
        (1, 2, "a.png", "Blue Jay"),
        (2, 1, "b.png", "Wren"),
        (2, 2, "a.png", "Blue Jay"),
    ]
    assert not list(tmp_path.glob(".*")), "written under another name first"


def test_nothing_learned_is_an_empty_table(tmp_path):
    write_pseudo_labels({}, [], (), tmp_path / "pseudo_labels.parquet")
    assert pq.read_table(tmp_path / "pseudo_labels.parquet").num_rows == 0
