"""Further rows of a run's result table: the same run with other options, trained after it."""

import logging
import re
import shutil
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from fgvr.config.cli import ParsedCLI
from fgvr.config.names import expand_config
from fgvr.errors import FgvrError
from fgvr.metrics.files import read_metrics, write_metrics
from fgvr.pipeline.processes import SKIP_FAILED, external_processes
from fgvr.pipeline.run import Run
from fgvr.registry import METHODS
from fgvr.reports.html import why_unwritten, write_report
from fgvr.reports.predictions import read_prediction_table, write_prediction_table
from fgvr.reports.run_files import LABELER
from fgvr.runs import RunFolder
from fgvr.sweeps.grid import as_tokens, named_options, ordered
from fgvr.sweeps.launch import Launcher, command_line, launching, resume_args
from fgvr.sweeps.result import own_row
from fgvr.yaml_text import load_yaml

log = logging.getLogger(__name__)

_ROW = re.compile(r"[a-z0-9_]+")
_GIVEN_BY_FIT = dict.fromkeys(("config", "ckpt_path", "run", "compare"), "fit gives it to the run of this row")


class ComparedRows:
    """Further rows of a run's result table: the same run with other options, trained after it.

    Args:
        entries: Row name -> the options in which its run differs.
        main_guard: Whether this is a program with a main guard, such as the command line. Without, nothing is forked,
            because a fork imports the main module again; and what the rows print goes into ``RUN/compare/output.log``,
            because the terminal is somebody else's.
    """

    def __init__(self, entries: Mapping[str, Mapping[str, Any]], main_guard: bool = True) -> None:
        self.entries = entries
        self.main_guard = main_guard

    def check(self, run: Run) -> None:
        """Refuse compared rows that could not be run, before anything is paid for or trained.

        Raises:
            FgvrError: A row's name or one of its options is wrong, a scheduler has started several processes, or the
                run goes on with other options than it was begun with, which its compared rows would not have.
        """
        if external_processes() > 1:
            raise FgvrError(
                "A job of several processes trains no compared rows: set compare to null, and run the rows side "
                "by side as a sweep."
            )
        check_rows(self.entries, run.method.row_names())
        if run.parts.loaded is not None:
            # a file of before lacks the options that have come since, and has old names
            then = without_nulls(expand_config(load_yaml(run.folder.config.read_text(encoding="utf-8"))))
            now = without_nulls(load_yaml(run.parts.config))
            # a run may be moved: where it is is given to the rows anew
            changed = ", ".join(sorted(key for key in (then | now).keys() - {"run"} if then.get(key) != now.get(key)))
            if changed:
                raise FgvrError(
                    f"{run.folder.config} has other options under {changed}, and compared rows belong to the options "
                    "that the run was begun with: set compare to null, or give the options of that file."
                )
        for row, options in self.entries.items():
            try:
                ParsedCLI(compared_args(run.folder, row, options))
            except FgvrError as error:
                raise FgvrError(f"compare: {row!r} cannot be run: {error}") from error

    def train(self, run: Run, fork: bool) -> str:
        """Train the compared rows and take them into the files of the run.

        Args:
            run: It has its own results.
            fork: See :class:`~fgvr.sweeps.launch.Launcher`; rows that have another trainer are not forked.

        Returns:
            For each row that is not in the files, its name and what to do; ``""`` where all are.
        """
        output = None if self.main_guard else run.folder.path / "compare" / "output.log"
        failed = run_compared(run.folder, self.entries, fork and self.main_guard, output)
        try:
            write_report(run.folder, run.data.images)
        except Exception as error:  # the rows are there, and so is what it is made of
            run.unwritten = why_unwritten(run.folder, error)
        else:
            run.unwritten = ""  # where that of before could not be written
        return failed


def without_nulls(value: Any) -> Any:
    """A configuration without the keys that are null."""
    if not isinstance(value, dict):
        return value
    return {key: without_nulls(each) for key, each in value.items() if each is not None}


def check_rows(entries: Mapping[str, Mapping[str, Any]], own: Collection[str]) -> None:
    """Refuse row names that cannot be, and keys that are not the row's to give.

    Args:
        entries: Row name -> the options in which its run differs.
        own: Names of the run's own rows.

    Raises:
        FgvrError: A name is not made of lower-case letters, digits and underscores, or another row has it.
    """
    for row, options in entries.items():
        if not _ROW.fullmatch(row):
            raise FgvrError(f"compare: the row name {row!r} is not made of the characters a-z, 0-9 and _ alone.")
        if row in ("zero_shot", LABELER, *own):
            raise FgvrError(f"compare: another row is called {row!r} already; choose another name.")
        named_options(options, f"compare: {row!r}", _GIVEN_BY_FIT)


def compared_folder(folder: RunFolder, row: str) -> RunFolder:
    """Where the run of a compared row is: ``RUN/compare/ROW``."""
    return RunFolder(folder.path / "compare" / row)


def compared_args(folder: RunFolder, row: str, options: Mapping[str, Any]) -> list[str]:
    """What ``fit`` is given for a compared row.

    A row with another method has the backbone and the templates of the run. All else under ``model`` is the row's to
    give, or that method's default: what is called ``lr`` or ``alpha`` in two methods need not mean the same.

    Args:
        folder: The run whose table gets the row; has its ``config.yaml``.
        row: Name of the row.
        options: What differs, by key.
    """
    given = named_options(options, f"compare: {row!r}", _GIVEN_BY_FIT)
    # changing the class drops the options that the new one has not: zero_shot has nothing but what is in common
    common = ["--model=zero_shot"] if _has_other_method(folder, options) else []
    return [
        *("--config", str(folder.config), "--compare=null", "--data.direct=false"),
        *(*common, *as_tokens(ordered(given))),
        *(f"--run.root={folder.path}", "--run.name=compare", f"--run.version={row}"),
    ]


