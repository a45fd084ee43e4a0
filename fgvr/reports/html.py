"""``report.html`` of a run folder: one file that needs nothing else, neither network nor other files.

Names, replies and file names are untrusted text. Jinja escapes everything that a template prints, and the content
security policy of the page admits one script by its hash, so that text which escaping missed would still run nothing.
"""

import base64
import hashlib
import json
import logging
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from fgvr.datasets.images import Images
from fgvr.disk_problems import disk_problem
from fgvr.errors import FgvrError
from fgvr.files import replacing
from fgvr.reports.content import Content
from fgvr.reports.printable import printable
from fgvr.reports.run_files import read_run
from fgvr.reports.sections.reported_run import ReportedRun
from fgvr.reports.sections.sortable_table import MINUS, Column
from fgvr.runs import RunFolder

log = logging.getLogger(__name__)

_TEMPLATE = "template"


def write_report(folder: RunFolder, images: Images) -> None:
    """Write the report of a run from the files in its folder; what a run has not left is not in its report.

    Args:
        folder: The run.
        images: Its photos and what is known of them; without any, as where they have been moved, the report has text
            only.

    Raises:
        FgvrError: A file of the run is damaged.
    """
    page = render(Content(ReportedRun(read_run(folder), images)))
    with replacing(folder.report) as path:
        path.write_text(page, encoding="utf-8")


def why_unwritten(folder: RunFolder, error: Exception) -> str:
    """Why the report of a run was not written, in a sentence; a defect of the program is logged with its traceback.

    Args:
        folder: The run.
        error: What :func:`write_report` has raised.
    """
    if (problem := disk_problem(error)) is not None:
        return problem
    if isinstance(error, FgvrError):
        return f"The report of {folder.path} was not written: {error}"
    log.error("The report of %s was not written", folder.path, exc_info=error)
    return (
        f"The report of {folder.path} was not written ({type(error).__name__}); report writes it once this is mended."
    )


def render(content: Content) -> str:
    """The page as text.

    Args:
        content: What it shows.
    """
    style, script = (files(__package__).joinpath(_TEMPLATE, name).read_text(encoding="utf-8") for name in _INLINE)
    numbers = {sample_id: number for number, sample_id in enumerate(content.thumbnails)}
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        _environment()
        .get_template("report.html")
        .render(
            content=content,
            numbers=numbers,
            # base64 and digits alone
            image_data=Markup(json.dumps([thumbnail.data for thumbnail in content.thumbnails.values()])),
            style=Markup(style),
            script=Markup(script),
            policy=(
                "default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; style-src 'unsafe-inline'; "
                f"script-src 'sha256-{digest}'"
            ),
        )
    )


_INLINE = ("report.css", "report.js")


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("fgvr.reports", _TEMPLATE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_finalize,
    )
    environment.filters |= {"clip": printable, "cell": _cell, "sort_value": _sort_value}
    return environment


def _finalize(value: Any) -> Any:
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _cell(value: Any, column: Column) -> str:
    """A cell of a table as text."""
    if value is None or value == "":
        return "\u2013"
    return str(value) if column.form in ("", "text", "number") else format(value, column.form).replace("-", MINUS)


def _sort_value(value: Any) -> float | str:
    """A number to sort by; ``""``, which comes last, where there is none."""
    try:
        return float(value.partition(" ±")[0].removesuffix("*") if isinstance(value, str) else value)
    except (TypeError, ValueError):
        return ""
