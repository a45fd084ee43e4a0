from fgvr.reports.table import format_table, table_cells


def test_columns_stand_in_one_order_and_only_where_there_are_figures():
    rows = {
        "zero_shot": {"cost_usd": 0, "cacc": 50.0, "ruler": {"photos": 3}},
        "coop": {"cacc": 61.25, "seconds": 12.0},
    }
    assert table_cells(rows) == [
        ["", "cACC", "seconds", "US$"],
        ["zero_shot", "50.0", "-", "0.00"],
        ["coop", "61.2", "12.0", "-"],
    ]


def test_lines_are_aligned():
    lines = format_table({"zero_shot": {"cacc": 5.0}, "coop": {"cacc": 100.0}}).splitlines()
    assert len({len(line) for line in lines}) == 1
