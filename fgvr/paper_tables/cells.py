"""Figures as they stand in a cell, and the letters of how they were measured."""

import statistics
import string
from collections.abc import Mapping, Sequence
from dataclasses import replace

from fgvr.paper_tables.grid import Cell
from fgvr.paper_tables.measured import Measured

_DECIMALS = {"cost_usd": 2}


def cell(row: Measured | None, figure: str, decimals: int = 1, interval: bool = False) -> Cell:
    """A figure as a cell: the mean, with the standard deviation (n - 1) where seeds differ.

    Args:
        row: The row; ``None`` where there is none, which is a dash.
        figure: Key of the figure.
        decimals: Digits after the point; dollars have two.
        interval: Whether the interval of a single seed is shown.
    """
    values = row.values(figure) if row is not None else ()
    if row is None or not values:
        return Cell()
    decimals = _DECIMALS.get(figure, decimals)
    numbers = {"mean": statistics.mean(values)}
    text = f"{numbers['mean']:.{decimals}f}"
    if len(values) > 1:
        numbers["sd"] = statistics.stdev(values)
        text += f" ± {numbers['sd']:.{decimals}f}" if max(values) > min(values) else ""
    shown = ""
    if (ends := row.interval(figure)) is not None:
        numbers |= dict(zip(("low", "high"), ends, strict=True))
        shown = f"[{ends[0]:.{decimals}f}, {ends[1]:.{decimals}f}]" if interval else ""
    return Cell(text=text, interval=shown, numbers=numbers)


class Protocols:
    """How the rows of each data set were measured, with a letter each where there are several.

    Args:
        rows: All rows of the table.
    """

    def __init__(self, rows: Sequence[Measured]) -> None:
        self._letters: dict[str, dict[str, str]] = {}
        number = 0
        for dataset in dict.fromkeys(row.dataset for row in rows):
            protocols = dict.fromkeys(row.protocol for row in rows if row.dataset == dataset)
            self._letters[dataset] = {}
            for protocol in protocols:
                self._letters[dataset][protocol] = _letter(number) if len(protocols) > 1 else ""
                number += len(protocols) > 1

    def marked(self, cells: Mapping[int, Cell], rows: Mapping[int, Measured], figure: str) -> dict[int, Cell]:
        """The cells of one column, with the letter of each where they were not all measured alike.

        Args:
            cells: Place -> cell.
            rows: Place -> its row, of one data set.
            figure: Key of the figure.
        """
        there = {place for place, found in cells.items() if found.numbers}
        if len({rows[place].scoring(figure) for place in there}) < 2:
            return dict(cells)
        return {
            place: replace(found, mark=self._letters[rows[place].dataset][rows[place].protocol])
            if place in there
            else found
            for place, found in cells.items()
        }

    def notes(self) -> list[str]:
        """A sentence for each protocol."""
        return [
            f"{f'{letter}: ' if letter else ''}{dataset}: {protocol}."
            for dataset, letters in self._letters.items()
            for protocol, letter in letters.items()
        ]


def _letter(number: int) -> str:
    """One letter, then two: a, b ... z, aa, ab."""
    more, place = divmod(number, len(string.ascii_lowercase))
    return (_letter(more - 1) if more else "") + string.ascii_lowercase[place]
