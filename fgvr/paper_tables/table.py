"""``fgvr.table``: runs as a table in Markdown, LaTeX, CSV or HTML."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from os import PathLike
from pathlib import Path

from fgvr.errors import FgvrError
from fgvr.paper_tables.grid import Grid
from fgvr.paper_tables.layouts import LAYOUTS, PAPERS_NAMES
from fgvr.paper_tables.measured import Measured
from fgvr.paper_tables.read import read_rows, told_apart
from fgvr.paper_tables.text_formats import csv_text, html_text, latex_text, markdown_text
from fgvr.text import visible

FORMATS: dict[str, Callable[[Grid], str]] = {
    "md": markdown_text,
    "latex": latex_text,
    "csv": csv_text,
    "html": html_text,
}
"""Name of a format -> what writes it."""

_Paths = str | PathLike[str]


def table(
    runs: _Paths | Iterable[_Paths],
    layout: str = "plain",
    format: str = "md",
    names: Mapping[str, str] | None = None,
) -> str:
    """Runs as a table, as papers print them: rows in groups, data sets beside each other, the papers' figures too.

    A row is in bold where it is better than every other row that was measured alike, and significantly so.

    Args:
        runs: Run folders (``runs/NAME`` for the newest version), folders of sweeps, whose seeds become mean and
            standard deviation, and folders of judged labelers; one or several.
        layout: ``plain`` for all figures with intervals; ``fgvr_table2``, ``fgvr_table1`` or ``latteclip_table1`` for
            the rows and columns of that table, with the paper's own figures.
        format: ``md``, ``latex``, ``csv`` or ``html``.
        names: Name of a data set or of a row in the table -> what it is to be called, such as
            ``{"dogs120": "Dog-120"}``.

    Returns:
        The text of the table.

    Raises:
        FgvrError: A folder is none of these, or has no result yet; a file in it is damaged; or a layout, a format or a
            name is unknown.
    """
    for kind, value, known in (("layout", layout, LAYOUTS), ("format", format, FORMATS)):
        if value not in known:
            raise FgvrError(f"{kind} is {value!r}; expected one of {', '.join(known)}.")
    paths = [Path(runs)] if isinstance(runs, str | PathLike) else [Path(run) for run in runs]
    if not paths:
        raise FgvrError("No runs are given: expected folders of runs or sweeps.")
    return FORMATS[format](LAYOUTS[layout](*_renamed(read_rows(paths), layout, names or {})))


def _renamed(rows: list[Measured], layout: str, names: Mapping[str, str]) -> tuple[list[Measured], Mapping[str, str]]:
    """The rows with the names of their data sets as they are to be, and titles -> names for the others."""
    called = {**PAPERS_NAMES.get(layout, {}), **names}
    found = told_apart([replace(row, dataset=called.get(row.dataset, row.dataset)) for row in rows])
    known = [*dict.fromkeys(row.dataset for row in rows), *dict.fromkeys(row.title for row in found)]
    for name in names:
        if name not in known:
            raise FgvrError(
                f"names has {name!r}, which is no data set and no row of the table; those are: "
                f"{', '.join(visible(repr(each), 80) for each in known)}."
            )
    return found, names
