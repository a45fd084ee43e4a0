from fgvr.reports.table import format_table, table_cells


def test_columns_stand_in_one_order_and_only_where_there_are_figures():
    rows = {
        "zero_shot": {"cost_usd": 0, "cacc": 50.0, "ruler": {"photos": 3}},
        "coop": {"cacc": 61.25, "seconds": 12.0},
    }
    assert table_cells(rows) == [
        ["", "cACC", "computing s", "US$"],
        ["zero_shot", "50.0", "-", "0.00"],
        ["coop", "61.2", "12.0", "-"],
    ]


def test_lines_are_aligned():
    lines = format_table({"zero_shot": {"cacc": 5.0}, "coop": {"cacc": 100.0}}).splitlines()
    assert len({len(line) for line in lines}) == 1


def test_candidates_are_words_and_simulated_rows_say_so():
    rows = {
        "zero_shot": {"cacc": 50.0, "simulated": True, "label_seconds": 240.0},
        "coop": {"cacc": 61.25, "simulated": True, "candidates": "knn"},
        "oracle": {"cacc": 90.0},
    }
    assert table_cells(rows) == [
        ["", "candidates", "cACC", "labelling s"],
        ["zero_shot (simulated)", "-", "50.0", "240.0"],
        ["coop (simulated)", "knn", "61.2", "-"],
        ["oracle", "-", "90.0", "-"],
    ]
    assert "simulation" in format_table(rows).splitlines()[-1]
    assert "simulat" not in format_table({"oracle": rows["oracle"]})
