"""The result table as text."""

from collections.abc import Mapping
from typing import Any

COLUMNS = {
    "sacc_all_mpnet_base_v2": "sACC (mpnet)",
    "sacc_all_minilm_l6_v2": "sACC (MiniLM)",
    "cacc": "cACC",
    "siou": "sIOU",
    "siou_hyphen": "sIOU (hyphens split)",
    "seconds": "seconds",
    "cost_usd": "US$",
}
"""Figure in ``metrics.json`` -> heading."""


def table_cells(rows: Mapping[str, Mapping[str, Any]]) -> list[list[str]]:
    """Headings and rows as text; a figure that no row has gets no column, and one that a row lacks a dash.

    Args:
        rows: Row name -> figures, as in ``metrics.json``.
    """
    figures = {key for row in rows.values() for key, value in row.items() if isinstance(value, int | float)}
    extra = sorted(figures - COLUMNS.keys())
    shown = {key: COLUMNS.get(key, key) for key in [*COLUMNS, *extra] if key in figures}
    cells = [["", *shown.values()]]
    for name, row in rows.items():
        cells.append([name, *(_cell(key, row.get(key)) for key in shown)])
    return cells


def format_table(rows: Mapping[str, Mapping[str, Any]]) -> str:
    """The table with aligned columns.

    Example:
        >>> print(format_table({"zero_shot": {"cacc": 79.31, "cost_usd": 0.0}, "coop": {"cacc": 80.0}}))
                   cACC   US$
        zero_shot  79.3  0.00
        coop       80.0     -
    """
    cells = table_cells(rows)
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    lines = []
    for row in cells:
        rest = "  ".join(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))
        lines.append(f"{row[0].ljust(widths[0])}  {rest}".rstrip())
    return "\n".join(lines)


def _cell(key: str, value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.2f}" if key == "cost_usd" else f"{value:.1f}"
