"""From a run to the list of its photos in doubt, and from a decided list to what it changes."""

import logging
from pathlib import Path

from fgvr.doubt.effect import Effect, effect_of
from fgvr.doubt.files import read_corrections, require_undecided, write_doubts
from fgvr.doubt.find import Doubts, find_doubtful
from fgvr.doubt.neighbours import nearest_support
from fgvr.doubt.page import write_page
from fgvr.errors import FgvrError
from fgvr.pipeline.run import Run
from fgvr.reports.content import no_photos
from fgvr.reports.run_files import Predictions, RunFiles, read_run
from fgvr.runs import RunFolder

log = logging.getLogger(__name__)


def doubtful_of(run: Run, output: Path | None = None) -> Doubts:
    """The photos of a run whose true name is in doubt; where neighbours cannot be asked, a warning says why.

    Args:
        run: A run that was opened and has predicted.
        output: CSV file for the list; a page with the photos is put beside it. Nothing is written if not given.

    Raises:
        FgvrError: It has predicted nothing, a file is damaged, there is nobody who could doubt, or ``output`` has
            decisions already.
    """
    if output is not None:
        require_undecided(output)
    predictions, own_row = _predicted(read_run(run.folder))
    images, nearest = no_photos(), None
    try:
        images = run.data.images
        nearest = nearest_support(run, predictions.sample_ids)
    except FgvrError as error:
        log.warning("Neighbours are not asked: %s", error)
    doubts = find_doubtful(predictions, own_row, nearest)
    if output is not None:
        write_doubts(doubts, output)
        write_page(doubts, predictions, own_row, images, output.with_suffix(".html"))
    return doubts


def corrected(folder: RunFolder, corrections: Path) -> Effect:
    """What the decisions of a list change in the figures of a run; the files of the run stay as they are.

    Args:
        folder: The run.
        corrections: The decided list.

    Raises:
        FgvrError: The run has predicted nothing, a file is damaged, or the list is not of this run.
    """
    files = read_run(folder)
    predictions, _ = _predicted(files)
    closed = [row for row, record in files.metrics.items() if record.get("accuracy") is not None]
    return effect_of(predictions, read_corrections(corrections), closed=closed)


def _predicted(files: RunFiles) -> tuple[Predictions, str]:
    if files.predictions is None or (own_row := files.own_row) is None:
        raise FgvrError(f"{str(files.folder.path)!r} has predicted nothing yet: go on with fit, or test it.")
    if own_row not in files.predictions.rows:
        raise FgvrError(f"{files.folder.predictions} has no row {own_row!r}, which the run is about: test it again.")
    return files.predictions, own_row
