"""What goes where in a table: everything, or the rows and columns of a table of a paper."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from fgvr.errors import FgvrError
from fgvr.paper_tables.cells import Protocols, cell
from fgvr.paper_tables.grid import Cell, Column, Grid, Line
from fgvr.paper_tables.measured import DIRECT, Measured, folder_name
from fgvr.paper_tables.published_table import PublishedTable, published_table
from fgvr.paper_tables.significance import LEVEL, Tests
from fgvr.reports.table import COLUMNS
from fgvr.text import counted

_ENCODERS = ("sacc_all_mpnet_base_v2", "sacc_all_minilm_l6_v2")
"""Where rows have several, the first is that of the papers."""
_JUDGED = {"outside": "outside", "mapped_right": "mapped right", "no_answer": "no answer"}
_AVERAGE = "Average"
_SHOWN = 3
PAPERS_NAMES: dict[str, dict[str, str]] = {
    "fgvr_table2": {
        "cub200": "Bird-200",
        "stanford_cars": "Car-196",
        "stanford_dogs": "Dog-120",
        "flowers102": "Flower-102",
        "oxford_pets": "Pet-37",
    },
    "latteclip_table1": {
        "eurosat": "EuroSAT",
        "sun397": "Sun397",
        "food101": "Food101",
        "flowers102": "Flower102",
        "dtd": "DTD",
        "fgvc_aircraft": "FGVC",
        "oxford_pets": "Oxford Pets",
        "stanford_cars": "Cars",
        "ucf101": "UCF101",
        "caltech101": "Caltech101",
    },
}
"""Layout -> name of a data set in the registry -> what the paper calls it."""
_DIRECT, _EARLIER = "labeler asked about every photo", "earlier methods"
_ZERO_SHOT, _ADAPTED = "zero-shot CLIP", "label-free adaptation"


def plain(rows: Sequence[Measured], names: Mapping[str, str]) -> Grid:
    """Every row of every data set with every figure, and 95 % intervals.

    Args:
        rows: What was measured.
        names: What rows are to be called.
    """
    figures = _figures(rows)
    protocols, tests = Protocols(rows), Tests()
    lines = []
    for dataset in dict.fromkeys(row.dataset for row in rows):
        mine = [row for row in rows if row.dataset == dataset]
        columns = []
        for figure in figures:
            cells = {place: cell(row, figure, interval=True) for place, row in enumerate(mine)}
            columns.append(_finished(cells, dict(enumerate(mine)), figure, protocols, tests))
        for place, row in enumerate(mine):
            cells_of = tuple(column[place] for column in columns)
            lines.append(Line(dataset, names.get(row.title, row.title), cells_of))
    notes = [_spread(rows, intervals=True), *_bold(tests, lines), *protocols.notes(), *_marks(rows)]
    headings = [Column("", heading) for heading in figures.values()]
    return Grid(
        "The figures of the result tables, in percent.",
        "Row",
        tuple(headings),
        tuple(lines),
        tuple(note for note in notes if note),
    )


def fgvr_table2(rows: Sequence[Measured], names: Mapping[str, str]) -> Grid:
    """sACC, cACC and sIOU for each data set, with the paper's rows.

    Args:
        rows: What was measured.
        names: What rows are to be called.
    """
    sacc = max(_encoders(rows), key=lambda key: (sum(bool(row.values(key)) for row in rows), key in _ENCODERS[:1]))
    figures = {"sACC": sacc, "cACC": "cacc", "sIOU": "siou"}
    return _paper_grid(
        "fgvr_table2",
        "sACC, cACC and sIOU in percent, as in table 2 of the FGVR paper.",
        [row for row in rows if not row.is_judged],
        names,
        figures,
        section=_section,
        left_out=[row for row in rows if row.is_judged],
    )


def latteclip_table1(rows: Sequence[Measured], names: Mapping[str, str]) -> Grid:
    """Top-1 accuracy for each data set, with the paper's rows; rows that were not given the class names are left out.

    Args:
        rows: What was measured.
        names: What rows are to be called.
    """
    return _paper_grid(
        "latteclip_table1",
        "Top-1 accuracy in percent, as in table 1 of the LatteCLIP paper.",
        [row for row in rows if row.values("accuracy")],
        names,
        {"accuracy": "accuracy"},
        section=lambda row: "oracle" if "oracle" in row.marks else "label-free",
        left_out=[row for row in rows if not row.values("accuracy")],
        decimals=2,
    )


def fgvr_table1(rows: Sequence[Measured], names: Mapping[str, str]) -> Grid:
    """Hours and dollars, with the paper's rows.

    A run does not keep the hours of training and of naming the evaluated photos apart: both together have a column of
    their own, as has labelling, unless the row trains nothing.

    Args:
        rows: What was measured.
        names: What rows are to be called.
    """
    paper = published_table("fgvr_table1")
    headings = (*paper.headings[:2], "Labelling (h)", "Computing (h)", paper.headings[2])
    lines = [
        Line(section, f"{title} (paper)", (*map(Cell, cells[:2]), Cell(), Cell(), Cell(cells[2])), published=True)
        for section, published in paper.rows.items()
        for title, cells in published
    ]
    for row in rows:
        section = _section(row)
        labelling, computing = (_hours(row, key) for key in ("label_seconds", "seconds"))
        untrained, dash = section == _ZERO_SHOT or bool(row.record.get("captions")), Cell()
        cells = (
            dash,
            labelling if section == _DIRECT else computing if untrained else dash,
            dash if section == _DIRECT else labelling,
            dash if section == _DIRECT or untrained else computing,
            cell(row, "cost_usd"),
        )
        title = f"{names.get(row.title, row.title)}, {row.dataset}"
        lines.append(Line(section, title, cells))
    notes = (
        *_source(paper),
        "Labelling: what the requests took, added up. Computing: training and naming the evaluated photos together.",
        _spread(rows),
        *Protocols(rows).notes(),
        *_marks(rows),
    )
    order = {section: place for place, section in enumerate((_DIRECT, _EARLIER, _ZERO_SHOT, _ADAPTED))}
    lines.sort(key=lambda line: order[line.section])
    columns = tuple(Column("", heading) for heading in headings)
    return Grid(
        "Hours and dollars, as in table 1 of the FGVR paper.",
        "Method",
        columns,
        tuple(lines),
        tuple(note for note in notes if note),
    )


LAYOUTS: dict[str, Callable[[Sequence[Measured], Mapping[str, str]], Grid]] = {
    "plain": plain,
    "fgvr_table2": fgvr_table2,
    "fgvr_table1": fgvr_table1,
    "latteclip_table1": latteclip_table1,
}
"""Name of a layout -> what makes it."""


@dataclass(frozen=True)
class _Place:
    """A column of a paper's layout: a figure of a data set."""

    dataset: str
    heading: str
    figure: str