def run_compared(
    folder: RunFolder,
    entries: Mapping[str, Mapping[str, Any]],
    fork: bool,
    output: Path | None = None,
) -> str:
    """Train every compared row that is not there yet, and take each into the files of the run.

    Args:
        folder: The run, with predictions and metrics.
        entries: Row name -> the options in which its run differs.
        fork: See :class:`~fgvr.sweeps.launch.Launcher`; rows that have another trainer are not forked.
        output: File for what the rows print; where this process prints if not given.

    Returns:
        For each row that is not in the files, its name and what to do; ``""`` where all are.
    """
    if output is not None:
        output.parent.mkdir(exist_ok=True)
    failed: dict[str, str] = {}
    resume = resume_args(folder)
    with launching(fork) as launcher:
        for number, (row, options) in enumerate(entries.items(), start=1):
            log.info("Compared row %d of %d: %s", number, len(entries), row)
            args = _run_one(launcher, folder, row, options, output)
            if not compared_folder(folder, row).metrics.is_file():
                # going on with the run itself runs what is missing, and takes it into the table
                failed[row] = f"again with: {command_line(resume or args)}"
                continue
            try:
                merge_row(folder, row)
            except FgvrError as error:
                failed[row] = str(error)
    return "; ".join(f"{row!r}, {reason}" for row, reason in failed.items())


def merge_row(folder: RunFolder, row: str) -> None:
    """Take the row of a compared run into ``predictions.parquet`` and ``metrics.json``, before the run's own row.

    Raises:
        FgvrError: The row is there already, its run predicted other photos, or a file of it cannot be read.
    """
    metrics, other = read_metrics(folder.metrics), compared_folder(folder, row)
    if row in metrics:
        raise FgvrError(f"{folder.metrics} has a row {row!r} already; choose another name under 'compare'.")
    theirs = read_metrics(other.metrics)
    own, their_own = own_row(metrics), own_row(theirs)
    predictions = read_prediction_table(folder.predictions)
    if f"{own}_name" not in predictions.column_names:
        raise FgvrError(f"{folder.predictions} has no row {own!r}, and {folder.metrics} has one: test the run again.")
    position = predictions.column_names.index(f"{own}_name")
    for number, (column, values) in enumerate(_columns(folder, other, their_own)):
        predictions = predictions.add_column(position + number, f"{row}_{column}", values)
    before, after = _around(list(metrics), own)
    # the metrics are last, because they say what is done
    write_prediction_table(predictions, folder.predictions)
    write_metrics(
        folder.metrics,
        {name: metrics[name] for name in before} | {row: theirs[their_own]} | {name: metrics[name] for name in after},
    )


def _has_other_method(folder: RunFolder, options: Mapping[str, Any]) -> bool:
    model = options.get("model")
    name = options.get("model.class_path", model.get("class_path") if isinstance(model, Mapping) else model)
    if not isinstance(name, str):
        return False
    own: str = load_yaml(folder.config.read_text(encoding="utf-8"))["model"]["class_path"]
    return METHODS.resolve(name) != METHODS.resolve(own)


def _run_one(
    launcher: Launcher, folder: RunFolder, row: str, options: Mapping[str, Any], output: Path | None
) -> list[str]:
    """Begin the run of a row, or go on with it, unless it is done; returns its arguments."""
    other = compared_folder(folder, row)
    begin = ["fit", *compared_args(folder, row, options)]
    args = resume_args(other, begin)
    if args is None:
        args = begin
        if not other.metrics.is_file():
            shutil.rmtree(other.path, ignore_errors=True)  # of a run that ended before its first epoch did
    if not other.metrics.is_file():
        launcher.run(args, SKIP_FAILED, output, fresh=any(key.startswith("trainer") for key in options))
    return args


def _around(rows: list[str], own: str) -> tuple[list[str], list[str]]:
    index = rows.index(own)
    return rows[:index], rows[index:]


def _columns(folder: RunFolder, other: RunFolder, row: str) -> list[tuple[str, pa.ChunkedArray]]:
    """Names and scores of another run's row, in the order of this run's photos."""
    mine = read_prediction_table(folder.predictions)["sample_id"].to_pylist()
    try:
        table = read_prediction_table(other.predictions)
    except FgvrError as error:
        raise FgvrError(f"{error} To run the row again, remove {other.path}") from error
    if not {f"{row}_name", f"{row}_score"} <= set(table.column_names):
        raise FgvrError(f"{other.predictions} has no row {row!r}. To run it again, remove {other.path}")
    place = {sample_id: number for number, sample_id in enumerate(table["sample_id"].to_pylist())}
    if place.keys() != set(mine):
        raise FgvrError(
            f"{other.predictions} is of other photos than {folder.predictions}: a compared row may differ in how names "
            "are learned, not in which photos are evaluated. Change its options under 'compare', in a new run."
        )
    order = pa.array([place[sample_id] for sample_id in mine])
    return [(column, table[f"{row}_{column}"].take(order)) for column in ("name", "score")]
