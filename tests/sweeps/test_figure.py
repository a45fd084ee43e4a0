import pytest
from sweeps.test_result import SHOTS, TABLE, tidy

from fgvr.errors import FgvrError
from fgvr.sweeps.figure import axis_column, write_figure
from fgvr.sweeps.result import Tidy


def test_numbers_are_drawn(tmp_path):
    assert axis_column(TABLE) is None
    assert axis_column(SHOTS) == "shots"
    said = write_figure(SHOTS, tmp_path / "a.svg")
    assert said == "cACC over shots: mean of each row; each band is one standard deviation over seeds."
    text = (tmp_path / "a.svg").read_text()
    assert "cACC over shots</text>" in text
    for name in ("zero_shot", "coop, knn", "coop, single"):
        assert text.count(f">{name}</text>") == 1
    level = tidy({(n, sets, 0): 1.0 * n for n in (1, 2, 3) for sets in ("knn", "single")}, ("k", "candidates"))
    write_figure(level, tmp_path / "level.svg")
    assert (tmp_path / "level.svg").read_text().count(">zero_shot</text>") == 1, "a level line, once in the legend"
    simulated = tidy({(n, 0): 1.0 for n in (1, 2, 3)}, ("k",), simulated=True)
    write_figure(simulated, tmp_path / "c.svg")
    assert "(simulated labels)" in (tmp_path / "c.svg").read_text()


@pytest.mark.parametrize("suffix", [".svg", ".pdf", ".png"])
@pytest.mark.parametrize("table", [SHOTS, TABLE], ids=["lines", "dots"])
def test_the_same_results_are_the_same_bytes(tmp_path, suffix, table):
    for name in ("a", "b"):
        write_figure(table, tmp_path / f"{name}{suffix}")
    drawn = (tmp_path / f"a{suffix}").read_bytes()
    assert drawn == (tmp_path / f"b{suffix}").read_bytes()
    assert drawn.startswith({".svg": b"<?xml", ".pdf": b"%PDF", ".png": b"\x89PNG"}[suffix])


def test_without_numbers_each_row_is_a_dot(tmp_path):
    said = write_figure(TABLE, tmp_path / "d.svg", ["cacc", "seconds"])
    assert said == "cACC and computing s: mean of each row; each bar is one standard deviation over seeds."
    text = (tmp_path / "d.svg").read_text()
    for name in ("zero_shot", "coop, single", "coop, knn"):
        assert text.count(f">{name}</text>") == 1
    assert ">computing s</text>" in text, "seconds are no percent"


def test_one_seed_has_its_interval_over_photos(tmp_path):
    rows = [
        {"k": k, "seed": 0, "row": "coop", "cacc": 50.0, "cacc_low": 45.0, "cacc_high": 52.0, "run": f"k{k}"}
        for k in (1, 2, 3)
    ]
    said = write_figure(Tidy(("k",), tuple(rows)), tmp_path / "a.svg")
    assert said == "cACC over k: mean of each row; each band is the 95 % bootstrap interval over photos."
    for row in rows:
        del row["cacc_low"], row["cacc_high"]
    assert write_figure(Tidy(("k",), tuple(rows)), tmp_path / "b.svg") == "cACC over k: mean of each row."


def test_figure_and_axis_are_chosen(tmp_path):
    two = tidy({(n, sets, 0): 1.0 * n for n in (1, 5) for sets in ("knn", "single")}, ("k", "candidates"))
    assert axis_column(two) is None
    assert axis_column(two, "data.candidates.k") == axis_column(two, "k") == "k"
    write_figure(two, tmp_path / "a.svg", ["coverage"], "k")
    assert ">coverage over k</text>" in (tmp_path / "a.svg").read_text()
    with pytest.raises(FgvrError, match="does not vary 'shots'; it varies k, candidates"):
        axis_column(two, "shots")
    with pytest.raises(FgvrError, match="The values of 'candidates' are no numbers"):
        axis_column(two, "data.candidates")
    with pytest.raises(FgvrError, match="no figure 'cac'; it has cacc, classes, coverage, seconds"):
        write_figure(two, tmp_path / "b.svg", ["cac"])
    with pytest.raises(FgvrError, match=r"ends with \.svg, \.pdf or \.png"):
        write_figure(two, tmp_path / "b.jpg")
    with pytest.raises(FgvrError, match="nothing to draw"):
        write_figure(Tidy(("k",), ()), tmp_path / "b.svg")
    assert [path.name for path in tmp_path.iterdir()] == ["a.svg"]


@pytest.mark.parametrize("suffix", [".svg", ".pdf"])
def test_names_from_outside_are_drawn_as_they_are(tmp_path, suffix):
    names = ("_hidden", "$x^{", "<script>&", "a\x00b\x1b", "\u7530", "W" * 500)
    rows = [
        {"k": k, "seed": 0, "row": name, "cacc": 1.0 * k + n, "run": f"{k}"}
        for k in (1, 2, 3)
        for n, name in enumerate(names)
    ]
    write_figure(Tidy(("k",), tuple(rows)), tmp_path / f"a{suffix}")
    if suffix == ".svg":
        import xml.etree.ElementTree as ElementTree

        texts = [element.text for element in ElementTree.parse(tmp_path / "a.svg").iter() if element.text]
        assert {" _hidden", "$x^{", "<script>&", "\u7530"} <= set(texts)