def _paper_grid(
    layout: str,
    caption: str,
    rows: Sequence[Measured],
    names: Mapping[str, str],
    figures: Mapping[str, str],
    section: Callable[[Measured], str],
    left_out: Sequence[Measured],
    decimals: int = 1,
) -> Grid:
    paper = published_table(layout)
    if not rows:
        raise FgvrError(
            f"None of the {counted(len(left_out), 'row')} has a figure of the layout {layout}: choose the layout plain."
        )
    own = [row.dataset for row in rows]
    datasets = (*paper.datasets, *dict.fromkeys(name for name in own if name not in paper.datasets))
    titles = dict.fromkeys(row.title for row in rows)
    lines_of = {title: [row for row in rows if row.title == title] for title in titles}
    protocols, tests = Protocols(rows), Tests()
    columns: list[list[Cell]] = []
    for dataset in datasets:
        for figure in figures.values():
            if dataset == _AVERAGE:
                columns.append([_average(lines_of[title], figure, paper, decimals) for title in titles])
                continue
            found = {
                place: row for place, title in enumerate(titles) for row in lines_of[title] if row.dataset == dataset
            }
            cells = {place: cell(row, figure, decimals) for place, row in found.items()}
            finished = _finished(cells, found, figure, protocols, tests)
            columns.append([finished.get(place, Cell()) for place in range(len(titles))])
    lines = [
        Line(part, f"{title} (paper)", (*map(Cell, cells), *[Cell()] * (len(columns) - len(cells))), published=True)
        for part, published in paper.rows.items()
        for title, cells in published
    ]
    lines += [
        Line(section(lines_of[title][0]), names.get(title, title), tuple(column[place] for column in columns))
        for place, title in enumerate(titles)
    ]
    order = {part: place for place, part in enumerate(paper.rows)}
    lines.sort(key=lambda line: order[line.section])
    notes = [
        *_source(paper),
        _spread(rows),
        *_bold(tests, lines),
        *protocols.notes(),
        *_marks(rows),
        f"Left out, because the layout has no column for them: {', '.join(sorted({row.title for row in left_out}))}."
        if left_out
        else "",
    ]
    headings = tuple(Column(dataset, heading) for dataset in datasets for heading in figures)
    return Grid(caption, "Method", headings, tuple(lines), tuple(note for note in notes if note))


def _section(row: Measured) -> str:
    """The section of the FGVR paper's tables that a row belongs to."""
    if row.row in DIRECT:
        return _DIRECT
    if row.is_earlier:
        return _EARLIER
    return _ZERO_SHOT if row.row.startswith(("zero_shot", "zs_")) else _ADAPTED


