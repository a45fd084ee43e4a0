"""The result table as text."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from fgvr.text import counted, visible

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

MORE_COLUMNS = {
    "accuracy_macro": "accuracy (macro)",
    "cacc_macro": "cACC (macro)",
    "textual_inclusion": "true name in answer",
    "textual_inclusion_words": "true name in answer (whole words)",
    "generic": "too general",
    "nmi": "NMI",
    "ari": "ARI",
    "ece": "calibration error",
    "selective_accuracy_50": "right of the surest 50 %",
    "selective_accuracy_80": "right of the surest 80 %",
    "wordnet_depth": "depth in WordNet",
    "wordnet_found": "in WordNet",
    "wordnet_above_truth": "above the true name in WordNet",
    "wordnet_compared": "both names in WordNet",
}
"""Figures that no table has but that of :func:`format_figures` -> heading."""
_SHARE = re.compile(r"(sacc_.+)_at_(\d\d)")

_WITHOUT_TRUTH = ("neighbour_agreement", "covering_rate", "left_candidates")
"""Shown where true names say nothing; ``metrics.json`` has them always."""
_NOT_SHOWN = ("class_means_agreement", "shared_names")

SIMULATED = "simulated: the names come from a labeler that is a simulation, and so do its costs and times"

_NOTES = {
    "agreement": "support photos that get the labeler's name from a classifier that did not learn it, in percent; no "
    "true names are needed",
    "neighbour_agreement": "photos that get the labeler's name of the support photo that is nearest to them",
    "covering_rate": "support photos that get a name of their candidate set from the classifier that has learned them",
    "left_candidates": "support photos that get a name outside their candidate set when they are left out",
}
"""Figures that need no true names -> what they are."""

INTERVALS = "±: half of the 95 % interval, from photos drawn anew; the matching of cACC and the training are held"

ORACLE = "oracle: true names were trained on, or chose what was described or trained; no label-free result"


def row_title(name: str, row: Mapping[str, Any]) -> str:
    """The row's name, with what a reader must know of it.

    Args:
        name: Its name.
        row: Its record: ``simulated``, ``oracle`` and ``captions`` count.

    Example:
        >>> row_title("coop", {"simulated": True}), row_title("cased", {"captions": "wordnet glosses"})
        ('coop (simulated)', 'cased (captions: wordnet glosses)')
    """
    marks = [mark for mark in ("simulated", "oracle") if row.get(mark)]
    marks += [f"captions: {row['captions']}"] if row.get("captions") else []
    return f"{name} ({', '.join(marks)})" if marks else name


def table_cells(rows: Mapping[str, Mapping[str, Any]]) -> list[list[str]]:
    """Headings and rows as text; a key that no row has gets no column, and one that a row lacks a dash.

    A figure with an interval has half of the interval's width behind it: "79.3 ±2.6".

    The name of a row that rests on a simulated labeler ends with "(simulated)", and that of one for which true names
    were trained on or allowed to choose with "(oracle)".

    Args:
        rows: Row name -> figures, as in ``metrics.json``.
    """
    found = {key for row in rows.values() for key, value in row.items() if _is_figure(value) or key == "candidates"}
    found = {key for key in found if key not in (*_NOT_SHOWN, *MORE_COLUMNS) and not _SHARE.fullmatch(key)}
    if any(row.get("scoring") for row in rows.values()):
        found -= set(_WITHOUT_TRUTH)
    shown = {key: COLUMNS.get(key, key) for key in [*COLUMNS, *sorted(found - COLUMNS.keys())] if key in found}
    cells = [["", *shown.values()]]
    for name, row in rows.items():
        seen = "*" if row.get("agreement_of") == "seen" else ""
        found_cells = (
            _cell(key, row.get(key)) + _half_width(row, key) + (seen if key == "agreement" else "") for key in shown
        )
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
    lines = [aligned(cells)]
    if any(row.get("simulated") for row in rows.values()):
        lines.append(f"({SIMULATED})")
    if any(row.get("oracle") for row in rows.values()):
        lines.append(f"({ORACLE})")
    if "±" in "".join(map("".join, cells)):
        lines.append(f"({INTERVALS})")
    lines += [f"({note})" for note in figure_notes(rows)]
    lines += [f"{name}: {_choice(row['selected'])}" for name, row in rows.items() if row.get("selected")]
    lines += [f"warning: {row['warning']}" for row in rows.values() if row.get("warning")]
    lines += [f"{name}: {fusion_said(row['fusion'])}" for name, row in rows.items() if row.get("fusion")]
    return "\n".join(lines)


def format_figures(rows: Mapping[str, Mapping[str, Any]]) -> str:
    """All figures of the rows with their intervals, a line for each figure.

    Args:
        rows: Row name -> figures, as in ``metrics.json``.

    Example:
        >>> print(format_figures({"zero_shot": {"cacc": 79.31, "nmi": 90.0, "intervals": {"cacc": [76.6, 81.8]}}}))
              zero_shot
        cACC  79.3 [76.6, 81.8]
        NMI   90.0
    """
    # the matching that is solved anew has an interval of its own, and the figure of the one that is held
    shown = {
        row: {**record, **({"cacc_resolved": record.get("cacc")} if _interval(record, "cacc_resolved") else {})}
        for row, record in rows.items()
    }
    keys = {key for record in shown.values() for key, value in record.items() if _is_figure(value)}
    order = [key for key in (*COLUMNS, *MORE_COLUMNS) if key in keys]
    cells = [["", *(row_title(name, row) for name, row in rows.items())]]
    for key in [*order, *sorted(keys - set(order))]:
        cells.append([heading(key), *(_cell(key, row.get(key)) + _bounds(row, key) for row in shown.values())])
    return aligned(cells, left=len(cells[0]))


def format_tests(rows: Mapping[str, Mapping[str, Any]]) -> str:
    """How rows differ from the row that they were tested against, a line for each figure; ``""`` without tests.

    Args:
        rows: Row name -> record, as in ``metrics.json``; ``against`` counts.
    """
    tested = {name: row["against"] for name, row in rows.items() if row.get("against")}
    if not tested:
        return ""
    cells = [["", "", "difference", "95 % interval", "p", "p (Holm)"]]
    for name, against in tested.items():
        for key, test in against["tests"].items():
            difference = f"{test['difference']:+.1f}", f"[{test['low']:+.1f}, {test['high']:+.1f}]"
            cells.append([name, heading(key), *difference, _p_value(test["p"]), _p_value(test["p_holm"])])
    base = next(iter(tested.values()))["row"]
    return "\n".join(
        [
            visible(f"against {base}, over the same photos:"),
            aligned(cells, left=2),
            "(p: McNemar's exact test for accuracy and cACC, each row's under its own matching, which is held; a "
            f"paired bootstrap for the others. Holm: adjusted for {counted(len(tested), 'row')})",
        ]
    )


def aligned(cells: Sequence[Sequence[str]], left: int = 1) -> str:
    """Rows of cells as lines with aligned columns, two spaces between them.

    Args:
        cells: Rows of equal length.
        left: How many of the first columns are aligned at their left; the others are at their right.
    """
    shown = [[visible(cell) for cell in row] for row in cells]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    lines = []
    for row in shown:
        padded = [
            cell.ljust(width) if number < left else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(padded).rstrip())
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


def heading(key: str) -> str:
    """What a figure is called in tables.

    Args:
        key: Its key in ``metrics.json``.
    """
    if share := _SHARE.fullmatch(key):
        return f"{COLUMNS.get(share[1], share[1])} at or above {share[2]}"
    if key == "cacc_resolved":
        return "cACC (matched anew)"
    return {**COLUMNS, **MORE_COLUMNS}.get(key, key)


def _interval(row: Mapping[str, Any], key: str) -> Sequence[float] | None:
    found: Sequence[float] | None = (row.get("intervals") or {}).get(key)
    return found


def _half_width(row: Mapping[str, Any], key: str) -> str:
    interval = _interval(row, key)
    return "" if interval is None or row.get(key) is None else f" ±{(interval[1] - interval[0]) / 2:.1f}"


def _bounds(row: Mapping[str, Any], key: str) -> str:
    interval = _interval(row, key)
    return "" if interval is None else f" [{interval[0]:.1f}, {interval[1]:.1f}]"


def _p_value(p: float) -> str:
    return "<0.001" if p < 0.001 else f"{p:.3f}"


def _cell(key: str, value: float | str | None) -> str:
    if value is None:
        return "-"
    if isinstance(value, str):
        return value
    return f"{value:.2f}" if key == "cost_usd" else f"{value:.1f}"
