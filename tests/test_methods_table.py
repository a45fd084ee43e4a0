"""scripts/methods_table.py, which writes into docs/ what all methods of a sweep come to."""

import json

import pytest

from fgvr.errors import FgvrError
from fgvr.records import Prediction
from fgvr.reports.predictions import write_predictions
from fgvr.sweeps.result import Tidy, write_tidy

SCRIPT = "methods_table"
TRUTH = ["jay", "finch", "canary", "wren"] * 5
RIGHT = {("zero_shot", "coop"): 8, ("coop", "coop"): 14, ("zero_shot", "oracle"): 8, ("class_means", "oracle"): 20}


def write_sweep(folder):
    lines = []
    for method in ("coop", "tfup", "oracle"):
        for seed in (0, 1):
            run = f"{method}-seed{seed}"
            rows = {row: right for (row, of), right in RIGHT.items() if of == method} or {"zero_shot": 8}
            said = []
            for i, true in enumerate(TRUTH):
                names = {row: true if i < right else "owl" for row, right in rows.items()}
                said.append(Prediction(f"{i}.png", "test", true, names, dict.fromkeys(rows, 1.0)))
            (folder / run).mkdir(parents=True)
            write_predictions(said, folder / run / "predictions.parquet")
            for row, right in rows.items():
                figures = {
                    "sacc_all_minilm_l6_v2": 5.0 * right,
                    "cacc": 5.0 * right,
                    "accuracy": 5.0 * right,
                    "seconds": 3.0 + seed,
                }
                lines.append({"method": method, "seed": seed, "row": row, **figures, "simulated": False, "run": run})
    write_tidy(Tidy(("method",), tuple(lines)), folder)


def test_each_row_stands_once_with_its_share_of_the_way_and_its_test(script, tmp_path, capsys, monkeypatch):
    write_sweep(tmp_path / "mine")
    (tmp_path / "results.md").write_text("before\n<!-- begin mine -->\nold\n<!-- end mine -->\nafter")
    monkeypatch.setattr("sys.argv", ["methods_table", str(tmp_path / "mine"), "--docs", str(tmp_path)])
    script.main()
    text = (tmp_path / "results.md").read_text()
    assert text.startswith("before\n<!-- begin mine -->\n\n| row | method |")
    assert "old" not in text
    body = [line for line in text.splitlines() if line.startswith("| ")][1:]
    assert [line.split(" | ")[:2] for line in body] == [
        ["| zero_shot", "coop"],
        ["| coop", "coop"],
        ["| zero_shot (true names)", "oracle"],
        ["| class_means (true names)", "oracle"],
    ], "the zero-shot row of tfup is that of coop"
    # 6 of the 12 photos that the oracle has more
    assert "| coop | coop | 70.0 ± 0.0 | 70.0 ± 0.0 | 50 % | +30.0 [" in text
    assert "<0.001 | 4 |" in body[1], "12 photos of two seeds are right in one row alone"
    told = json.loads(capsys.readouterr().out.splitlines()[-1])["mine"]
    assert (told["photos"], told["seeds"], told["means"]["coop coop"]) == (40, 2, 70.0)


def test_a_page_without_the_place_for_the_table_is_refused(script, tmp_path):
    write_sweep(tmp_path / "mine")
    (tmp_path / "results.md").write_text("nothing")
    with pytest.raises(FgvrError, match="has 0 pairs of the lines '<!-- begin mine -->'"):
        script.put(tmp_path / "mine", tmp_path)