def _finished(
    cells: Mapping[int, Cell], rows: Mapping[int, Measured], figure: str, protocols: Protocols, tests: Tests
) -> dict[int, Cell]:
    """The cells of one column and data set, with their marks, and the best in bold."""
    places = list(rows)
    tested = figure in ("accuracy", "cacc", "siou", "siou_hyphen") or figure.startswith("sacc_")
    best = {places[number] for number in tests.best([rows[place] for place in places], figure)} if tested else set()
    marked = cells if figure == "cost_usd" else protocols.marked(cells, rows, figure)
    return {place: replace(found, bold=place in best) for place, found in marked.items()}


def _average(rows: Sequence[Measured], figure: str, paper: PublishedTable, decimals: int) -> Cell:
    """The mean over the paper's data sets, where each of them was measured."""
    needed = [dataset for dataset in paper.datasets if dataset != _AVERAGE]
    means = {row.dataset: mean for row in rows if (mean := row.mean(figure)) is not None}
    if not all(dataset in means for dataset in needed):
        return Cell()
    mean = sum(means[dataset] for dataset in needed) / len(needed)
    return Cell(f"{mean:.{decimals}f}", numbers={"mean": mean})


def _hours(row: Measured, key: str) -> Cell:
    mean = row.mean(key)
    return Cell() if mean is None else Cell(f"{mean / 3600:.2g}", numbers={"mean": mean / 3600})


def _encoders(rows: Sequence[Measured]) -> list[str]:
    """The sACC figures of all rows, the papers' first."""
    found = {
        key
        for row in rows
        for key in row.record
        if key in _ENCODERS or (key.startswith("sacc_") and key in _named(row, "encoders"))
    }
    return [*(key for key in _ENCODERS if key in found), *sorted(found - set(_ENCODERS))] or [_ENCODERS[0]]


def _named(row: Measured, part: str) -> Mapping[str, object]:
    scoring = row.record.get("scoring")
    named = scoring.get(part) if isinstance(scoring, Mapping) else None
    return named if isinstance(named, Mapping) else {}


def _figures(rows: Sequence[Measured]) -> dict[str, str]:
    """Key -> heading of the figures that a row has."""
    headings = {"accuracy": COLUMNS["accuracy"]}
    headings |= {key: COLUMNS.get(key, f"sACC ({key.removeprefix('sacc_')})") for key in _encoders(rows)}
    headings |= {"cacc": COLUMNS["cacc"], "siou": COLUMNS["siou"], **_JUDGED, "cost_usd": COLUMNS["cost_usd"]}
    return {key: heading for key, heading in headings.items() if any(row.values(key) for row in rows)}


def _source(paper: PublishedTable) -> list[str]:
    return [f"(paper): as printed in {paper.source}; measured by its authors, not here.", *paper.notes]


def _spread(rows: Sequence[Measured], intervals: bool = False) -> str:
    seeds = sorted({len(row.sources) for row in rows if len(row.sources) > 1})
    parts = [f"±: standard deviation over {' or '.join(counted(seed, 'seed') for seed in seeds)}"] if seeds else []
    if intervals and any(row.record.get("intervals") for row in rows if len(row.sources) == 1):
        parts.append("in brackets: 95 % bootstrap interval over photos")
    return f"{'; '.join(parts)}." if parts else ""


def _bold(tests: Tests, lines: Sequence[Line]) -> list[str]:
    """What bold means, or why nothing is."""
    if not tests.said:
        return ["Nothing is bold: no two rows could be tested against each other."]
    made = "; ".join(tests.said)
    level = f"at the {100 * LEVEL:.0f} % level, with Holm's correction over the rows of a column"
    if any(found.bold for line in lines for found in line.cells):
        means = f"Bold: better than every other row that was measured alike, {level}"
    else:
        means = f"Nothing is bold: in no column is a row better than every other one that was measured alike, {level}"
    return [f"{means} ({made}). Oracles and labelers that were asked about every photo are not in the tests."]


def _marks(rows: Sequence[Measured]) -> list[str]:
    said = {
        "simulated": "simulated: names, costs and times come from a simulation",
        "oracle": "oracle: true names were trained on, or chose what was trained",
        "transductive": "transductive: the evaluated photos were looked at together",
        "closed": "closed: the class names were given, the true ones among them",
    }
    found = {mark for row in rows for mark in row.marks}
    backbones = {row.backbone for row in rows if row.backbone}
    seen = f"Backbones: {', '.join(sorted(backbones))}." if backbones else ""
    return [*(f"{text}." for mark, text in said.items() if mark in found), *([seen] if seen else []), *_once(rows)]


def _once(rows: Sequence[Measured]) -> list[str]:
    """Which rows stand for others of the same title and figures, whose options may be other ones."""
    said = []
    for row in rows:
        if row.equal:
            folders = [folder_name(folder) for folder in (row.sources[0].folder, *row.equal)]
            rest = f" and {len(folders) - _SHOWN} more" if len(folders) > _SHOWN else ""
            said.append(f"{row.title} in {', '.join(folders[:_SHOWN])}{rest}")
    return [f"There once, because all figures are equal: {'; '.join(said)}."] if said else []
