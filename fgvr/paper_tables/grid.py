"""A table before it is text: columns in groups, lines in sections, and what is said below."""

from collections.abc import Mapping
from dataclasses import dataclass, field

DASH = "\N{EN DASH}"
"""A cell that was not measured."""


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        group: What stands above it and its neighbours, such as a data set; ``""`` for nothing.
        heading: Its own heading.
    """

    group: str
    heading: str

    @property
    def name(self) -> str:
        """Both in one line."""
        return f"{self.group} {self.heading}".strip()


@dataclass(frozen=True)
class Cell:
    """One cell.

    Attributes:
        text: The figure as it is shown.
        interval: Its interval as it is shown; ``""`` where none is.
        mark: A letter that the notes explain; ``""`` where nothing is to be explained.
        bold: Whether it is the best of its column, significantly.
        numbers: ``mean``, ``sd`` over seeds, ``low`` and ``high``, as far as they are known.
    """

    text: str = DASH
    interval: str = ""
    mark: str = ""
    bold: bool = False
    numbers: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Line:
    """One line.

    Attributes:
        section: Lines of one section stand together below its heading.
        title: What the line is of.
        cells: One for each column.
        published: Whether it is a paper's, and not measured here.
    """

    section: str
    title: str
    cells: tuple[Cell, ...]
    published: bool = False


@dataclass(frozen=True)
class Grid:
    """A whole table.

    Attributes:
        caption: What it shows, in a sentence or two.
        first: Heading of the titles.
        columns: Its columns, those of a group side by side.
        lines: Its lines, those of a section one below the other.
        notes: What is said below it, a sentence or more each; a mark's begins with the mark and a colon.
    """

    caption: str
    first: str
    columns: tuple[Column, ...]
    lines: tuple[Line, ...]
    notes: tuple[str, ...]

    def groups(self) -> list[tuple[str, int]]:
        """Each group with the number of its columns, in their order."""
        found: list[tuple[str, int]] = []
        for column in self.columns:
            if found and found[-1][0] == column.group:
                found[-1] = (column.group, found[-1][1] + 1)
            else:
                found.append((column.group, 1))
        return found

    def sections(self) -> list[tuple[str, list[Line]]]:
        """Each section with its lines."""
        found: dict[str, list[Line]] = {}
        for line in self.lines:
            found.setdefault(line.section, []).append(line)
        return list(found.items())
