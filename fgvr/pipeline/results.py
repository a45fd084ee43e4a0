"""What came of a run, as a notebook shows it."""

import html
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from fgvr.datasets.images import Images
from fgvr.reports.html import write_report
from fgvr.reports.table import format_table, table_cells
from fgvr.runs import RunFolder


class ResultTable(dict[str, dict[str, Any]]):
    """Row name -> its figures, as ``metrics.json`` has them.

    ``pandas.DataFrame(table).T`` makes a data frame of it.

    Example:
        >>> print(ResultTable({"zero_shot": {"cacc": 50.0}, "coop": {"cacc": 62.5}}))
                   cACC
        zero_shot  50.0
        coop       62.5
    """

    def __str__(self) -> str:
        return format_table(self)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        head, *rows = table_cells(self)
        cells = "".join(f"<th>{html.escape(cell)}</th>" for cell in head)
        body = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
        return f"<table><thead><tr>{cells}</tr></thead><tbody>{body}</tbody></table>"


class Report:
    """The report of a run. It is a path; called, it writes the page anew.

    Args:
        folder: The run.
        images: Gives the photos that the page shows.
    """

    def __init__(self, folder: RunFolder, images: Callable[[], Images]) -> None:
        self._folder = folder
        self._images = images

    @property
    def path(self) -> Path:
        """The HTML file."""
        return self._folder.report

    def __call__(self) -> Self:
        """Write the page anew, from the files in the run folder.

        Raises:
            FgvrError: A file of the run is damaged.
        """
        write_report(self._folder, self._images())
        return self

    def __fspath__(self) -> str:
        return str(self.path)

    def __str__(self) -> str:
        return str(self.path)

    def __repr__(self) -> str:
        return f"Report({str(self.path)!r})"

    def _repr_html_(self) -> str:
        # a frame of its own, so that neither its style nor its script touches the notebook
        page = html.escape(self.path.read_text(encoding="utf-8"), quote=True)
        return f'<iframe srcdoc="{page}" sandbox="allow-scripts" width="100%" height="600"></iframe>'
