from fgvr.reports.table import INTERVALS, MORE_COLUMNS, format_figures, format_table, format_tests, table_cells


def test_columns_stand_in_one_order_and_only_where_there_are_figures():
    rows = {
        "zero_shot": {"cost_usd": 0, "cacc": 50.0, "scoring": {"photos": 3}},
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


def test_what_chose_an_epoch_is_said_below_the_table():
    chosen = {"by": "covering_rate", "figure": 91.66, "epoch": 4, "epochs": 6, "photos": 12, "held_out": True}
    rows = {
        "zero_shot": {"cacc": 50.0},
        "coop_random": {"cacc": 55.0, "selected": {**chosen, "held_out": False}},
        "coop": {"cacc": 61.0, "selected": chosen, "oracle": True, "simulated": True},
    }
    assert table_cells(rows)[-1][0] == "coop (simulated, oracle)"
    assert all(len(cells) == 2 for cells in table_cells(rows)), "how an epoch was chosen is no figure"
    *_, marks, random, own = format_table(rows).splitlines()
    assert marks.startswith("(oracle: true names were trained on")
    assert random.endswith("on 12 photos that were trained on")
    assert own == "coop: epoch 4 of 6, the one with the highest covering_rate (91.7) on 12 held-out photos"


def test_intervals_are_short_in_the_table_and_whole_in_the_list_of_figures():
    rows = {
        "zero_shot": {"cacc": 50.0, "nmi": 70.0, "seconds": 2.0, "intervals": {"cacc": [46.0, 55.0], "nmi": [69, 71]}},
        "coop": {"cacc": 61.25, "sacc_mine_at_50": 30.0, "intervals": {"cacc_resolved": [60.0, 62.0]}},
    }
    assert format_table(rows).splitlines() == [
        "                cACC  computing s",
        "zero_shot  50.0 ±4.5          2.0",
        "coop            61.2            -",
        f"({INTERVALS})",
    ]
    lines = format_figures(rows).splitlines()
    headings = ["", "cACC", "computing s", "NMI", "cACC (matched anew)", "sacc_mine at or above 50"]
    assert [line[:25].strip() for line in lines] == headings
    assert [line.split()[-3:] for line in lines if line.startswith("cACC")] == [
        ["[46.0,", "55.0]", "61.2"],
        ["61.2", "[60.0,", "62.0]"],
    ]


def test_figures_without_a_column_make_no_table_wider():
    rows = {"coop": dict.fromkeys([*MORE_COLUMNS, "sacc_all_minilm_l6_v2_at_50"], 1.0) | {"cacc": 2.0}}
    assert table_cells(rows) == [["", "cACC"], ["coop", "2.0"]]


def test_tests_against_a_row():
    test = {"test": "mcnemar", "difference": 1.25, "low": -0.5, "high": 3.0, "p": 0.0001, "p_holm": 0.04}
    rows = {"a": {"cacc": 1.0}, "b": {"cacc": 2.0, "against": {"row": "a", "tests": {"cacc": test}}}}
    head, columns, line, note = format_tests(rows).splitlines()
    assert head == "against a, over the same photos:"
    assert columns.split() == ["difference", "95", "%", "interval", "p", "p", "(Holm)"]
    assert line.split() == ["b", "cACC", "+1.2", "[-0.5,", "+3.0]", "<0.001", "0.040"]
    assert note.endswith("Holm: adjusted for 1 row)")
    assert format_tests({"a": {"cacc": 1.0}}) == ""
