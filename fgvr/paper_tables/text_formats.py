"""A table as Markdown, LaTeX, CSV or a page. All names in it are untrusted text, and are escaped."""

import re
from collections.abc import Iterable
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from fgvr.paper_tables.grid import DASH, Cell, Grid
from fgvr.reports.printable import printable
from fgvr.tables import csv_text as as_csv
from fgvr.text import visible

_MARKDOWN = re.compile(r"[\\`*|<>\[\]~$]|(?<![^\W_])_|_(?![^\W_])|&(?=#?\w+;)")
_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "\N{PLUS-MINUS SIGN}": r"$\pm$",
    "\N{EN DASH}": "--",
    "\N{DAGGER}": r"\textdagger{}",
    "\N{DOUBLE DAGGER}": r"\textdaggerdbl{}",
    "--": "-{}-",  # no dash
    "[": "{[}",  # after a line break, LaTeX would take it and a star for arguments
    "*": "{*}",
    "`": r"\textasciigrave{}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}
_LATEX_SPECIAL = re.compile("|".join(map(re.escape, _LATEX)))
_NUMBERS = ("sd", "low", "high")


def markdown_text(grid: Grid) -> str:
    """The table in GitHub's Markdown, with its notes below.

    Args:
        grid: The table.
    """
    head = [grid.first, *(column.name for column in grid.columns)]
    lines = [_markdown_row(map(_markdown, head)), "|---" + "|--:" * len(grid.columns) + "|"]
    for section, members in grid.sections():
        if section:
            lines.append(_markdown_row([f"*{_markdown(section)}*", *[""] * len(grid.columns)]))
        lines += [_markdown_row([_markdown(line.title), *map(_markdown_cell, line.cells)]) for line in members]
    notes = [f"- {_markdown(note)}" for note in grid.notes]
    return "\n".join([*lines, "", _markdown(grid.caption), "", *notes]) + "\n"


def latex_text(grid: Grid) -> str:
    """The table as a LaTeX environment, which needs the package ``booktabs``.

    Args:
        grid: The table.
    """
    columns = len(grid.columns)
    lines = [
        "% \\usepackage{booktabs}; names in scripts other than Latin need XeLaTeX or LuaLaTeX",
        "\\begin{table*}",
        "\\centering",
        f"\\caption{{{_latex(grid.caption)}}}",
        "\\footnotesize",
        "\\setlength{\\tabcolsep}{3pt}",
        f"\\begin{{tabular}}{{l{'r' * columns}}}",
        "\\toprule",
    ]
    groups = grid.groups()
    if any(name for name, _ in groups):
        lines.append(_latex_row(["", *(f"\\multicolumn{{{width}}}{{c}}{{{_latex(name)}}}" for name, width in groups)]))
        start = 2
        for name, width in groups:
            if name:
                lines.append(f"\\cmidrule(lr){{{start}-{start + width - 1}}}")
            start += width
    lines.append(_latex_row(map(_latex, [grid.first, *(column.heading for column in grid.columns)])))
    for section, members in grid.sections():
        lines.append("\\midrule")
        if section:
            lines.append(f"\\multicolumn{{{columns + 1}}}{{l}}{{\\emph{{{_latex(section)}}}}} \\\\")
        lines += [_latex_row([_latex(line.title), *map(_latex_cell, line.cells)]) for line in members]
    lines += ["\\bottomrule", "\\end{tabular}", "", "\\raggedright"]
    lines += [f"{_latex(note)}\\par" for note in grid.notes]
    return "\n".join([*lines, "\\end{table*}"]) + "\n"


def csv_text(grid: Grid) -> str:
    """The table as CSV: a line for each row, numbers in full, and what is said of them in columns of their own.

    Args:
        grid: The table.
    """
    more = [
        [key for key in _NUMBERS if any(key in line.cells[n].numbers for line in grid.lines)]
        for n in range(len(grid.columns))
    ]
    names = [column.name for column in grid.columns]
    marked = any(cell.mark for line in grid.lines for cell in line.cells)
    header = ["section", grid.first.lower(), "source"]
    for name, keys in zip(names, more, strict=True):
        header += [name, *(f"{name} {key}" for key in keys)]
    header += ["significantly best in", *(["marks"] if marked else [])]
    rows: list[list[str | float]] = []
    for line in grid.lines:
        row: list[str | float] = [line.section, line.title, "paper" if line.published else "run"]
        for cell, keys in zip(line.cells, more, strict=True):
            written = "" if cell.text == DASH else cell.text
            row += [round(cell.numbers["mean"], 4) if "mean" in cell.numbers else written]
            row += [round(cell.numbers[key], 4) if key in cell.numbers else "" for key in keys]
        named = list(zip(names, line.cells, strict=True))
        row.append("; ".join(name for name, cell in named if cell.bold))
        if marked:
            row.append("; ".join(f"{name}: {cell.mark}" for name, cell in named if cell.mark))
        rows.append(row)
    rows += [["note", note, *[""] * (len(header) - 2)] for note in (grid.caption, *grid.notes)]
    return as_csv([visible(name) for name in header], [[_plain(cell) for cell in row] for row in rows])


def _plain(cell: str | float) -> str | float:
    return visible(cell) if isinstance(cell, str) else cell


def html_text(grid: Grid) -> str:
    """The table as a page of its own, which needs nothing from elsewhere.

    Args:
        grid: The table.
    """
    environment = Environment(
        loader=PackageLoader(__package__, "template"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: printable(value) if type(value) is str else value,
    )
    style = files(__package__).joinpath("template", "table.css").read_text(encoding="utf-8")
    return environment.get_template("table.html").render(grid=grid, style=Markup(style))


def _markdown(text: str) -> str:
    return _MARKDOWN.sub(lambda found: f"\\{found[0]}", visible(text))


def _markdown_cell(cell: Cell) -> str:
    text = f"**{_markdown(cell.text)}**" if cell.bold else _markdown(cell.text)
    mark = f"<sup>{_markdown(cell.mark)}</sup>" if cell.mark else ""
    return f"{text}{mark} {_markdown(cell.interval)}".rstrip()


def _markdown_row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _latex(text: str) -> str:
    return _LATEX_SPECIAL.sub(lambda found: _LATEX[found[0]], visible(text))


def _latex_cell(cell: Cell) -> str:
    text = f"\\textbf{{{_latex(cell.text)}}}" if cell.bold else _latex(cell.text)
    mark = f"\\textsuperscript{{{_latex(cell.mark)}}}" if cell.mark else ""
    interval = f" {{\\scriptsize {_latex(cell.interval)}}}" if cell.interval else ""
    return f"{text}{mark}{interval}"


def _latex_row(cells: Iterable[str]) -> str:
    return f"{' & '.join(cells)} \\\\"
