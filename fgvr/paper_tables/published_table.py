"""The tables of the papers, as they are printed."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files

from fgvr.yaml_text import load_yaml


@dataclass(frozen=True)
class PublishedTable:
    """A table of a paper.

    Attributes:
        source: Where it is from.
        datasets: Its data sets, as the paper calls them; ``Average`` is among them.
        headings: The figures of each data set.
        notes: What a reader must know of it, its typographical oddities among it.
        rows: Section -> lines: the name, and the cells as they are printed.
    """

    source: str
    datasets: tuple[str, ...]
    headings: tuple[str, ...]
    notes: tuple[str, ...]
    rows: Mapping[str, tuple[tuple[str, tuple[str, ...]], ...]]


def published_table(layout: str) -> PublishedTable:
    """The table of a paper that a layout is named after.

    Args:
        layout: ``fgvr_table1``, ``fgvr_table2`` or ``latteclip_table1``.
    """
    content = load_yaml(files(__package__).joinpath("published", f"{layout}.yaml").read_text(encoding="utf-8"))
    return PublishedTable(
        source=content["source"],
        datasets=tuple(content["datasets"]),
        headings=tuple(content["headings"]),
        notes=tuple(content["notes"]),
        rows={
            section: tuple((name, tuple(cells)) for name, *cells in lines) for section, lines in content["rows"].items()
        },
    )
