"""The result table as text."""

from collections.abc import Mapping
from typing import Any

COLUMNS = {
    "candidates": "candidates",
    "accuracy": "accuracy",
    "sacc_all_mpnet_base_v2": "sACC (mpnet)",
    "sacc_all_minilm_l6_v2": "sACC (MiniLM)",
    "cacc": "cACC",
    "siou": "sIOU",
    "siou_hyphen": "sIOU (hyphens split)",
    "label_seconds": "labelling s",
    "seconds": "computing s",
    "cost_usd": "US$",
}
"""Key of a row in ``metrics.json`` -> heading."""

SIMULATED = "simulated: the names come from a labeler that is a simulation, and so do its costs and times"

ORACLE = "oracle: true names were trained on, or chose what was described or trained; no label-free result"


def row_title(name: str, row: Mapping[str, Any]) -> str:
    """The row's name, with what a reader must know of it.

    Args:
        name: Its name.
        row: Its record: ``simulated`` and ``oracle`` count.

    Example:
        >>> row_title("coop", {"simulated": True})
        'coop (simulated)'
    """
    marks = [mark for mark in ("simulated", "oracle") if row.get(mark)]
    return f"{name} ({', '.join(marks)})" if marks else name


def table_cells(rows: Mapping[str, Mapping[str, Any]]) -> list[list[str]]:
    """Headings and rows as text; a key that no row has gets no column, and one that a row lacks a dash.

    The name of a row that rests on a simulated labeler ends with "(simulated)", and that of one for which true names
    were trained on or allowed to choose with "(oracle)".

    Args:
        rows: Row name -> figures, as in ``metrics.json``.
    """
    found = {key for row in rows.values() for key, value in row.items() if _is_figure(value) or key == "candidates"}
    shown = {key: COLUMNS.get(key, key) for key in [*COLUMNS, *sorted(found - COLUMNS.keys())] if key in found}
    cells = [["", *shown.values()]]
    for name, row in rows.items():
        cells.append([row_title(name, row), *(_cell(key, row.get(key)) for key in shown)])
    return cells


def format_table(rows: Mapping[str, Mapping[str, Any]]) -> str:
    """The table with aligned columns; below it what its marks mean, and which epoch of a row was chosen by what.

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
    if any(row.get("simulated") for row in rows.values()):
        lines.append(f"({SIMULATED})")
    if any(row.get("oracle") for row in rows.values()):
        lines.append(f"({ORACLE})")
    lines += [f"{name}: {_choice(row['selected'])}" for name, row in rows.items() if row.get("selected")]
    return "\n".join(lines)


def _choice(selected: Mapping[str, Any]) -> str:
    photos = "held-out photos" if selected["held_out"] else "photos that were trained on"
    return (
        f"epoch {selected['epoch']} of {selected['epochs']}, the one with the highest {selected['by']} "
        f"({selected['figure']:.1f}) on {selected['photos']} {photos}"
    )


def _is_figure(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _cell(key: str, value: float | str | None) -> str:
    if value is None:
        return "-"
    if isinstance(value, str):
        return value
    return f"{value:.2f}" if key == "cost_usd" else f"{value:.1f}"
