"""fgvr from Python: the runs of the command line, from the same configurations and through the same code.

What is imported under its own name again is handed out by the package, too.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from fgvr.checkpoints.whole import newest_checkpoint
from fgvr.config.cli import FgvrCLI
from fgvr.config.files import find_config
from fgvr.config.guard import ImportGuard, read_run_config, with_own_place
from fgvr.config.judging import add_judging_options, judge_of
from fgvr.config.options import as_arguments
from fgvr.config.trained import trained_model
from fgvr.descriptions.files import read_descriptions
from fgvr.doubt.effect import Effect as Effect
from fgvr.doubt.find import Doubts as Doubts
from fgvr.doubt.list import corrected, doubtful_of
from fgvr.errors import FgvrError
from fgvr.judging.run import Judgement as Judgement
from fgvr.judging.run import write_verdict
from fgvr.metrics.evaluate import Evaluation as Evaluation
from fgvr.metrics.evaluate import evaluate as evaluate
from fgvr.paper_tables.table import table as table
from fgvr.pipeline.allocator import keep_freed_memory
from fgvr.pipeline.results import ResultTable as ResultTable
from fgvr.pipeline.run import Run as Run
from fgvr.pipeline.trained_model import ImageNames as ImageNames
from fgvr.pipeline.trained_model import TrainedModel as TrainedModel
from fgvr.records import Description, LabelRecord
from fgvr.runs import RunFolder, find_run
from fgvr.sweeps.compare import ComparedRows
from fgvr.sweeps.grid import read_grid
from fgvr.sweeps.result import Tidy, format_summary
from fgvr.sweeps.sweep import Sweep, run_sweep
from fgvr.visible_lines import VisibleFormatter

_SHORT = {"dataset": "data.dataset", "labeler": "data.labeler", "method": "model"}
"""Argument of ``configure`` -> the key that it is short for."""


def configure(
    config: str | Path | None = None,
    *,
    dataset: Any = None,
    labeler: Any = None,
    method: Any = None,
    **options: Any,
) -> Run:
    """A run that is not begun: its stages are the methods of what is returned.

    Args:
        config: A YAML file: as given, or in ``./configs``, or one that comes with fgvr.
        dataset: Reader of the photos: a short name, an object, or ``{"class_path": ..., "init_args": ...}``. Short for
            ``data={"dataset": ...}``.
        labeler: Who names the photos, in the same ways.
        method: What is trained, in the same ways; short for ``model``.
        options: Any key of a configuration: ``data``, ``model``, ``trainer``, ``run``, ``checkpoint`` as mappings of
            what is to differ, ``compare``, ``seed_everything``, ``ckpt_path``. Loggers and callbacks are given as
            objects below ``trainer``.

    Raises:
        FgvrError: An option is unknown, or has a wrong value.

    Example:
        >>> run = configure(dataset="fieldguide", labeler="fieldguide", data={"shots": 2}, model={"backbone": "lite"})
        >>> type(run.data.labeler).__name__, run.data.shots
        ('FieldguideLabeler', 2)
    """
    tokens, objects = _tokens({"dataset": dataset, "labeler": labeler, "method": method}, options)
    files = [] if config is None else ["--config", str(config)]
    return _run(FgvrCLI("fit", [*files, *tokens], main_guard=False), objects)


def _tokens(short: Mapping[str, Any], options: dict[str, Any]) -> tuple[list[str], dict[str, Any]]:
    """Options as arguments of a process, and those of the trainer that are objects."""
    trainer = options.pop("trainer", None) or {}
    if not isinstance(trainer, Mapping):
        raise FgvrError(
            f"trainer is {trainer!r:.60}; expected arguments of Lightning's Trainer, as in {{'max_epochs': 5}}. For a "
            "trainer of your own see README, From Python."
        )
    objects = {key: value for key, value in trainer.items() if _is_object(value)}
    plain = {key: value for key, value in trainer.items() if key not in objects}
    named = {_SHORT[key]: value for key, value in short.items() if value is not None}
    model = options.get("model")
    if "model" in named and model is not None and (not isinstance(model, Mapping) or "class_path" in model):
        raise FgvrError("method and model both name a method: give one of them, and its options below model.")
    return [*as_arguments(named), *as_arguments({**options, **({"trainer": plain} if plain else {})})], objects


def _run(cli: FgvrCLI, objects: Mapping[str, Any], folder: RunFolder | None = None, refused: str = "") -> Run:
    parts = replace(cli.build(), refused=refused)
    if objects:
        parts = replace(parts, trainer={**parts.trainer, **objects})
    return Run(parts, folder, ComparedRows(cli.compare, main_guard=False) if cli.compare else None)


def fit(config: str | Path | None = None, *, verbose: bool = False, **options: Any) -> Run:
    """Label what is missing, build candidate sets, train, predict the test photos, write table and report.

    Replies, descriptions and image features are kept, so that the same call asks and computes nothing twice; a training
    that was stopped goes on with ``fgvr.open_run(FOLDER).fit()``.

    Args:
        config: See :func:`configure`.
        verbose: Say on stderr what the command line would say.
        options: See :func:`configure`.

    Returns:
        The run: ``table``, ``predictions``, ``report`` and ``folder``.

    Raises:
        FgvrError: Something that the user can fix; or compared rows have failed, while the run itself is there.
    """
    run = configure(config, **options)
    with _spoken(verbose):
        keep_freed_memory()
        try:
            run.fit()
        finally:
            run.close()
    if run.failed_rows:
        raise FgvrError(f"Not in the table of {str(run.folder.path)!r}, because they failed: {run.failed_rows}")
    return run


def label(config: str | Path | None = None, *, verbose: bool = False, **options: Any) -> list[LabelRecord]:
    """Ask the labeler for what is missing.

    Returns:
        What is known of each photo that the labeler is asked about.

    Raises:
        FgvrError: The labeler cannot go on, or ``data.max_cost_usd`` is reached; what was paid for is stored.
    """
    run = configure(config, **options)
    with _spoken(verbose):
        return run.label()


def describe(config: str | Path | None = None, *, verbose: bool = False, **options: Any) -> list[Description]:
    """Ask for descriptions of the support photos and of groups of them.

    Returns:
        All of them; they are in ``descriptions.parquet`` of a new run folder, too.

    Raises:
        FgvrError: Photos are not labelled yet, or nobody can describe them.
    """
    run = configure(config, **options)
    with _spoken(verbose):
        run.describe()
    return list(read_descriptions(run.folder.descriptions))


def judge(
    config: str | Path | None = None,
    *,
    protocol: Any = None,
    dataset: Any = None,
    labeler: Any = None,
    method: Any = None,
    verbose: bool = False,
    **options: Any,
) -> Judgement:
    """Judge the labeler as a classifier by a protocol; nothing is asked twice.

    Args:
        config: See :func:`configure`.
        protocol: ``"ow"``, ``"mc"``, ``"cw"``, ``"cw_plus"``, an object, or ``{"class_path": ..., "init_args": ...}``;
            that of the configuration if not given.
        dataset: See :func:`configure`.
        labeler: Who is judged; see :func:`configure`.
        method: Its backbone's text tower may compare names; see :func:`configure`.
        verbose: Say on stderr what the command line would say.
        options: See :func:`configure`; below ``judge`` those of :class:`fgvr.judging.options.JudgeOptions`.

    Returns:
        Its figures and answers, in a new folder ``runs/judge/NAME-PROTOCOL-LABELER/VERSION``.

    Raises:
        FgvrError: The labeler cannot go on, or ``data.max_cost_usd`` is reached; what was paid for is stored.
    """
    if protocol is not None:
        options["protocol"] = protocol
    tokens, _ = _tokens({"dataset": dataset, "labeler": labeler, "method": method}, options)
    files = [] if config is None else ["--config", str(config)]
    judged, parts = judge_of(FgvrCLI("judge", [*files, *tokens], add_judging_options, main_guard=False))
    with _spoken(verbose):
        judged.ask()
        return write_verdict(judged.read(), judged, parts)


def open_run(path: str | Path, *, trust: bool = False, **options: Any) -> Run:
    """A run that is there: what came of it, and its stages, which go on with it.

    Args:
        path: ``runs/NAME`` for its newest version, or ``runs/NAME/VERSION``.
        trust: Whether its configuration may name any code, as one that is given to :func:`configure` may. Without, only
            classes of fgvr and of installed plugins are imported, and no stage is begun of a run that sends photos to
            a server of its own choice, logs to one, writes elsewhere, or makes a store or cache elsewhere.
        options: What is to differ, as in :func:`configure`, such as where the photos are now; they may name any code.

    Raises:
        FgvrError: There is no such run, or it names a class that it must be trusted for.
    """
    folder = find_run(Path(path))
    if (checkpoint := newest_checkpoint(folder.checkpoints)) is not None:
        options = {"ckpt_path": str(checkpoint), **options}
    tokens, objects = _tokens({}, options)
    return opened_with(folder, tokens, objects, trust=trust)


def opened_with(
    folder: RunFolder,
    tokens: Sequence[str],
    objects: Mapping[str, Any] | None = None,
    *,
    trust: bool = False,
    how: str = "give trust=True to fgvr.open_run",
) -> Run:
    """A run that is there, with options as arguments of a process.

    Args:
        folder: The run.
        tokens: Arguments; they may name any code.
        objects: Arguments of the trainer that are objects.
        trust: See :func:`open_run`.
        how: What the user can do to trust it, for messages.

    Raises:
        FgvrError: It names a class that it must be trusted for.
    """
    config, tokens, objects = read_run_config(folder), list(tokens), objects or {}
    if trust:
        return _run(FgvrCLI("fit", tokens, main_guard=False, config=config), objects, folder)
    guard = ImportGuard(config, folder.config, how, tokens)
    cli = FgvrCLI("fit", tokens, main_guard=False, config=with_own_place(config, folder), guard=guard)
    return _run(cli, objects, folder, guard.elsewhere())


def doubtful(path: str | Path, output: str | Path | None = None, *, trust: bool = False, **options: Any) -> Doubts:
    """The evaluated photos of a run on which labeler, neighbours and model agree against the true name.

    Args:
        path: ``runs/NAME`` for its newest version, or ``runs/NAME/VERSION``.
        output: CSV file for the list, with a page of photos beside it; nothing is written if not given.
        trust: See :func:`open_run`.
        options: See :func:`open_run`.

    Raises:
        FgvrError: There is no such run, it has predicted nothing, or there is nobody who could doubt.
    """
    return doubtful_of(open_run(path, trust=trust, **options), None if output is None else Path(output))


def correct(path: str | Path, corrections: str | Path) -> Effect:
    """Every figure of a run before and after the decisions that a person has written into the list of :func:`doubtful`.

    Args:
        path: ``runs/NAME`` for its newest version, or ``runs/NAME/VERSION``; its files stay as they are.
        corrections: The list.

    Raises:
        FgvrError: There is no such run, the list is not of it, or a decision is none.
    """
    return corrected(find_run(Path(path)), Path(corrections))


def load(
    path: str | Path, row: str | None = None, device: torch.device | str | None = None, *, trust: bool = False
) -> TrainedModel:
    """The model of a run, for photos that are at hand.

    Args:
        path: ``runs/NAME`` for its newest version that was trained, or ``runs/NAME/VERSION``.
        row: The row of its table whose classifier is used; the method's own if not given.
        device: Where it computes; a GPU where there is one if not given.
        trust: Whether its method may be any class; without, only those of fgvr and of installed plugins are imported.

    Raises:
        FgvrError: There is no such run, it has trained nothing that could be loaded, or it names a class that it must
            be trusted for.
    """
    return trained_model(find_run(Path(path), trained=True), row, device, trust=trust)


@dataclass(frozen=True)
class SweepResult:
    """What came of a sweep.

    Attributes:
        folder: Where its runs are, with ``sweep.parquet`` and ``sweep.csv``.
        tidy: One line for each run and row of its table.
        failures: Name of a run that failed -> the end of its log.
    """

    folder: Path
    tidy: Tidy
    failures: Mapping[str, str]

    def __str__(self) -> str:
        table = format_summary(self.tidy) if self.tidy.rows else "(no run has a result yet)"
        return "\n".join(
            [table, *(f"{name} failed; the end of its log:\n{tail}" for name, tail in self.failures.items())]
        )

    def runs(self, trust: bool = False) -> Iterator[Run]:
        """Its runs, as :func:`open_run` gives them."""
        for config in sorted(self.folder.glob("*/config.yaml")):
            yield open_run(config.parent, trust=trust)


def sweep(
    config: str | Path,
    *,
    jobs: int | None = None,
    name: str | None = None,
    root: str | Path = "runs",
    verbose: bool = False,
    **options: Any,
) -> SweepResult:
    """Fit with varied options and several seeds, each run in a process of its own.

    Args:
        config: The file of the sweep.
        jobs: Runs side by side; one a GPU, or one for two cores, if not given.
        name: Name of the sweep's folder; the file's name if not given.
        root: Folder of all runs.
        verbose: Say on stderr what the command line would say.
        options: Given to every run, as in :func:`configure`; they win over the file.

    Raises:
        FgvrError: Something that the user can fix, found before anything was run; or labelling failed.
    """
    if jobs is not None and jobs < 1:
        raise FgvrError(f"jobs is {jobs}; expected 1 or more.")
    path = find_config(str(config))
    grid = Sweep(read_grid(path, as_arguments(options)), Path(root) / (name or path.stem))
    with _spoken(verbose):
        # what a fork would import again is the user's own script
        failures = run_sweep(grid, jobs, fork=False, output=None if verbose else grid.folder / "asking.log")
    return SweepResult(grid.folder, grid.write(), {run.name: tail for run, tail in failures.items()})


def _is_object(value: Any) -> bool:
    """Whether an option of the trainer is given as objects, which no configuration holds."""
    items = value if isinstance(value, list | tuple) else [value]
    return any(not isinstance(item, (str, int, float, Mapping, type(None))) for item in items)


@contextmanager
def _spoken(verbose: bool) -> Iterator[None]:
    """Show what fgvr has to say, or its warnings alone."""
    logger = logging.getLogger("fgvr")
    before = logger.level
    if verbose:
        handler = logging.StreamHandler()
        handler.setFormatter(VisibleFormatter("%(message)s"))
        logging.basicConfig(handlers=[handler])
    logger.setLevel(logging.INFO if verbose else logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(before)
