from dataclasses import replace

import pytest

from fgvr.errors import FgvrError
from fgvr.selections.doubt_table import DoubtfulPhoto, read_doubt_table, write_doubt_table

PHOTO = DoubtfulPhoto("a.jpg", "Pug", 1.5, 0.25, -1.5, "unasked")


def test_it_is_read_as_it_was_written(tmp_path):
    photos = [PHOTO, DoubtfulPhoto("b.jpg", "Boxer", float("inf"), None, float("inf"), "given")]
    write_doubt_table(photos, tmp_path / "doubt.parquet")
    assert read_doubt_table(tmp_path / "doubt.parquet") == photos


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sample_id": None}, "row 1: sample_id is empty"),
        ({"doubt": None}, "row 1: doubt is empty"),
        ({"doubt": float("nan")}, "row 1: confidence or doubt is not a number"),
        ({"p_clean": 1.5}, r"row 1: p_clean is 1\.5; expected 0 to 1"),
        ({"asked": "perhaps"}, "row 1: asked is 'perhaps'; expected unasked, nameless, named, given"),
        ({"sample_id": "a.jpg"}, "row 1: an earlier row is of the same photo"),
    ],
)
def test_a_row_that_is_none_is_named(tmp_path, changes, message):
    path = tmp_path / "doubt.parquet"
    write_doubt_table([PHOTO, replace(PHOTO, **{"sample_id": "b.jpg", **changes})], path)
    with pytest.raises(FgvrError, match=message):
        read_doubt_table(path)
