"""The papers' figures, against the papers where they are at hand."""

from pathlib import Path

import pytest

from fgvr.paper_tables.published_table import published_table

PAPERS = Path(__file__).parents[2] / "shared" / "papers"
if not PAPERS.is_dir():
    PAPERS = Path(__file__).parents[3] / "shared" / "papers"


@pytest.mark.parametrize(("layout", "rows"), [("fgvr_table1", 9), ("fgvr_table2", 15), ("latteclip_table1", 6)])
def test_every_row_has_all_cells(layout, rows):
    table = published_table(layout)
    lines = [line for section in table.rows.values() for line in section]
    assert len(lines) == rows
    assert {len(cells) for _, cells in lines} == {len(table.datasets) * len(table.headings)}
    assert all(isinstance(cell, str) for _, cells in lines for cell in cells)


@pytest.mark.skipif(not PAPERS.is_dir(), reason="the texts of the papers are not here")
@pytest.mark.parametrize(
    ("layout", "paper"),
    [("fgvr_table1", "fgvr_mllm"), ("fgvr_table2", "fgvr_mllm"), ("latteclip_table1", "latteclip")],
)
def test_figures_are_as_printed(layout, paper):
    text = (PAPERS / f"{paper}.txt").read_text(encoding="utf-8").replace("<u>", "").replace("</u>", "")
    for section in published_table(layout).rows.values():
        for _, cells in section:
            assert "\t".join(cells) in text


def test_oddities_are_kept_and_said():
    table = published_table("fgvr_table2")
    rows = {name: cells for section in table.rows.values() for name, cells in section}
    assert rows["[‡] LLaVA-1.5-13B"][11] == "35"
    assert any("without a decimal point" in note for note in table.notes)
