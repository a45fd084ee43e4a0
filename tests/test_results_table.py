"""scripts/results_table.py, which writes into docs/."""

import pytest

from fgvr.errors import FgvrError
from fgvr.sweeps.result import Tidy, write_tidy

SCRIPT = "results_table"


def test_the_table_of_a_sweep_takes_the_place_of_the_old_one(script, tmp_path):
    rows = [{"k": k, "seed": 0, "row": "coop", "cacc": 50.0 + k, "simulated": False, "run": f"k{k}"} for k in (1, 2, 3)]
    write_tidy(Tidy(("k",), tuple(rows)), tmp_path / "mine")
    results = tmp_path / "results.md"
    results.write_text("before\n<!-- begin mine -->\nold\n<!-- end mine -->\nafter\n")
    script.put(tmp_path / "mine", tmp_path)
    text = results.read_text()
    assert "| coop | 2 | 52.0 |" in text
    assert "old" not in text
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert "(figures/mine.svg)" in text
    assert (tmp_path / "figures/mine.svg").read_text().startswith("<?xml")
    script.put(tmp_path / "mine", tmp_path)
    assert results.read_text() == text
    results.write_text("nothing")
    with pytest.raises(FgvrError, match="has 0 pairs of the lines '<!-- begin mine -->'"):
        script.put(tmp_path / "mine", tmp_path)
