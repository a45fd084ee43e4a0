"""The result table as text."""

from collections.abc import Mapping
from typing import Any

from fgvr.text import visible

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
_NOT_SHOWN = ("class_means_agreement", "shared_names")

SIMULATED = "simulated: the names come from a labeler that is a simulation, and so do its costs and times"

_NOTES = {
    "agreement": "support photos that get the labeler's name from a classifier that did not learn from them, in "
    "percent; no true names are needed",
    "neighbour_agreement": "photos that get the labeler's name of the support photo that is nearest to them",
    "covering_rate": "support photos that get a name of their candidate set from the classifier that has learned them",
    "left_candidates": "support photos that get a name outside their candidate set when they are left out",
}
"""Figures that need no true names -> what they are."""

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
    if any(row.get("scoring") for row in rows.values()):
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
    cells = [[visible(cell) for cell in row] for row in table_cells(rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(cells[0]))]
    lines = []
    for row in cells:
        rest = "  ".join(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))
        lines.append(f"{row[0].ljust(widths[0])}  {rest}".rstrip())
    if any(row.get("simulated") for row in rows.values()):
        lines.append(f"({SIMULATED})")
    if any(row.get("oracle") for row in rows.values()):
        lines.append(f"({ORACLE})")
    lines += [f"({note})" for note in figure_notes(rows)]
    lines += [f"{name}: {_choice(row['selected'])}" for name, row in rows.items() if row.get("selected")]
    lines += [f"warning: {row['warning']}" for row in rows.values() if row.get("warning")]
    lines += [f"{name}: {fusion_said(row['fusion'])}" for name, row in rows.items() if row.get("fusion")]
    return "\n".join(lines)


def figure_notes(rows: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What the figures in the table mean that need no true names, a line each.

    Args:
        rows: Row name -> figures, as in ``metrics.json``.
    """
    shown = {key for row in rows.values() for key in row} & _NOTES.keys()
    if any(row.get("scoring") for row in rows.values()):
        shown -= set(_WITHOUT_TRUTH)
    notes = [f"{COLUMNS[key]}: {note}" for key, note in _NOTES.items() if key in shown]
    shared = next((row["shared_names"] for row in rows.values() if "shared_names" in row), None)
    if shared is not None and shared < 100:
        notes.append(
            f"of these photos, {shared:.0f} % were given a name that another one was given, too; from photos alone, no "
            "others can get theirs"
        )
    if any(row.get("agreement_of") == "seen" for row in rows.values()):
        means = next((row["class_means_agreement"] for row in rows.values() if "class_means_agreement" in row), None)
        beside = "" if means is None else f"; class means, which have not, agree in {means:.1f} %"
        notes.append(f"*: by a classifier that has learned from these very names, which flatters it{beside}")
    return notes


def fusion_said(fusion: Mapping[str, Any]) -> str:
    """What was put together, how much the text counts, and who has said so.

    Args:
        fusion: ``fusion`` of a row.

    Example:
        >>> leave_one_out = {"visual": "class_means", "text": "zero_shot", "weight_by": "leave-one-out"}
        >>> fusion_said({**leave_one_out, "text_weight": 0.1})
        'class means, and zero-shot with weight 0.1 (0: photos alone), chosen by leave-one-out'
        >>> fusion_said({"visual": "gaussian", "text": "coop", "text_weight": "infinite", "weight_by": "option"})
        'coop alone, as model.text_weight says'
    """
    names = {"class_means": "class means", "ridge": "ridge regression", "gaussian": "a Gaussian discriminant"}
    names["zero_shot"] = "zero-shot"
    visual, text = (names.get(fusion[part], fusion[part]) for part in ("visual", "text"))
    weight = fusion["text_weight"]
    chosen = {
        "leave-one-out": ", chosen by leave-one-out",
        "option": ", as model.text_weight says",
        "nothing": "; no two photos share a name, by which it could be chosen",
    }[fusion["weight_by"]]
    if weight == "infinite":
        return f"{text} alone{chosen}"
    if weight == 0:
        return f"{visual} alone{chosen}"
    return f"{visual}, and {text} with weight {weight:g} (0: photos alone){chosen}"


def _choice(selected: Mapping[str, Any]) -> str:
    images = "held-out photos" if selected["held_out"] else "photos that were trained on"
    return (
        f"epoch {selected['epoch']} of {selected['epochs']}, the one with the highest {selected['by']} "
        f"({selected['figure']:.1f}) on {selected['photos']} {images}"
    )


def _is_figure(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _cell(key: str, value: float | str | None) -> str:
    if value is None:
        return "-"
    if isinstance(value, str):
        return value
    return f"{value:.2f}" if key == "cost_usd" else f"{value:.1f}"
