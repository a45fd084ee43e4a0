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
    "agreement": "agreement",
    "neighbour_agreement": "with neighbours",
    "covering_rate": "covering rate",
    "left_candidates": "left candidates",
    "label_seconds": "labelling s",
    "seconds": "computing s",
    "cost_usd": "US$",
}
"""Key of a row in ``metrics.json`` -> heading."""

_WITHOUT_TRUTH = ("neighbour_agreement", "covering_rate", "left_candidates")
"""Shown where true names say nothing; ``metrics.json`` has them always."""
_NOT_SHOWN = ("class_means_agreement",)

SIMULATED = "simulated: the names come from a labeler that is a simulation, and so do its costs and times"

AGREEMENT = (
    "agreement: support photos that get the labeler's name from a classifier that did not learn from them, in percent; "
    "no true names are needed"
)
SEEN_AGREEMENT = "*: by a classifier that has learned from these very names, which flatters it"

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
    found -= set(_NOT_SHOWN)
    if any(row.get("ruler") for row in rows.values()):
        found -= set(_WITHOUT_TRUTH)
    shown = {key: COLUMNS.get(key, key) for key in [*COLUMNS, *sorted(found - COLUMNS.keys())] if key in found}
    cells = [["", *shown.values()]]
    for name, row in rows.items():
        seen = "*" if row.get("agreement_of") == "seen" else ""
        found_cells = (_cell(key, row.get(key)) + (seen if key == "agreement" else "") for key in shown)
        cells.append([row_title(name, row), *found_cells])
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
    if any("agreement" in row for row in rows.values()):
        lines.append(f"({AGREEMENT})")
    if any(row.get("agreement_of") == "seen" for row in rows.values()):
        lines.append(f"({SEEN_AGREEMENT})")
    lines += [f"{name}: {_choice(row['selected'])}" for name, row in rows.items() if row.get("selected")]
    lines += [f"warning: {row['warning']}" for row in rows.values() if row.get("warning")]
    lines += [f"{name}: {fusion_said(row['fusion'])}" for name, row in rows.items() if row.get("fusion")]
    return "\n".join(lines)


def fusion_said(fusion: Mapping[str, Any]) -> str:
    """What was put together, and how much the text counts.

    Args:
        fusion: ``fusion`` of a row.

    Example:
        >>> fusion_said({"visual": "class_means", "text_weight": 0.1})
        'class means, and the text with weight 0.1 (0: photos alone)'
        >>> fusion_said({"visual": "gaussian", "text_weight": "infinite"})
        'the text alone'
    """
    visual = {"class_means": "class means", "ridge": "ridge regression", "gaussian": "a Gaussian discriminant"}
    weight, kind = fusion["text_weight"], visual.get(fusion["visual"], fusion["visual"])
    if weight == "infinite":
        return "the text alone"
    return f"{kind} alone" if weight == 0 else f"{kind}, and the text with weight {weight:g} (0: photos alone)"


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
